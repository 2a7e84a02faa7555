/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts all sessions. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"

/*
 * Slots counted one by one, for some milliseconds. Beyond that the subscriber's record is trusted as long as none of
 * its sessions can have expired. It is right except for a session that took a shorter timeout without a packet from
 * inside (an idle connection closed by the outside), until the next sweep. A subscriber with a session that may have
 * expired is swept here, as it soon would be anyway, which makes the next count cheaper; it frees at most this many
 * sessions.
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

/* The count of a drain, which begins at 0; NULL: there are more drains than possible at a time. */
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

/* The place in which sessions of a mapping's inside addresses that drain (d), or do not (NULL), are counted. */
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
		c->looked += c->looked < EXACT_SLOTS ? subscriber_slots(it) : 0;
		*count += subscriber_count(it);
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

/* The figures of one subscriber. */

struct subscriber_counter {
	struct mappings *m;
	uint64_t place;
	struct overflow_scan scan;
	bool scanned;
	uint32_t overflow; /* sessions found so far */
};

struct elsewhere subscriber_elsewhere(struct mappings *m, const struct subscriber_iterator *it)
{
	struct elsewhere sum = { 0 };
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; i < n; i++) {
		struct subscriber_iterator other;

		if (!drain_holds(m, &d[i], subscriber_place(it)) || d[i].number == it->number)
			continue;
		subscriber_find_of(&other, m, d[i].number, it->in_addr);
		sum.in_slots += subscriber_count(&other);
		sum.overflow += overflow_count(other.subscriber);
		sum.recorded += __atomic_load_n(&other.subscriber->sessions, __ATOMIC_RELAXED);
	}
	return sum;
}

int subscriber_counter_new(struct mappings *m, uint64_t place, struct subscriber_counter **ret)
{
	struct subscriber_iterator it;
	int r = subscriber_find_any(&it, m, place);
	struct subscriber_counter *c = r ? NULL : calloc(1, sizeof(*c));

	if (!c)
		return r ? r : -ENOMEM;
	c->m = m;
	c->place = subscriber_place(&it);
	c->scanned = !overflow_count(it.subscriber) && !subscriber_elsewhere(m, &it).overflow;
	*ret = c;
	return 0;
}

void subscriber_counter_free(struct subscriber_counter *c)
{
	if (!c)
		return;
	overflow_scan_end(&c->scan);
	free(c);
}

/* Whether a session beyond the slots, in its IN2OUT entry, is the subscriber's. */
static bool is_of(const struct subscriber_counter *c, const struct overflow_key *key)
{
	int number;

	if (key->direction != OVERFLOW_IN2OUT || key->in_addr != inside_addr(c->place))
		return false;
	number = mappings_of_overflow(c->m, key);
	return number >= 0 && mappings_get(c->m, number)->tenant == inside_tenant(c->place);
}

/* Processes a batch of all overflow sessions: 1: more to do, 0: done, or -errno. */
static int scan_step(struct subscriber_counter *c, const struct subscriber_iterator *it)
{
	int r = overflow_scan_step(&c->scan, mappings_datapath(c->m));

	if (r == -EAGAIN) { /* the map has been replaced */
		overflow_scan_end(&c->scan);
		c->overflow = 0;
		return 1;
	}
	for (uint32_t i = 0; r >= 0 && i < c->scan.n; i++)
		c->overflow +=
			is_of(c, &c->scan.keys[i]) && counts_now(&it->limits, c->scan.sessions[i].truth, it->now);
	return r;
}

int subscriber_counter_step(struct subscriber_counter *c, unsigned budget_us, struct subscriber_figures *ret)
{
	uint64_t deadline_us = monotonic_us() + budget_us;
	struct subscriber_iterator it;
	int r = subscriber_find_any(&it, c->m, c->place);

	while (!r && !c->scanned) {
		r = scan_step(c, &it);
		c->scanned = !r;
		if (r > 0 && monotonic_us() >= deadline_us)
			return 1;
		r = r < 0 ? r : 0;
	}
	if (r)
		return r;
	*ret = (struct subscriber_figures){
		.sessions = subscriber_count(&it) + subscriber_elsewhere(c->m, &it).in_slots + c->overflow,
		.quota = it.map->sessions_per_user,
		.quota_exceeded = __atomic_load_n(&it.subscriber->refused, __ATOMIC_RELAXED),
	};
	return 0;
}
