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
	*count += __atomic_load_n(&it->subscriber->sessions, __ATOMIC_RELAXED);
	return 0;
}

int session_counter_step(struct session_counter *c, unsigned budget_us, struct session_count *ret)
{
	if (subscriber_iterate(&c->it, monotonic_us() + budget_us, count_subscriber, c))
		return 1;
	c->count.total = 0;
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		c->count.total += c->count.by_mapping[i];
	for (size_t i = 0; i < c->count.n_drains; i++)
		c->count.total += c->count.by_drain[i].sessions;
	*ret = c->count;
	return 0;
}

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
		sum.recorded += __atomic_load_n(&other.subscriber->sessions, __ATOMIC_RELAXED);
	}
	return sum;
}

int subscriber_figures_read(struct mappings *m, uint64_t place, struct subscriber_figures *ret)
{
	struct subscriber_iterator it;
	int r = subscriber_find_any(&it, m, place);

	if (r)
		return r;
	*ret = (struct subscriber_figures){
		.sessions = subscriber_count(&it) + subscriber_elsewhere(m, &it).in_slots,
		.quota = it.map->sessions_per_user,
		.quota_exceeded = __atomic_load_n(&it.subscriber->refused, __ATOMIC_RELAXED),
	};
	return 0;
}
