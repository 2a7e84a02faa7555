/* SPDX-License-Identifier: BSD-2-Clause */
/* Iterates over subscribers in order of address, in slices. */
#include <errno.h>

#include <detnat/extents.h>

#include "sessions/sessions.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"

/* Slots read, or subscribers skipped, between two looks at the clock: a few microseconds. */
#define LOOK_INTERVAL 4096U

void subscriber_iterator_init(struct subscriber_iterator *it, struct mappings *m)
{
	*it = (struct subscriber_iterator){ .m = m, .last = INSIDE_END - 1, .number = -1 };
}

/*
 * Longest delay of the next look: a session opened right after this one lives for at least the shortest timeout, and
 * one that changes to a state with a shorter timeout must not be found expired too late. A due tick further ahead dates
 * from before timeouts were shortened and is ignored.
 */
static uint32_t longest_delay(const uint32_t timeout_ticks[N_TIMEOUTS])
{
	uint32_t shortest = UINT32_MAX;

	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		if (timeout_ticks[i] < shortest)
			shortest = timeout_ticks[i];
	return shortest / 2;
}

static void enter_mapping(struct subscriber_iterator *it, int number)
{
	it->number = number;
	it->map = mappings_get(it->m, number);
	it->n_slots = BUCKET_SLOTS << it->map->bucket_shift;
	it->due_max = longest_delay(it->map->timeout_ticks);
	age_limits_fill(&it->limits, it->map);
}

/* A move to another extent meanwhile leaves its slots empty. */
static void enter_extent(struct subscriber_iterator *it)
{
	uint32_t extent = __atomic_load_n(&it->subscriber->hairpins, __ATOMIC_ACQUIRE) >> EXTENT_AT;

	it->beyond = NULL;
	it->n_beyond = 0;
	if (extent)
		it->beyond = datapath_extent(mappings_datapath(it->m), extent, &it->n_beyond);
}

bool subscriber_has_moved(const struct subscriber_iterator *it)
{
	struct subscriber_iterator now = *it;

	enter_extent(&now);
	return now.beyond != it->beyond;
}

static void enter_subscriber(struct subscriber_iterator *it, uint32_t in_addr)
{
	uint32_t n = mapping_subscriber(&it->map->geo, in_addr);
	uint32_t *due = mappings_sweep_due(it->m, it->number);

	it->in_addr = in_addr;
	it->subscriber = mappings_subscriber(it->m, it->number, n);
	it->slots = (struct slot *)mappings_buckets(it->m, it->number, n);
	it->due = due ? &due[n] : NULL;
	enter_extent(it);
}

int subscriber_find(struct subscriber_iterator *it, struct mappings *m, uint64_t place)
{
	int number = mappings_find_inside(m, inside_tenant(place), inside_addr(place));

	if (number < 0 || !mapping_has_slots(mappings_get(m, number)))
		return -ENOENT;
	subscriber_find_of(it, m, number, inside_addr(place));
	return 0;
}

void subscriber_find_of(struct subscriber_iterator *it, struct mappings *m, int number, uint32_t in_addr)
{
	subscriber_iterator_init(it, m);
	it->now = datapath_ticks(mappings_datapath(m));
	enter_mapping(it, number);
	enter_subscriber(it, in_addr);
}

/* One that has an extent without sessions is not passed over by the sweep, which gives the extent up. */
static bool passed_over(const struct subscriber_iterator *it)
{
	if (!__atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED))
		return (it->in_addr & it->idle_mask) != it->idle_turn &&
		       !(it->heed_due && subscriber_extent(it->subscriber));
	return it->heed_due && !subscriber_due(it);
}

/*
 * Visits subscribers whose records and slots are contiguous in memory, from it->next on. *cost: since the last look at
 * the clock.
 */
static int iterate_run(struct subscriber_iterator *it, uint64_t n, uint32_t *cost, uint64_t deadline_us,
		       subscriber_visit visit, void *arg)
{
	enter_subscriber(it, inside_addr(it->next));
	for (uint64_t i = 0; i < n; i++) {
		if (passed_over(it)) {
			*cost += 1;
		} else {
			enter_extent(it);
			it->cost = subscriber_slots(it);
			if (visit(it, arg))
				return 1;
			*cost += it->cost;
		}
		if (it->tallies)
			it->tally += __atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED);
		it->next++;
		it->in_addr++;
		it->subscriber++;
		it->slots += it->n_slots;
		if (it->due)
			it->due++;
		if (*cost >= LOOK_INTERVAL) {
			*cost = 0;
			if (monotonic_us() >= deadline_us)
				return 1;
		}
	}
	return 0;
}

/* Visits subscribers of the present mapping, from it->next to `last`. */
static int iterate_mapping(struct subscriber_iterator *it, uint64_t last, uint32_t *cost, uint64_t deadline_us,
			   subscriber_visit visit, void *arg)
{
	const struct geometry *g = &it->map->geo;

	while (it->next <= last) {
		uint64_t n = mappings_run(it->m, it->number, mapping_subscriber(g, inside_addr(it->next)));

		if (n > last - it->next + 1)
			n = last - it->next + 1;
		if (iterate_run(it, n, cost, deadline_us, visit, arg))
			return 1;
	}
	return 0;
}

static int iterate_in_use(struct subscriber_iterator *it, uint32_t *cost, uint64_t deadline_us, subscriber_visit visit,
			  void *arg)
{
	while (it->next <= it->last) {
		uint64_t first, end;
		int number = mappings_next_inside(it->m, it->next, &first, &end);

		if (number < 0)
			break;
		enter_mapping(it, number);
		if (it->next < first)
			it->next = first;
		if (iterate_mapping(it, end < it->last ? end : it->last, cost, deadline_us, visit, arg))
			return 1;
	}
	return 0;
}

bool drain_holds(const struct mappings *m, const struct mapping_drain *d, uint64_t place)
{
	return prefix_holds(d->in, inside_addr(place)) &&
	       (!inside_tenant(place) || mappings_get(m, d->number)->tenant == inside_tenant(place));
}

int subscriber_find_any(struct subscriber_iterator *it, struct mappings *m, uint64_t place)
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	if (!subscriber_find(it, m, place))
		return 0;
	for (size_t i = n; i-- > 0;) {
		if (!drain_holds(m, &d[i], place))
			continue;
		subscriber_find_of(it, m, d[i].number, inside_addr(place));
		return 0;
	}
	return -ENOENT;
}

/* The places of a drain that are among first..last; false: none. */
static bool drain_range(const struct mappings *m, const struct mapping_drain *d, uint64_t first, uint64_t last,
			uint64_t *ret_first, uint64_t *ret_last)
{
	uint8_t tenant = mappings_get(m, d->number)->tenant;
	uint64_t own_first = inside_place(tenant, d->in.base), own_last = inside_place(tenant, prefix_last(d->in));

	*ret_first = own_first > first ? own_first : first;
	*ret_last = own_last < last ? own_last : last;
	return *ret_first <= *ret_last;
}

static int iterate_drain(struct subscriber_iterator *it, const struct mapping_drain *d, uint32_t *cost,
			 uint64_t deadline_us, subscriber_visit visit, void *arg)
{
	uint64_t first, last;

	if (!drain_range(it->m, d, it->from, it->last, &first, &last))
		return 0;
	if (!it->begun || it->next < first) {
		it->next = first;
		it->tally = 0;
	}
	it->begun = true;
	enter_mapping(it, d->number);
	if (iterate_mapping(it, last, cost, deadline_us, visit, arg))
		return 1;
	if (it->tallies)
		mappings_drain_swept(it->m, d, it->tally);
	return 0;
}

const struct mapping_drain *subscriber_iterator_at(const struct subscriber_iterator *it)
{
	const struct mapping_drain *d;

	return it->kind && it->kind <= mappings_drains(it->m, &d) ? &d[it->kind - 1] : NULL;
}

bool subscriber_iterator_drain(struct subscriber_iterator *it, size_t drain, uint64_t first, uint64_t last)
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(it->m, &d);

	if (drain >= n || !drain_range(it->m, &d[drain], first, last, &it->next, &it->last))
		return false;
	it->from = it->next;
	it->kind = (unsigned)drain + 1;
	it->one_kind = it->begun = true;
	return true;
}

int subscriber_iterate(struct subscriber_iterator *it, uint64_t deadline_us, subscriber_visit visit, void *arg)
{
	const struct mapping_drain *drain;
	uint32_t cost = 0;

	it->now = datapath_ticks(mappings_datapath(it->m));
	if (!it->kind && !it->begun)
		it->from = it->next;
	it->begun |= !it->kind;
	if (!it->kind && iterate_in_use(it, &cost, deadline_us, visit, arg))
		return 1;
	if (!it->kind && !it->one_kind) {
		it->kind = 1;
		it->begun = false;
	}
	while (it->kind && it->kind <= mappings_drains(it->m, &drain)) {
		if (iterate_drain(it, &drain[it->kind - 1], &cost, deadline_us, visit, arg))
			return 1;
		if (it->one_kind)
			break;
		it->kind++;
		it->begun = false;
	}
	it->next = it->last + 1;
	return 0;
}

/*
 * Seconds since the last report of a kind, from the time of the next possible one, in jiffies: a second after the last.
 * -1: there was none, or it was too long ago for jiffies.
 */
static int64_t last_report(uint32_t next, uint32_t now_jiffies, uint32_t hz)
{
	int32_t ago = (int32_t)(now_jiffies - (next - hz));

	if (!next || ago < -(int32_t)hz)
		return -1;
	return ago < 0 ? 0 : ago / (int32_t)hz;
}

int subscriber_record_read(struct mappings *m, int number, uint32_t in_addr, struct subscriber_record *ret)
{
	struct subscriber_iterator it;
	uint32_t now, hz;

	if (!mappings_serves(m, number, in_addr) || !mapping_has_slots(mappings_get(m, number)))
		return -ENOENT;
	subscriber_find_of(&it, m, number, in_addr);
	now = it.now << TICK_SHIFT;
	hz = mappings_datapath(m)->hz;
	*ret = (struct subscriber_record){
		.slots = subscriber_slots(&it),
		.extent_buckets = it.n_beyond / BUCKET_SLOTS,
		.refused = __atomic_load_n(&it.subscriber->refused, __ATOMIC_RELAXED),
		.quota_refusal =
			last_report(__atomic_load_n(&it.subscriber->quota_event_next, __ATOMIC_RELAXED), now, hz),
		.ports_refusal =
			last_report(__atomic_load_n(&it.subscriber->ports_event_next, __ATOMIC_RELAXED), now, hz),
	};
	for (uint32_t i = 0; i < subscriber_slots(&it); i++) {
		bool live = word_is_live(load_truth(subscriber_slot(&it, i)));

		ret->slots_free += !live;
		ret->beyond += live && i >= it.n_slots;
	}
	return 0;
}

/* Counts may be below 0 for a moment while they are made. */
static uint32_t line_count(const struct limit_line *line, unsigned i)
{
	int32_t sessions = (int32_t)__atomic_load_n(&line->sessions[i], __ATOMIC_RELAXED);

	return sessions > 0 ? (uint32_t)sessions : 0;
}

/* Adds those in mappings that drain, which count for the limit where both have some, as drain_sessions_of() does. */
static void add_draining(const struct mappings *m, int number, uint32_t in_addr, uint32_t sessions[N_LIMITS])
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; i < n; i++) {
		const struct mapping *of = mappings_get(m, d[i].number);
		const struct limit_line *line;

		if (d[i].number == number || of->tenant != mappings_get(m, number)->tenant ||
		    mappings_drain_of(m, d[i].number, in_addr) != &d[i])
			continue;
		line = mappings_limit_line(m, d[i].number, mapping_subscriber(&of->geo, in_addr));
		for (unsigned k = 0; line && k < N_LIMITS; k++)
			sessions[k] += line_count(line, k);
	}
}

int subscriber_limits_read(const struct mappings *m, int number, uint32_t in_addr, struct subscriber_limits *ret)
{
	const struct mapping *map = number < 0 ? NULL : mappings_get(m, number);
	const struct limit_line *line =
		map ? mappings_limit_line(m, number, mapping_subscriber(&map->geo, in_addr)) : NULL;
	uint32_t now, hz = mappings_datapath(m)->hz;

	if (!line)
		return -ENOENT;
	now = datapath_ticks(mappings_datapath(m)) << TICK_SHIFT;
	*ret = (struct subscriber_limits){
		.limit = map->limit,
		.tokens = limit_tokens(&map->limit, __atomic_load_n(&line->full_ns, __ATOMIC_RELAXED),
				       clock_ns(CLOCK_MONOTONIC)),
		.uncounted = __atomic_load_n(&line->uncounted, __ATOMIC_RELAXED),
		.refused_protocol = __atomic_load_n(&line->refused_protocol, __ATOMIC_RELAXED),
		.refused_rate = __atomic_load_n(&line->refused_rate, __ATOMIC_RELAXED),
		.protocol_refusal = last_report(__atomic_load_n(&line->protocol_event_next, __ATOMIC_RELAXED), now, hz),
		.rate_refusal = last_report(__atomic_load_n(&line->rate_event_next, __ATOMIC_RELAXED), now, hz),
	};
	for (unsigned i = 0; i < N_LIMITS; i++)
		ret->sessions[i] = line_count(line, i);
	add_draining(m, number, in_addr, ret->sessions);
	return 0;
}

struct pool_walk {
	struct subscriber_iterator it;
	int number;
	uint64_t first;
	uint32_t stride;
	struct pool_figures figures;
};

/* The draining sessions of a retired mapping. */
static void walk_drain(struct pool_walk *w, int number, uint64_t first, uint64_t last)
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(w->it.m, &d);

	for (size_t i = 0; i < n; i++)
		if (d[i].number == number && d[i].whole)
			subscriber_iterator_drain(&w->it, i, first, last);
}

int pool_walk_new(struct mappings *m, int number, uint64_t first, uint64_t last, uint32_t stride,
		  struct pool_walk **ret)
{
	struct pool_walk *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	if (number >= 0) {
		first = inside_place(mappings_get(m, number)->tenant, inside_addr(first));
		last = inside_place(mappings_get(m, number)->tenant, inside_addr(last));
	}
	subscriber_iterator_init(&w->it, m);
	w->it.one_kind = true;
	w->it.next = first;
	w->it.last = last;
	w->number = number;
	w->first = first;
	w->stride = stride;
	if (mappings_is_retired(m, number)) {
		walk_drain(w, number, first, last);
		*ret = w;
		return 0;
	}
	for (uint64_t place = first; number >= 0 && place <= last; place += stride)
		w->figures.excepted += mappings_find_inside(m, inside_tenant(place), inside_addr(place)) != number;
	*ret = w;
	return 0;
}

static int add_subscriber(struct subscriber_iterator *it, void *arg)
{
	struct pool_walk *w = arg;
	struct pool_figures *f = &w->figures;
	uint32_t sessions;

	it->cost = 1;
	if (w->number >= 0 && (it->number != w->number || (subscriber_place(it) - w->first) % w->stride))
		return 0;
	f->refused += __atomic_load_n(&it->subscriber->refused, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED))
		return 0;
	it->cost = subscriber_slots(it);
	sessions = subscriber_count(it);
	f->sessions += sessions;
	f->active += sessions > 0;
	f->at_quota += sessions >= it->map->sessions_per_user;
	return 0;
}

int pool_walk_step(struct pool_walk *w, unsigned budget_us, struct pool_figures *ret)
{
	int more = subscriber_iterate(&w->it, monotonic_us() + budget_us, add_subscriber, w);

	*ret = w->figures;
	return more;
}

void pool_walk_free(struct pool_walk *w)
{
	free(w);
}
