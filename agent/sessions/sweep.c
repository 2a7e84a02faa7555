/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sweep. A subscriber is looked at when the first of its sessions may have expired; until then, or without
 * sessions, it costs a load or two. A share of the subscribers without sessions is looked at in each sweep, because
 * sessions in time-wait are not counted but still occupy slots.
 */
#include <bpf/bpf.h>
#include <errno.h>

#include <detnat/extents.h>

#include "sessions/granted_ports.h"
#include "sessions/sessions_private.h"
#include "tables/extent_reuse.h"
#include "tables/mapping_tables.h"

/*
 * OUT2IN entries of the overflow without their IN2OUT entry: their deletion failed because the kernel held the lock of
 * their hash bucket. Such an entry blocks its port.
 */

#define ORPHANS_MAX 256U

/* Entries that looked like orphans. */
struct overflow_orphans {
	unsigned n;
	struct {
		struct overflow_key out2in;
		struct overflow_key in2out;
	} found[ORPHANS_MAX];
};

static bool is_orphan(const struct datapath *d, const struct overflow_key *out2in, const struct overflow_key *in2out)
{
	uint64_t word;
	int r = overflow_word(d, in2out, &word);

	return r ? r == -ENOENT : word_out_port(word) != out2in->port;
}

/* Examines an OUT2IN entry. Orphans beyond ORPHANS_MAX are left for the next pass. */
static void overflow_orphans_look(struct overflow_orphans *o, const struct datapath *d,
				  const struct overflow_key *out2in, const struct overflow_session *session)
{
	struct overflow_key in2out = overflow_key_reverse(out2in, session->in_port);

	if (o->n == ORPHANS_MAX || !is_orphan(d, out2in, &in2out))
		return;
	o->found[o->n].out2in = *out2in;
	o->found[o->n].in2out = in2out;
	o->n++;
}

/* Deletes those that are still orphans after a grace period. */
static void overflow_orphans_remove(struct overflow_orphans *o, struct mappings *m)
{
	struct datapath *d = mappings_datapath(m);

	if (o->n)
		datapath_grace_period(d);
	for (unsigned i = 0; i < o->n; i++)
		if (is_orphan(d, &o->found[i].out2in, &o->found[i].in2out))
			overflow_delete_orphan(d, &o->found[i].out2in, &o->found[i].in2out);
	o->n = 0;
}

/* Subscribers without sessions, and orphans, are looked at in one sweep out of this many, a power of two. */
#define TURNS 64U

struct session_sweep {
	struct subscriber_iterator it;
	struct overflow_scan scan;
	struct overflow_orphans orphans;
	struct granted_port_scan granted;
	bool slots_done, overflow_done;
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
	overflow_scan_end(&s->scan);
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

static void tell(session_visit closed, void *arg, struct subscriber_iterator *it, uint64_t key, uint64_t word)
{
	if (!closed)
		return;

	struct session s = session_of(it->map, it->in_addr, key, word, it->now, mappings_datapath(it->m)->hz);

	closed(&s, arg);
	it->cost += TELL_COST;
}

static __attribute__((noinline)) void free_expired(struct freeing *f, struct subscriber_iterator *it, struct slot *slot)
{
	uint64_t key, word;

	if (!slot_read(slot, &key, &word) || (word_out_port(word) && !too_old(&it->limits, word, it->now)) ||
	    !slot_free(it, slot, word))
		return;
	f->n++;
	tell(f->closed, f->arg, it, key, word);
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

static void sweep_overflow_session(struct session_sweep *s, const struct overflow_key *in2out, uint64_t word)
{
	struct mappings *m = s->it.m;
	struct datapath *d = mappings_datapath(m);
	int number = mappings_of_overflow(m, in2out);

	/* Entries without a mapping are deleted with the mapping's memory. */
	if (number < 0)
		return;
	if (word_out_port(word) && !word_expired(word, s->it.now, mappings_get(m, number)->timeout_ticks)) {
		binding_keep(m, number, in2out->in_addr, overflow_slot_key(in2out), word, s->it.now);
		return;
	}

	struct subscriber_iterator one;

	/* It may have been refreshed since it was read. */
	if (!mapping_has_slots(mappings_get(m, number)))
		return;
	subscriber_find_of(&one, m, number, in2out->in_addr);
	if (overflow_word(d, in2out, &word) || (word_out_port(word) && !too_old(&one.limits, word, one.now)))
		return;

	if (overflow_delete(d, in2out, word, one.subscriber, subscriber_line(&one)))
		tell(s->closed, s->arg, &one, overflow_slot_key(in2out), word);
}

/* Processes a batch: 1: more to do, 0: done, or -errno. */
static int sweep_overflow(struct session_sweep *s)
{
	const struct datapath *d = mappings_datapath(s->it.m);
	int r = overflow_scan_step(&s->scan, d);

	s->it.now = datapath_ticks(d);
	for (uint32_t i = 0; r >= 0 && i < s->scan.n; i++) {
		const struct overflow_key *key = &s->scan.keys[i];

		if (key->direction == OVERFLOW_IN2OUT)
			sweep_overflow_session(s, key, s->scan.sessions[i].truth);
		else if (key->port % TURNS == s->it.idle_turn)
			overflow_orphans_look(&s->orphans, d, key, &s->scan.sessions[i]);
	}
	if (r <= 0)
		overflow_orphans_remove(&s->orphans, s->it.m);
	return r;
}

static int sweep_granted(const struct granted_port *p, void *arg)
{
	const struct session_sweep *s = arg;

	granted_port_sweep(s->it.m, p, s->it.now);
	return 0;
}

/* After the overflow, whose sessions keep them. 1: more to do, 0: done, or -errno. */
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
	int r = 0;

	s->closed = closed;
	s->arg = arg;
	s->deadline_us = monotonic_us() + budget_us;
	if (!s->slots_done) {
		if (subscriber_iterate(&s->it, s->deadline_us, visit_subscriber, s))
			return 1;
		s->slots_done = true;
		extents_reclaim(mappings_datapath(s->it.m));
	}
	while (!s->overflow_done && (r = sweep_overflow(s)) > 0)
		if (monotonic_us() >= s->deadline_us)
			return 1;
	if (!s->overflow_done) {
		overflow_scan_end(&s->scan);
		if (r < 0)
			return r;
		s->overflow_done = true;
	}
	return sweep_granted_ports(s);
}
