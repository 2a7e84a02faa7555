/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts of all sessions. */
#include <errno.h>
#include <string.h>

#include "sessions_private.h"

/*
 * Slots counted one by one, some milliseconds' worth. Beyond them the subscriber's record is believed while none of his
 * sessions can have expired. It is right but for a session that took a shorter timeout without a packet from inside (an
 * idle connection that the outside closed), until the sweep looks again.
 */
#define EXACT_SLOTS (1U << 20)

struct session_counter {
	uint32_t looked; /* slots */
	struct subscriber_iterator it;
	struct overflow_scan scan;
	bool slots_done;
	struct session_count count;
};

int session_counter_new(struct mappings *m, struct session_counter **ret)
{
	struct session_counter *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	subscriber_iterator_init(&c->it, m);
	c->it.idle_turn = 1; /* under a mask of 0: nobody without sessions */
	*ret = c;
	return 0;
}

void session_counter_free(struct session_counter *c)
{
	if (!c)
		return;
	overflow_scan_end(&c->scan);
	free(c);
}

/* Sessions in slots, by the subscriber's record. */
static uint32_t slots_recorded(const struct subscriber *s)
{
	uint32_t sessions = __atomic_load_n(&s->sessions, __ATOMIC_RELAXED);
	uint32_t overflow = __atomic_load_n(&s->overflow, __ATOMIC_RELAXED);

	return sessions > overflow ? sessions - overflow : 0;
}

/* Sessions in slots, looked at; where none has expired, the next look can wait as after a sweep. */
static uint32_t count_slots(const struct subscriber_iterator *it)
{
	const struct age_limits *limits = &it->limits;
	int64_t first = it->due_max;
	uint32_t count = 0;

	for (uint32_t i = 0; i < it->n_slots; i++) {
		uint64_t truth = load_truth(&it->slots[i]);
		int64_t left = ticks_left(limits, truth, it->now);

		first = left < first ? left : first;
		count += counts_now(limits, truth, it->now);
	}
	if (it->due && first >= 0)
		*it->due = it->now + (uint32_t)first + 1;
	return count;
}

static int count_subscriber(struct subscriber_iterator *it, void *arg)
{
	struct session_counter *c = arg;
	uint64_t *count = &c->count.by_mapping[it->number];

	if (c->looked >= EXACT_SLOTS && !subscriber_due(it)) {
		it->cost = 1;
		*count += slots_recorded(it->subscriber);
		return 0;
	}
	c->looked += c->looked < EXACT_SLOTS ? it->n_slots : 0;
	*count += count_slots(it);
	return 0;
}

static int count_overflow(struct session_counter *c)
{
	struct mappings *m = c->it.m;
	const struct datapath *d = mappings_datapath(m);
	int r = overflow_scan_step(&c->scan, d);
	uint32_t now = datapath_ticks(d);

	for (uint32_t i = 0; r >= 0 && i < c->scan.n; i++) {
		if (c->scan.keys[i].direction != OVERFLOW_IN2OUT)
			continue;

		int number = mappings_find_inside(m, c->scan.keys[i].addr);

		if (number >= 0 && truth_counts(c->scan.sessions[i].truth, now, mappings_get(m, number)->timeout_ticks))
			c->count.by_mapping[number]++;
	}
	return r;
}

int session_counter_step(struct session_counter *c, unsigned budget_us, struct session_count *ret)
{
	uint64_t deadline_us = monotonic_us() + budget_us;
	int r;

	if (!c->slots_done) {
		if (subscriber_iterate(&c->it, deadline_us, count_subscriber, c))
			return 1;
		c->slots_done = true;
	}
	while ((r = count_overflow(c)) > 0)
		if (monotonic_us() >= deadline_us)
			return 1;
	overflow_scan_end(&c->scan);
	if (r < 0)
		return r;
	c->count.total = 0;
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		c->count.total += c->count.by_mapping[i];
	*ret = c->count;
	return 0;
}
