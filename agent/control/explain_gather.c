/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/explain_gather.h"

#include <errno.h>

#include "sessions/sessions_private.h"

struct explain_gather {
	struct explanation e;
	struct mapping mapping; /* as it was at the beginning */
	struct mappings *m;
	struct session_walk *walk; /* of the subscriber; NULL: none, or ended */
	bool pool;		   /* subscribers of an outside address are still to be gone through */
	struct subscriber_iterator it;
};

/* ---- whom it is about ------------------------------------------------------------------------------------------ */

static void find_outside(struct explain_gather *g, const struct geometry *geo)
{
	struct explanation *e = &g->e;
	uint32_t first = geo->in_base + ((e->asked.addr - geo->out_base) << geo->ratio_shift);
	int64_t subscriber;

	if (!e->with_port) {
		e->pool.first = first;
		e->pool.last = first + (1U << geo->ratio_shift) - 1;
		g->pool = true;
		subscriber_iterator_init(&g->it, g->m);
		g->it.next = e->pool.first;
		g->it.last = e->pool.last;
		return;
	}
	subscriber = mapping_reverse(geo, e->asked.addr, e->asked.port);
	e->subscriber = subscriber >= 0;
	e->in_addr = geo->in_base + (uint32_t)subscriber;
}

static int find(struct explain_gather *g)
{
	struct explanation *e = &g->e;
	int inside = mappings_find_inside(g->m, e->asked.addr), number;

	number = inside >= 0 ? inside : mappings_find_outside(g->m, e->asked.addr);
	if (number < 0)
		return 0;
	g->mapping = *mappings_get(g->m, number);
	e->mapping = &g->mapping;
	e->side = inside >= 0 ? EXPLAIN_INSIDE : EXPLAIN_OUTSIDE;
	if (e->side == EXPLAIN_INSIDE) {
		e->subscriber = true;
		e->in_addr = e->asked.addr;
	} else {
		find_outside(g, &g->mapping.geo);
	}
	if (!e->subscriber)
		return 0;
	e->block = mapping_forward(&g->mapping.geo, e->in_addr);
	e->profile.port_lo = e->block.port_lo;
	e->profile.ports_per_host = g->mapping.geo.ports_per_host;
	e->profile.port = e->asked.port;
	e->profile.match_in = e->with_port && e->side == EXPLAIN_INSIDE;
	e->profile.match_out = e->with_port && e->side == EXPLAIN_OUTSIDE;
	return session_walk_new_subscriber(g->m, e->in_addr, &g->walk);
}

int explain_gather_new(const struct control_context *a, struct endpoint asked, bool with_port,
		       struct explain_gather **ret)
{
	struct explain_gather *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	g->m = a->mappings;
	g->e.context = a;
	g->e.asked = asked;
	g->e.with_port = with_port;
	g->e.quota_refusal = g->e.ports_refusal = -1;
	r = find(g);
	if (r) {
		explain_gather_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

void explain_gather_free(struct explain_gather *g)
{
	if (!g)
		return;
	session_walk_free(g->walk);
	explain_profile_free(&g->e.profile);
	free(g);
}

/* ---- the subscriber's record ----------------------------------------------------------------------------------- */

/*
 * How long ago the last report was, that reports of the kind wait for their next one until `next` (jiffies): a second
 * after it. -1: there was none, or so long ago that jiffies do not tell.
 */
static int64_t last_report(uint32_t next, uint32_t now_jiffies, uint32_t hz)
{
	int32_t ago = (int32_t)(now_jiffies - (next - hz));

	if (!next || ago < -(int32_t)hz)
		return -1;
	return ago < 0 ? 0 : ago / (int32_t)hz;
}

static int read_record(struct explain_gather *g)
{
	struct explanation *e = &g->e;
	const struct datapath *d = e->context->datapath;
	const struct subscriber *s;
	struct subscriber_iterator it;
	uint32_t now;
	int r = subscriber_find(&it, g->m, e->in_addr);

	if (r)
		return r;
	s = it.subscriber;
	now = it.now << TICK_SHIFT;
	e->slots = it.n_slots;
	for (uint32_t i = 0; i < it.n_slots; i++)
		e->slots_free += !word_is_live(load_truth(&it.slots[i]));
	e->overflow = __atomic_load_n(&s->overflow, __ATOMIC_RELAXED);
	e->refused = __atomic_load_n(&s->refused, __ATOMIC_RELAXED);
	e->quota_refusal = last_report(__atomic_load_n(&s->quota_event_next, __ATOMIC_RELAXED), now, d->hz);
	e->ports_refusal = last_report(__atomic_load_n(&s->ports_event_next, __ATOMIC_RELAXED), now, d->hz);
	return 0;
}

/* ---- the pool -------------------------------------------------------------------------------------------------- */

static int add_to_pool(struct subscriber_iterator *it, void *arg)
{
	struct explain_pool *pool = arg;
	uint32_t recorded = __atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED), sessions = 0;

	pool->refused += __atomic_load_n(&it->subscriber->refused, __ATOMIC_RELAXED);
	it->cost = 1;
	if (!recorded)
		return 0;
	it->cost = it->n_slots;
	sessions = slots_count(it->slots, it->n_slots, &it->limits, it->now) +
		   __atomic_load_n(&it->subscriber->overflow, __ATOMIC_RELAXED);
	pool->sessions += sessions;
	pool->active += sessions > 0;
	pool->at_quota += sessions >= it->map->sessions_per_user;
	return 0;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static int add_session(const struct session *s, void *arg)
{
	return explain_profile_add(arg, s);
}

/* Still the mapping that it was about: one of the same shape may have come in its place. */
static bool still_there(const struct explain_gather *g)
{
	const struct geometry *geo = &g->mapping.geo;

	return !g->e.mapping || mappings_find(g->m, (struct prefix){ geo->in_base, geo->in_plen },
					      (struct prefix){ geo->out_base, geo->out_plen }) >= 0;
}

/* Where a session of the subscriber's goes to, or anywhere. */
static uint32_t somewhere_out(const struct explanation *e)
{
	if (e->profile.n_match)
		return e->profile.match[0].ext_addr;
	return e->busiest.sessions ? e->busiest.ext.addr : ADDRESS_BEYOND;
}

static int read_ways(struct explanation *e)
{
	int r;

	if (!e->mapping) /* whether it is the gateway's own */
		return explain_way_read(e->asked.addr, &e->way_out);
	if (!e->subscriber)
		return 0;
	r = explain_way_read(e->in_addr, &e->way_in);
	return r ? r : explain_way_read(somewhere_out(e), &e->way_out);
}

int explain_gather_step(struct explain_gather *g, unsigned budget_us)
{
	struct explanation *e = &g->e;
	int r;

	if (g->walk) {
		r = session_walk_step(g->walk, budget_us, add_session, &e->profile);
		if (r)
			return r;
		session_walk_free(take_pointer(g->walk));
		e->busiest = explain_profile_busiest(&e->profile);
	}
	if (g->pool) {
		if (subscriber_iterate(&g->it, monotonic_us() + budget_us, add_to_pool, &e->pool))
			return 1;
		g->pool = false;
	}
	if (!still_there(g))
		return -ENOENT;
	r = e->subscriber ? read_record(g) : 0;
	return r ? r : read_ways(e);
}

const struct explanation *explain_gather_result(const struct explain_gather *g)
{
	return &g->e;
}
