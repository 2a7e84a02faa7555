// SPDX-License-Identifier: BSD-2-Clause
/* Changes of blocks: gathered in groups, each of which is in the history before it is in the tables. */
#include <errno.h>
#include <string.h>

#include "base/act_stamp.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/trouble.h"
#include "growth/growth_private.h"
#include "sessions/granted_ports.h"

/* How far ahead the datapath may rely on an agent that grants. */
#define SERVES_S 4U

/* Blocks are granted while they can be recorded. */
void growth_serve(struct growth *g, bool serves)
{
	const struct datapath *d = mappings_datapath(g->m);
	uint32_t now = datapath_ticks(d);

	grants_serve_until(g->grants, serves ? now + ticks_of_seconds(SERVES_S, d->hz) : now - 1);
}

bool growth_serves(const struct growth *g)
{
	return g->grows && !trouble_get(TROUBLE_HISTORY);
}

const struct growth_figures *growth_figures_at(const struct growth *g, uint32_t out_addr)
{
	static const struct growth_figures none;
	int number = mappings_find_outside(g->m, out_addr);

	return number < 0 ? &none : &g->figures[number];
}

void growth_note_rest(struct growth *g, struct grant *grant)
{
	uint32_t rest_s = growth_figures_at(g, grant->out_addr)->rest_s;

	if (!rest_s || rest_s == grant->rest_s)
		return;
	grant->rest_s = rest_s;
	grants_touch(g->grants, grant);
}

uint64_t growth_rests_until(const struct grant *grant)
{
	return boottime_s() + (grant->rest_s ? grant->rest_s : CONFIG_REST_S);
}

bool growth_holds(const struct growth *g, const struct grant *grant, int *ret_number)
{
	int number = mappings_find_outside(g->m, grant->out_addr);
	const struct geometry *geo = number < 0 ? NULL : &mappings_get(g->m, number)->geo;

	*ret_number = number;
	return geo && history_grant_fits(geo, &(const struct history_grant){ .in = grant->in_addr,
									     .out = grant->out_addr,
									     .port_lo = grant->port_lo,
									     .ports = grant->ports });
}

int growth_close(struct growth *g, struct grant *grant, uint64_t until_s)
{
	grant->idle = false;
	grant->closed = g->pass;
	return grants_shut(g->grants, grant, until_s);
}

int growth_close_idle(struct growth *g, struct grant *grant)
{
	int r;

	grant->idle = true;
	grant->closed = g->pass;
	r = grants_shut(g->grants, grant, GRANT_WHENEVER);
	grant->idle = !r;
	return r;
}

int growth_record(struct growth *g, struct grant *grant, bool ends)
{
	struct batch *b = &g->batch;

	if (b->n == b->room) {
		struct block_change *more = reallocarray(b->change, b->room ? 2 * b->room : 64, sizeof(*b->change));

		if (!more)
			return -ENOMEM;
		b->change = more;
		b->room = b->room ? 2 * b->room : 64;
	}
	grant->recorded = true;
	b->change[b->n++] = (struct block_change){
		.out_addr = grant->out_addr,
		.port_lo = grant->port_lo,
		.ends = ends,
		.grant = { .in = grant->in_addr,
			   .out = grant->out_addr,
			   .port_lo = grant->port_lo,
			   .ports = grant->ports,
			   .replicated = ends ? grant->yields : grant->peer,
			   .from = ends ? (int64_t)grant->from : TIME_NONE },
	};
	/* Those of the same turn of the event loop share the fsync. */
	if (!b->n_running && !evtimer_pending(g->group, NULL))
		evtimer_add(g->group, &(struct timeval){ 0 });
	return 0;
}

static void tell(const struct growth *g, const struct grant *grant, bool made)
{
	if (g->changed)
		g->changed(g->changed_arg, grant, made);
}

struct grant_act growth_act_of(const struct grant *grant)
{
	return (struct grant_act){ .in_addr = grant->in_addr,
				   .out_addr = grant->out_addr,
				   .port_lo = grant->port_lo,
				   .ports = grant->ports,
				   .stamp = grant->stamp,
				   .idle = !grant->in_addr && grant->idle };
}

void growth_tell_act(const struct growth *g, const struct grant *grant)
{
	struct grant_act act = growth_act_of(grant);

	if (g->acted)
		g->acted(g->acted_arg, &act);
}

/* The last free block of an address is gone, or there is one again. */
static void note_left(const struct growth *g, uint32_t out_addr)
{
	int number = mappings_find_outside(g->m, out_addr);
	const struct mapping *m = number < 0 ? NULL : mappings_get(g->m, number);
	bool grows = m && m->growth.block && m->growth.max_blocks;

	grants_tell_none_left(g->grants, out_addr, grows && grants_free_block(g->grants, m, out_addr, 0, NULL) < 0);
}

bool growth_remembers(const struct growth *g, const struct grant *grant)
{
	int number = mappings_find_outside(g->m, grant->out_addr);
	const struct mapping *m = number < 0 ? NULL : mappings_get(g->m, number);
	int block =
		m && m->growth.block == grant->ports ? growth_block_of(&m->geo, m->growth.block, grant->port_lo) : -1;

	return g->exchanges && grant->stamp && block >= 0 &&
	       growth_port_lo(&m->geo, m->growth.block, (uint32_t)block) == grant->port_lo;
}

/* Gives up a reserved block. An act of a peer comes again; others are judged by what is known of those before it. */
static void give_up(struct growth *g, struct grant *grant)
{
	struct grant was = *grant;

	if (was.peer) {
		was.stamp--;
		was.idle = true;
	}
	grants_drop(g->grants, grant);
	if (growth_remembers(g, &was))
		grants_remember(g->grants, &was);
	note_left(g, was.out_addr);
}

/* A block is its subscriber's. False: the table could not be changed. */
static bool begin(struct growth *g, struct grant *grant, int64_t from)
{
	uint64_t stamp = grant->stamp;
	int number, r;

	if (!grant->peer)
		grant->stamp = act_stamp_next(stamp);
	growth_note_rest(g, grant);
	grant->idle = false;
	grant->from = (uint64_t)from;
	grant->seen_s = boottime_s();
	grant->made_ns = clock_ns(CLOCK_MONOTONIC);
	r = grants_make(g->grants, grant);
	if (r) {
		log_error("a block cannot be granted: %s", strerror(-r));
		give_up(g, grant);
		return false;
	}
	tell(g, grant, true);
	if (!grant->peer)
		growth_tell_act(g, grant);
	note_left(g, grant->out_addr);
	/* The mapping has changed meanwhile. */
	if (!growth_holds(g, grant, &number) || !growth_is_home(g, number, grant->in_addr))
		grants_shut(g->grants, grant, boottime_s());
	return true;
}

/* A block is taken back. False: the table could not be changed. */
static bool end(struct growth *g, struct grant *grant)
{
	uint64_t stamp = grant->stamp;
	struct grant was = *grant;
	int r;

	if (!grant->yields)
		grant->stamp = act_stamp_next(stamp);
	r = grants_rest(g->grants, grant, (uint64_t)history_now(), growth_rests_until(grant));
	if (r) {
		grant->stamp = stamp;
		log_error("a granted block cannot be taken back: %s", strerror(-r));
		return false;
	}
	granted_ports_forget(g->m, was.out_addr, was.port_lo, was.ports);
	tell(g, &was, false);
	if (!grant->yields)
		growth_tell_act(g, grant);
	grant->yields = false;
	return true;
}

/* The running changes have been written, or not: r. c: in the same order, with the times of those that begin. */
static void on_written(void *arg, int r, const struct history_change *written, const struct error *err)
{
	const struct history_grant *begun = written ? written->add[FACT_GRANT].of : NULL;
	struct growth *g = arg;
	struct batch *b = &g->batch;
	bool made = true;
	size_t n_begun = 0;

	for (size_t i = 0; i < b->n_running; i++) {
		const struct block_change *c = &b->change[i];
		struct grant *grant = grants_find(g->grants, c->out_addr, c->port_lo);

		n_begun += !c->ends;
		if (!grant)
			continue;
		grant->recorded = false;
		if (!r)
			made &= c->ends ? end(g, grant) : begin(g, grant, begun[n_begun - 1].from);
		else if (!c->ends)
			give_up(g, grant);
	}
	memmove(b->change, b->change + b->n_running, (b->n - b->n_running) * sizeof(*b->change));
	b->n -= b->n_running;
	b->n_running = 0;
	if (!r && made)
		history_queue_confirm(g->history);
	else if (!r)
		history_queue_reconcile(g->history);
	if (b->n)
		evtimer_add(g->group, &(struct timeval){ 0 });
}

/* Reserved ones whose mapping has changed before they were written are of no use. */
static void drop_stale(struct growth *g)
{
	struct batch *b = &g->batch;
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct grant *grant = grants_find(g->grants, b->change[i].out_addr, b->change[i].port_lo);
		int number;

		if (!b->change[i].ends && grant &&
		    (!growth_holds(g, grant, &number) || !growth_is_home(g, number, grant->in_addr))) {
			give_up(g, grant);
			grant = NULL;
		}
		if (grant)
			b->change[n++] = b->change[i];
	}
	b->n = n;
}

void growth_write(struct growth *g)
{
	struct batch *b = &g->batch;
	struct history_change c = { 0 };
	struct history_grant *end, *begin;
	size_t n, n_end = 0, n_begin = 0;

	if (b->n_running || !b->n)
		return;
	drop_stale(g);
	n = b->n < BATCH_MAX ? b->n : BATCH_MAX;
	if (!n)
		return;
	end = calloc(n, sizeof(*end));
	begin = calloc(n, sizeof(*begin));
	for (size_t i = 0; end && begin && i < n; i++)
		*(b->change[i].ends ? &end[n_end++] : &begin[n_begin++]) = b->change[i].grant;
	c.del[FACT_GRANT] = (struct fact_list){ end, n_end };
	c.add[FACT_GRANT] = (struct fact_list){ begin, n_begin };
	if (!end || !begin || history_queue_change(g->history, &c, on_written, g)) {
		const struct error err = { "out of memory" };

		history_change_free(&c);
		b->n_running = n;
		on_written(g, -ENOMEM, NULL, &err);
		return;
	}
	b->n_running = n;
}
