/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sweep. A subscriber is looked at when the first of its sessions may have expired; until then, or without
 * sessions, it costs a load or two. A share of the subscribers without sessions is looked at in each sweep, because
 * sessions in time-wait are not counted but still occupy slots.
 */
#include <errno.h>

#include <detnat/extents.h>

#include "sessions/granted_ports.h"
#include "sessions/sessions_private.h"
#include "tables/extent_reuse.h"
#include "tables/mapping_tables.h"

/* Subscribers without sessions are looked at in one sweep out of this many, a power of two. */
#define TURNS 64U

struct session_sweep {
	struct subscriber_iterator it;
	struct granted_port_scan granted;
	bool slots_done;
	uint64_t deadline_us;
	session_visit closed;
	void *arg;
};

int session_sweep_new(struct mappings *m, struct session_sweep **ret)
{
	struct session_sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	subscriber_iterator_init(&s->it, m);
	s->it.heed_due = true;
	s->it.tallies = true;
	s->it.idle_mask = TURNS - 1;
	s->it.idle_turn = m->sweeps++ % TURNS;
	*ret = s;
	return 0;
}

void session_sweep_free(struct session_sweep *s)
{
	if (!s)
		return;
	granted_ports_end(&s->granted);
	free(s);
}

/* Where a subscriber's freed sessions are reported, and their number. */
struct freeing {
	session_visit closed;
	void *arg;
	uint32_t n;
};

/* The cost of reporting one, in slots read. */
#define TELL_COST 16U

static __attribute__((noinline)) void free_expired(struct freeing *f, struct subscriber_iterator *it, struct slot *slot)
{
	struct session s = { 0 };
	uint64_t key, word;

	if (!slot_read(slot, &key, &word) || (word_out_port(word) && !too_old(&it->limits, word, it->now)))
		return;
	/* Before it is free: another session may have its host's line then. */
	if (f->closed)
		s = session_of(it->m, it->map, it->in_addr, key, word, it->now);
	if (!slot_free(it, slot, word))
		return;
	f->n++;
	if (!f->closed)
		return;
	f->closed(&s, f->arg);
	it->cost += TELL_COST;
}

/*
 * Sessions with outside port 0, which releases of before opened where first_port is 0. No answer ever reaches them;
 * once they have ended, their flows get another port.
 */
static void free_those_of_port_zero(struct freeing *f, struct subscriber_iterator *it)
{
	const struct geometry *g = &it->map->geo;

	if (mapping_port_lo(g, mapping_subscriber(g, it->in_addr)))
		return;
	for (uint32_t i = 0; i < it->n_slots; i++)
		if (!word_out_port(load_truth(&it->slots[i])))
			free_expired(f, it, &it->slots[i]);
}

/* Frees those that have expired. Returns the ticks until the next one does, `first` at most. */
static int64_t sweep_slots(struct freeing *f, struct subscriber_iterator *it, struct slot *slots, uint32_t n,
			   int64_t first)
{
	const struct age_limits *limits = &it->limits;
	uint32_t now = it->now;

	for (uint32_t i = 0; i < n; i++) {
		int64_t left = ticks_left(limits, load_truth(&slots[i]), now);

		if (__builtin_expect(left < first, 0)) {
			if (left < 0)
				free_expired(f, it, &slots[i]);
			else
				first = left;
		}
	}
	return first;
}

/* Gives up an extent in which no session is left, and no signpost. */
static void sweep_extent(const struct subscriber_iterator *it)
{
	const struct extent_slots slots = extent_slots_of(it);
	uint32_t extent = subscriber_extent(it->subscriber);

	if (signposts_sweep(&slots, it->now) && slots.n)
		extent_give_up(mappings_datapath(it->m), it->number, mapping_subscriber(&it->map->geo, it->in_addr),
			       extent);
}

uint32_t sweep_subscriber(struct subscriber_iterator *it, session_visit closed, void *arg)
{
	struct freeing freeing = { closed, arg, 0 };
	int64_t first;

	free_those_of_port_zero(&freeing, it);
	first = sweep_slots(&freeing, it, it->slots, it->n_slots, it->due_max);
	first = sweep_slots(&freeing, it, it->beyond, it->n_beyond, first);
	sweep_extent(it);
	if (it->due)
		*it->due = it->now + (uint32_t)first + 1;
	return freeing.n;
}

static int visit_subscriber(struct subscriber_iterator *it, void *arg)
{
	const struct session_sweep *s = arg;

	sweep_subscriber(it, s->closed, s->arg);
	bindings_sweep(it);
	return 0;
}

static int sweep_granted(const struct granted_port *p, void *arg)
{
	const struct session_sweep *s = arg;

	granted_port_sweep(s->it.m, p, s->it.now);
	return 0;
}

/* After the sessions, which keep them. 1: more to do, 0: done, or -errno. */
static int sweep_granted_ports(struct session_sweep *s)
{
	const struct datapath *d = mappings_datapath(s->it.m);
	int r;

	s->it.now = datapath_ticks(d);
	while ((r = granted_ports_step(&s->granted, d, sweep_granted, s)) > 0)
		if (monotonic_us() >= s->deadline_us)
			return 1;
	granted_ports_end(&s->granted);
	return r;
}

int session_sweep_step(struct session_sweep *s, unsigned budget_us, session_visit closed, void *arg)
{
	s->closed = closed;
	s->arg = arg;
	s->deadline_us = monotonic_us() + budget_us;
	if (!s->slots_done) {
		if (subscriber_iterate(&s->it, s->deadline_us, visit_subscriber, s))
			return 1;
		s->slots_done = true;
		extents_reclaim(mappings_datapath(s->it.m));
	}
	return sweep_granted_ports(s);
}
