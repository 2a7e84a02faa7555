// SPDX-License-Identifier: BSD-2-Clause
#include "sessions/subscriber_record.h"

#include <errno.h>

#include "sessions/sessions_private.h"

/*
 * Seconds since the last report of a kind, from the time at which the next one may be made, in jiffies: a second after
 * the last. -1: there was none, or so long ago that jiffies do not tell.
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
		.slots = it.n_slots,
		.overflow = overflow_count(it.subscriber),
		.refused = __atomic_load_n(&it.subscriber->refused, __ATOMIC_RELAXED),
		.quota_refusal =
			last_report(__atomic_load_n(&it.subscriber->quota_event_next, __ATOMIC_RELAXED), now, hz),
		.ports_refusal =
			last_report(__atomic_load_n(&it.subscriber->ports_event_next, __ATOMIC_RELAXED), now, hz),
	};
	for (uint32_t i = 0; i < it.n_slots; i++)
		ret->slots_free += !word_is_live(load_truth(&it.slots[i]));
	return 0;
}

struct pool_walk {
	struct subscriber_iterator it;
	int number;
	struct pool_figures figures;
};

/* Of a mapping that is retired, the sessions that drain. */
static void walk_drain(struct pool_walk *w, int number, uint32_t first, uint32_t last)
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(w->it.m, &d);

	for (size_t i = 0; i < n; i++)
		if (d[i].number == number && d[i].whole)
			subscriber_iterator_drain(&w->it, i, first, last);
}

int pool_walk_new(struct mappings *m, int number, uint32_t first, uint32_t last, struct pool_walk **ret)
{
	struct pool_walk *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	subscriber_iterator_init(&w->it, m);
	w->it.one_kind = true;
	w->it.next = first;
	w->it.last = last;
	w->number = number;
	if (mappings_is_retired(m, number)) {
		walk_drain(w, number, first, last);
		*ret = w;
		return 0;
	}
	for (uint64_t addr = first; number >= 0 && addr <= last; addr++)
		w->figures.excepted += mappings_find_inside(m, (uint32_t)addr) != number;
	*ret = w;
	return 0;
}

static int add_subscriber(struct subscriber_iterator *it, void *arg)
{
	struct pool_walk *w = arg;
	struct pool_figures *f = &w->figures;
	uint32_t sessions;

	it->cost = 1;
	if (w->number >= 0 && it->number != w->number)
		return 0;
	f->refused += __atomic_load_n(&it->subscriber->refused, __ATOMIC_RELAXED);
	if (!__atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED))
		return 0;
	it->cost = it->n_slots;
	sessions = slots_count(it->slots, it->n_slots, &it->limits, it->now) + overflow_count(it->subscriber);
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
