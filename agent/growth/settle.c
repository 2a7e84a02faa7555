// SPDX-License-Identifier: BSD-2-Clause
/* Mappings change under grants: figures and layouts of mappings, and what becomes of the blocks. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "growth/growth_private.h"
#include "sessions/granted_ports.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"

#define INTERVAL_MAX_S 10U

/* Ten passes in the shortest time that they have to notice, but at most one a second. */
static uint32_t interval_for(uint32_t seconds)
{
	return seconds / 10 < 1 ? 1 : seconds / 10;
}

static void read_figures(struct growth *g, const struct config *c)
{
	/* A mapping that drains keeps what it had. */
	for (int number = 0; number < (int)MAX_MAPPINGS; number++)
		if (!mappings_is_retired(g->m, number))
			g->figures[number] = (struct growth_figures){ 0 };
	g->grows = false;
	g->exchanges = c->replication.enabled;
	g->interval_s = INTERVAL_MAX_S;
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];
		struct config_growth wanted = config_mapping_growth(m);
		uint32_t shortest = wanted.idle < wanted.rest ? wanted.idle : wanted.rest;
		int number;

		/* Of thousands of mappings, most have no figures. */
		if (!m->drain && !wanted.given)
			continue;
		number = mappings_find(g->m, m->in, m->out);
		if (number >= 0)
			g->figures[number].drain_s = m->drain;
		if (number < 0 || !wanted.given)
			continue;
		g->figures[number] = (struct growth_figures){
			.wanted = { (uint16_t)wanted.block, (uint16_t)wanted.max_blocks },
			.idle_s = wanted.idle,
			.rest_s = wanted.rest,
			.drain_s = m->drain,
		};
		g->grows = true;
		if (interval_for(shortest) < g->interval_s)
			g->interval_s = interval_for(shortest);
	}
}

static void shut(struct growth *g, struct grant *grant, uint64_t until_s)
{
	/* A time that has been set, as by a revocation, stays if it is earlier. */
	if (grant->state == GRANT_CLOSED && grant->until_s <= until_s && !grant->idle)
		return;
	if (growth_close(g, grant, until_s))
		log_error("a granted block cannot be closed; `detnatctl check --repair` tries again");
}

/* The mapping is gone, and with it the grant: the history has that already. */
static void leave(struct growth *g, struct grant *grant)
{
	struct grant was = *grant;

	if (g->changed)
		g->changed(g->changed_arg, &was, false);
	if (grant->state == GRANT_OPEN)
		grants_shut(g->grants, grant, GRANT_WHENEVER);
	/* That is no act: where a peer still has it, it is a grant again with the mapping. */
	grant->stamp -= grant->stamp > 0;
	if (grants_rest(g->grants, grant, (uint64_t)history_now(), growth_rests_until(grant)))
		grants_drop(g->grants, grant);
	granted_ports_forget(g->m, was.out_addr, was.port_lo, was.ports);
}

static void settle(struct growth *g, struct grant *grant)
{
	const struct growth_figures *f;
	int number;

	/* One that is being granted is looked at when that is written. */
	if (grant->state == GRANT_ASKED || grant->state == GRANT_RESTS)
		return;
	if (grant->state == GRANT_FREE) {
		if (!growth_remembers(g, grant) || grant->ports != growth_figures_at(g, grant->out_addr)->wanted.block)
			grants_drop(g->grants, grant);
		return;
	}
	if (!growth_holds(g, grant, &number)) {
		leave(g, grant);
		return;
	}
	growth_note_rest(g, grant);
	f = &g->figures[number];
	if (!growth_is_home(g, number, grant->in_addr))
		shut(g, grant, mappings_serves(g->m, number, grant->in_addr) ? GRANT_WHENEVER : boottime_s());
	else if (grant->ports != f->wanted.block)
		shut(g, grant, boottime_s() + f->drain_s);
	else if (grant->state == GRANT_OPEN && grant->number >= f->wanted.max_blocks)
		shut(g, grant, GRANT_WHENEVER);
}

/* Blocks that had a subscriber in a datapath that is gone rest, once. */
static void take_rested(struct growth *g)
{
	int64_t now = history_now();
	size_t n = 0;
	const struct history_grant *list = g->settled ? NULL : history_queue_rested_grants(g->history, &n);

	g->settled = true;
	for (size_t i = 0; i < n; i++) {
		const struct growth_figures *f = growth_figures_at(g, list[i].out);
		int64_t left = list[i].from + f->rest_s - now;
		struct grant like = { .out_addr = list[i].out,
				      .port_lo = list[i].port_lo,
				      .ports = list[i].ports,
				      .from = (uint64_t)list[i].from };

		like.until_s = boottime_s() + (uint64_t)left;
		if (left > 0 && left <= (int64_t)f->rest_s && !grants_find(g->grants, like.out_addr, like.port_lo) &&
		    grants_hold(g->grants, &like))
			log_error("a block that was granted before cannot rest; it is free at once");
	}
}

/* Its mapping is that of another tenant now: the subscriber with the same address there never had it. */
static bool has_gone_to_another(const struct growth *g, const struct grant *grant)
{
	uint8_t tenant = mappings_outside_tenant(g->m, grant->out_addr);

	return grant->state == GRANT_OPEN && grant->tenant && tenant && tenant != grant->tenant;
}

static void leave_others(struct growth *g)
{
	uint32_t at = 0;

	for (struct grant *i; (i = grants_walk(g->grants, &at));)
		if (has_gone_to_another(g, i))
			leave(g, i);
}

static bool has_grants(const struct growth *g)
{
	struct grant_figures f;

	grants_count(g->grants, &f);
	return f.grants || f.rests || f.free;
}

void growth_settle(struct growth *g, const struct config *c)
{
	bool first = !g->settled;
	uint32_t at = 0;

	read_figures(g, c);
	take_rested(g);
	leave_others(g);
	grants_settle_tenants(g->grants);
	for (struct grant *i; (i = grants_walk(g->grants, &at));)
		settle(g, i);
	/* Where nothing ever grew, thousands of mappings have no layout to look at. */
	g->grew |= g->grows || has_grants(g);
	if (first || g->grew)
		growth_lay_out(g);
	growth_serve(g, growth_serves(g));
	growth_hurry(g);
}
