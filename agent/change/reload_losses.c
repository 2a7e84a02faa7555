/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/reload_losses.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/inside_runs.h"
#include "sessions/sessions.h"

/* Inside addresses that a mapping loses, as places. */
struct lost_range {
	uint64_t first;
	uint64_t last;
	size_t loss;
};

struct reload_losses {
	struct mappings *mappings;
	struct reload_loss *loss;
	struct lost_range *range;
	size_t n_losses;
	size_t n_ranges;
	size_t at; /* range under way */
	struct pool_walk *walk;
};

/* Which mapping of a configuration has which addresses. */
struct owners {
	struct inside_run *run;
	size_t n;
};

/* The tenant by whose places two configurations are compared. One without tenants has those of its mappings' namesakes.
 */
static uint8_t tenant_of(const struct config *c, const struct config_mapping *m, const struct config *other)
{
	const struct config_mapping *same = c->n_tenants ? NULL : config_find_mapping(other, m->in, m->out);

	return same ? config_mapping_tenant(other, same) : config_mapping_tenant(c, m);
}

static int owners_of(const struct config *c, const struct config *other, struct owners *ret)
{
	_cleanup_free_ struct inside_range *prefix = calloc(c->n_mappings + 1, sizeof(*prefix));

	ret->run = calloc(INSIDE_RUNS(c->n_mappings) + 1, sizeof(*ret->run));
	if (!prefix || !ret->run)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_mappings; i++)
		prefix[i] = inside_range_of(tenant_of(c, &c->mappings[i], other), c->mappings[i].in, (unsigned)i);
	ret->n = inside_runs(prefix, c->n_mappings, ret->run);
	return 0;
}

/* The mapping that has a place, or -1; *ret_last: the last place with the same result. */
static int owner(const struct owners *o, uint64_t place, uint64_t *ret_last)
{
	size_t at = inside_run_at(o->run, o->n, place);

	*ret_last = INSIDE_END - 1;
	if (at == o->n)
		return -1;
	if (o->run[at].first > place) {
		*ret_last = o->run[at].first - 1;
		return -1;
	}
	*ret_last = o->run[at].last;
	return o->run[at].number;
}

/* Whether a mapping keeps its tables; *ret_other: its counterpart in the other configuration. */
static bool keeps_tables(const struct config *now, const struct config_mapping *m, const struct config *wanted,
			 const struct config_mapping **ret_other)
{
	const struct config_mapping *other = config_find_mapping_of(wanted, m->tenant, m->in, m->out);

	*ret_other = other;
	return other && config_may_be_of(other, m->tenant) &&
	       config_mapping_slots(now, m) == config_mapping_slots(wanted, other) && m->inbound == other->inbound &&
	       config_same_ports(m, other);
}

/* Adds addresses that a mapping loses; their sessions drain for that many seconds. */
static void add_range(struct reload_losses *l, const struct config_mapping *m, bool whole, uint32_t drain,
		      struct lost_range range)
{
	size_t i = 0;

	while (i < l->n_losses && (!prefix_equal(l->loss[i].in, m->in) || !prefix_equal(l->loss[i].out, m->out) ||
				   strcmp(l->loss[i].tenant, m->tenant) != 0 || l->loss[i].drain != drain))
		i++;
	if (i == l->n_losses) {
		l->loss[l->n_losses++] =
			(struct reload_loss){ .in = m->in, .out = m->out, .whole = whole, .drain = drain };
		snprintf(l->loss[i].name, sizeof(l->loss[i].name), "%s", m->name);
		snprintf(l->loss[i].tenant, sizeof(l->loss[i].tenant), "%s", m->tenant);
	}
	range.loss = i;
	l->range[l->n_ranges++] = range;
}

/* As in plan_drains(): the mapping that takes the place decides, or else the mapping itself. */
static uint32_t drain_of(const struct config_mapping *m, const struct config *wanted, bool whole,
			 const struct config_mapping *taker)
{
	const struct config_mapping *other = whole ? config_find_inside_of(wanted, m->tenant, m->in) : taker;

	return other ? other->drain : m->drain;
}

/* Places of a mapping as the tables have them, which do not know yet that it gets a tenant, or loses it. */
static struct lost_range table_range(const struct config *now, const struct config_mapping *m, uint64_t first,
				     uint64_t last)
{
	uint8_t tenant = config_mapping_tenant(now, m);

	return (struct lost_range){ inside_place(tenant, inside_addr(first)), inside_place(tenant, inside_addr(last)),
				    0 };
}

/* Gathers the ranges that have another owner afterwards, or an owner with other tables. */
static void find_ranges(struct reload_losses *l, const struct config *now, const struct owners *before,
			const struct config *wanted, const struct owners *after)
{
	uint64_t at = 0;

	while (at < INSIDE_END) {
		uint64_t last_before, last_after;
		int a = owner(before, at, &last_before), b = owner(after, at, &last_after);
		uint64_t last = last_before < last_after ? last_before : last_after;
		const struct config_mapping *other = NULL, *m = a < 0 ? NULL : &now->mappings[a];
		bool kept = m && keeps_tables(now, m, wanted, &other);

		if (m && config_mapping_slots(now, m) && !(kept && b >= 0 && other == &wanted->mappings[b]))
			add_range(l, m, !kept, drain_of(m, wanted, !kept, b < 0 ? NULL : &wanted->mappings[b]),
				  table_range(now, m, at, last));
		at = last + 1;
	}
}

/* Sessions on granted ports of a mapping, as of the last pass over them. */
static uint64_t granted_sessions(const struct grants *g, const struct config_mapping *m)
{
	uint64_t sessions = 0;
	uint32_t at = 0;

	for (const struct grant *i; (i = grants_walk(g, &at));)
		if (prefix_holds(m->out, i->out_addr) && i->state != GRANT_ASKED)
			sessions += i->sessions;
	return sessions;
}

/* Granted blocks end where a mapping that keeps its tables gets blocks of another size, or grows no more. */
static void find_grants(struct reload_losses *l, const struct grants *g, const struct config *now,
			const struct config *wanted)
{
	for (size_t i = 0; g && i < now->n_mappings; i++) {
		const struct config_mapping *m = &now->mappings[i], *other;
		uint64_t sessions;

		if (!m->growth.given || !keeps_tables(now, m, wanted, &other) ||
		    config_mapping_growth(m).block == config_mapping_growth(other).block)
			continue;
		sessions = granted_sessions(g, m);
		if (!sessions)
			continue;
		l->loss[l->n_losses] =
			(struct reload_loss){ .in = m->in, .out = m->out, .drain = other->drain, .sessions = sessions };
		snprintf(l->loss[l->n_losses].name, sizeof(l->loss[0].name), "%s", m->name);
		snprintf(l->loss[l->n_losses].tenant, sizeof(l->loss[0].tenant), "%s", m->tenant);
		l->n_losses++;
	}
}

int reload_losses_new(struct mappings *m, const struct grants *g, const struct config *now, const struct config *wanted,
		      struct reload_losses **ret)
{
	struct reload_losses *l = calloc(1, sizeof(*l));
	struct owners before = { 0 }, after = { 0 };
	int r = l ? 0 : -ENOMEM;

	if (!r)
		r = owners_of(now, wanted, &before) || owners_of(wanted, now, &after) ? -ENOMEM : 0;
	if (!r) {
		l->mappings = m;
		/* Each range ends at the end of a run of either, or before one. */
		l->loss = calloc(2 * (before.n + after.n) + now->n_mappings + 2, sizeof(*l->loss));
		l->range = calloc(2 * (before.n + after.n) + 2, sizeof(*l->range));
		r = l->loss && l->range ? 0 : -ENOMEM;
	}
	if (!r) {
		find_ranges(l, now, &before, wanted, &after);
		find_grants(l, g, now, wanted);
	}
	free(before.run);
	free(after.run);
	if (r) {
		reload_losses_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

int reload_losses_step(struct reload_losses *l, unsigned budget_us)
{
	uint64_t until = monotonic_us() + budget_us;

	while (l->at < l->n_ranges) {
		struct lost_range *range = &l->range[l->at];
		uint64_t now = monotonic_us();
		struct pool_figures figures;

		if (now >= until)
			return 1;
		if (!l->walk && pool_walk_new(l->mappings, -1, range->first, range->last, 1, &l->walk))
			return -ENOMEM;
		if (pool_walk_step(l->walk, (unsigned)(until - now), &figures))
			return 1;
		l->loss[range->loss].sessions += figures.sessions;
		pool_walk_free(take_pointer(l->walk));
		l->at++;
	}
	return 0;
}

void reload_losses_free(struct reload_losses *l)
{
	if (!l)
		return;
	pool_walk_free(l->walk);
	free(l->loss);
	free(l->range);
	free(l);
}

const struct reload_loss *reload_losses_list(const struct reload_losses *l, size_t *ret_n)
{
	*ret_n = l->n_losses;
	return l->loss;
}

uint64_t reload_losses_sum(const struct reload_losses *l, bool drain)
{
	uint64_t n = 0;

	for (size_t i = 0; i < l->n_losses; i++)
		if (!l->loss[i].drain == !drain)
			n += l->loss[i].sessions;
	return n;
}

int reload_losses_refuse(const struct reload_losses *l, const struct active_config *active, struct error *err)
{
	uint32_t limit = active->config->reload_guard;
	uint64_t n = reload_losses_sum(l, false);

	if (!limit || n <= limit)
		return 0;
	return error_set(err, -EPERM,
			 "%s: the reload would end %" PRIu64 " sessions, and `reload_guard` allows %u; "
			 "`detnatctl reload --dry-run` lists them, `detnatctl reload --force` ends them",
			 active->path, n, limit);
}
