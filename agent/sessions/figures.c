/* SPDX-License-Identifier: BSD-2-Clause */
/* The figures of one subscriber. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "sessions/sessions_private.h"

struct subscriber_counter {
	struct mappings *m;
	uint32_t in_addr;
	struct overflow_scan scan;
	bool scanned;
	uint32_t overflow; /* sessions found so far */
};

int subscriber_find_any(struct subscriber_iterator *it, struct mappings *m, uint32_t in_addr)
{
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	if (!subscriber_find(it, m, in_addr))
		return 0;
	for (size_t i = n; i-- > 0;) {
		if (!prefix_contains(d[i].in.base, d[i].in.plen, in_addr))
			continue;
		subscriber_find_of(it, m, d[i].number, in_addr);
		return 0;
	}
	return -ENOENT;
}

struct elsewhere subscriber_elsewhere(struct mappings *m, const struct subscriber_iterator *it)
{
	struct elsewhere sum = { 0 };
	const struct mapping_drain *d;
	size_t n = mappings_drains(m, &d);

	for (size_t i = 0; i < n; i++) {
		struct subscriber_iterator other;

		if (!prefix_contains(d[i].in.base, d[i].in.plen, it->in_addr) || d[i].number == it->number)
			continue;
		subscriber_find_of(&other, m, d[i].number, it->in_addr);
		sum.in_slots += slots_count(other.slots, other.n_slots, &other.limits, other.now);
		sum.overflow += overflow_count(other.subscriber);
		sum.recorded += __atomic_load_n(&other.subscriber->sessions, __ATOMIC_RELAXED);
	}
	return sum;
}

int subscriber_counter_new(struct mappings *m, uint32_t in_addr, struct subscriber_counter **ret)
{
	struct subscriber_iterator it;
	int r = subscriber_find_any(&it, m, in_addr);
	struct subscriber_counter *c = r ? NULL : calloc(1, sizeof(*c));

	if (!c)
		return r ? r : -ENOMEM;
	c->m = m;
	c->in_addr = in_addr;
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
		c->overflow += c->scan.keys[i].direction == OVERFLOW_IN2OUT && c->scan.keys[i].in_addr == c->in_addr &&
			       mappings_of_overflow(c->m, &c->scan.keys[i]) >= 0 &&
			       counts_now(&it->limits, c->scan.sessions[i].truth, it->now);
	return r;
}

int subscriber_counter_step(struct subscriber_counter *c, unsigned budget_us, struct subscriber_figures *ret)
{
	uint64_t deadline_us = monotonic_us() + budget_us;
	struct subscriber_iterator it;
	int r = subscriber_find_any(&it, c->m, c->in_addr);

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
		.sessions = slots_count(it.slots, it.n_slots, &it.limits, it.now) +
			    subscriber_elsewhere(c->m, &it).in_slots + c->overflow,
		.quota = it.map->sessions_per_user,
		.quota_exceeded = __atomic_load_n(&it.subscriber->refused, __ATOMIC_RELAXED),
	};
	return 0;
}
