/* SPDX-License-Identifier: BSD-2-Clause */
/* Iterates over subscribers in order of address, in slices. */
#include <errno.h>

#include "sessions/sessions_private.h"

/* Slots read, or subscribers skipped, between two looks at the clock: a few microseconds. */
#define LOOK_INTERVAL 4096U

void subscriber_iterator_init(struct subscriber_iterator *it, struct mappings *m)
{
	*it = (struct subscriber_iterator){ .m = m, .last = UINT32_MAX, .number = -1 };
}

/*
 * How far the next look may be put off: a session opened right after this one lives for at least the shortest timeout,
 * and one that changes to a state with a shorter timeout must not be found expired too late. A due tick further ahead
 * than this dates from before timeouts were shortened and is ignored.
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
	age_limits_fill(&it->limits, it->map->timeout_ticks);
}

static void enter_subscriber(struct subscriber_iterator *it, uint32_t in_addr)
{
	uint32_t n = mapping_subscriber(&it->map->geo, in_addr);
	uint32_t *due = mappings_sweep_due(it->m, it->number);

	it->in_addr = in_addr;
	it->subscriber = mappings_subscriber(it->m, it->number, n);
	it->slots = (struct slot *)mappings_buckets(it->m, it->number, n);
	it->due = due ? &due[n] : NULL;
}

int subscriber_find(struct subscriber_iterator *it, struct mappings *m, uint32_t in_addr)
{
	int number = mappings_find_inside(m, in_addr);

	if (number < 0 || !mapping_has_slots(mappings_get(m, number)))
		return -ENOENT;
	subscriber_iterator_init(it, m);
	it->now = datapath_ticks(mappings_datapath(m));
	enter_mapping(it, number);
	enter_subscriber(it, in_addr);
	return 0;
}

static bool passed_over(const struct subscriber_iterator *it)
{
	if (!__atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED))
		return (it->in_addr & it->idle_mask) != it->idle_turn;
	return it->heed_due && !subscriber_due(it);
}

/*
 * Visits subscribers whose records and slots are contiguous in memory, from it->next on. *cost: since the last look at
 * the clock.
 */
static int iterate_run(struct subscriber_iterator *it, uint64_t n, uint32_t *cost, uint64_t deadline_us,
		       subscriber_visit visit, void *arg)
{
	enter_subscriber(it, (uint32_t)it->next);
	for (uint64_t i = 0; i < n; i++) {
		if (passed_over(it)) {
			*cost += 1;
		} else {
			it->cost = it->n_slots;
			if (visit(it, arg))
				return 1;
			*cost += it->cost;
		}
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

int subscriber_iterate(struct subscriber_iterator *it, uint64_t deadline_us, subscriber_visit visit, void *arg)
{
	uint32_t cost = 0;

	it->now = datapath_ticks(mappings_datapath(it->m));
	while (it->next <= it->last) {
		uint32_t first, end;
		int number = mappings_next_inside(it->m, (uint32_t)it->next, &first, &end);

		if (number < 0)
			break;
		enter_mapping(it, number);

		const struct geometry *g = &it->map->geo;
		uint64_t last = end;

		if (it->next < first)
			it->next = first;
		if (last > it->last)
			last = it->last;
		while (it->next <= last) {
			uint64_t n = mappings_run(it->m, number, mapping_subscriber(g, (uint32_t)it->next));

			if (n > last - it->next + 1)
				n = last - it->next + 1;
			if (iterate_run(it, n, &cost, deadline_us, visit, arg))
				return 1;
		}
	}
	it->next = it->last + 1;
	return 0;
}
