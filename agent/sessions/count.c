/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts all sessions. */
#include <errno.h>
#include <string.h>

#include "sessions/sessions_private.h"

/*
 * Slots counted one by one, for some milliseconds. Beyond that the subscriber's record is trusted as long as none of
 * its sessions can have expired. It is right except for a session that took a shorter timeout without a packet from
 * inside (an idle connection closed by the outside), until the next sweep. A subscriber with a session that may have
 * expired is swept here, as it soon would be anyway, which makes the next count cheaper; at most this many sessions are
 * freed.
 */
#define EXACT_SLOTS (1U << 20)
#define MAX_FREED   (1U << 16)

struct session_counter {
	uint32_t looked; /* slots */
	uint32_t freed;	 /* sessions */
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
	c->it.idle_turn = 1; /* under a mask of 0: skips those without sessions */
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

/* The count of a drain, which begins at 0; NULL: of more drains than there can be at a time. */
static struct drain_count *count_of(struct session_count *c, const struct mapping_drain *d)
{
	for (size_t i = c->n_drains; i-- > 0;)
		if (c->by_drain[i].number == d->number && prefix_equal(c->by_drain[i].in, d->in))
			return &c->by_drain[i];
	if (c->n_drains == MAX_DRAINS)
		return NULL;
	c->by_drain[c->n_drains] = (struct drain_count){ .in = d->in, .number = d->number };
	return &c->by_drain[c->n_drains++];
}

/* Where sessions of a mapping's inside addresses count that drain (d), or do not (NULL). */
static uint64_t *place_of(struct session_count *c, int number, const struct mapping_drain *d)
{
	struct drain_count *of_drain = d && !d->whole ? count_of(c, d) : NULL;

	return of_drain ? &of_drain->sessions : &c->by_mapping[number];
}

uint64_t session_count_of_drain(const struct session_count *c, const struct mapping_drain *d)
{
	if (d->whole)
		return c->by_mapping[d->number];
	for (size_t i = 0; i < c->n_drains; i++)
		if (c->by_drain[i].number == d->number && prefix_equal(c->by_drain[i].in, d->in))
			return c->by_drain[i].sessions;
	return 0;
}

/* Sessions in slots, according to the subscriber's record. */
static uint32_t slots_recorded(const struct subscriber *s)
{
	uint32_t sessions = __atomic_load_n(&s->sessions, __ATOMIC_RELAXED);
	uint32_t overflow = overflow_count(s);

	return sessions > overflow ? sessions - overflow : 0;
}

static int count_subscriber(struct subscriber_iterator *it, void *arg)
{
	struct session_counter *c = arg;
	uint64_t *count = place_of(&c->count, it->number, subscriber_iterator_at(it));
	bool due = subscriber_due(it);

	if (c->looked < EXACT_SLOTS || (due && c->freed >= MAX_FREED)) {
		c->looked += c->looked < EXACT_SLOTS ? it->n_slots : 0;
		*count += slots_count(it->slots, it->n_slots, &it->limits, it->now);
		return 0;
	}
	if (due)
		c->freed += sweep_subscriber(it, it->m->on_close, it->m->on_close_arg);
	else
		it->cost = 1;
	*count += slots_recorded(it->subscriber);
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

		int number = mappings_of_overflow(m, &c->scan.keys[i]);

		if (number >= 0 && word_counts(c->scan.sessions[i].truth, now, mappings_get(m, number)->timeout_ticks))
			(*place_of(&c->count, number, mappings_drain_of(m, number, c->scan.keys[i].in_addr)))++;
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
	for (size_t i = 0; i < c->count.n_drains; i++)
		c->count.total += c->count.by_drain[i].sessions;
	*ret = c->count;
	return 0;
}
