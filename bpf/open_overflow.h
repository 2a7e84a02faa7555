/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opening beyond the slots: both buckets are full, or the first choice's group has no free port. Any free port of the
 * block will do, as the map finds it by either endpoint.
 */
#ifndef DETNAT_OPEN_OVERFLOW_H
#define DETNAT_OPEN_OVERFLOW_H

#include "open.h"

/* A walk through the groups of the block, from the first choice's on, for a port that is free. */
struct port_search {
	const struct flow *f;
	struct subscriber *s;
	__u32 first_group;
	__u32 groups;
	__u32 give_up; /* take the ports of what is no session any more, as none is free */
};

/* What the walk leaves in opening.port beside an offset in the block. */
#define PORT_NONE	 (-1)
#define PORT_OF_EXISTING (-2) /* another core has opened the flow since */

/*
 * A port of the group from those that are sessions no more: expired ones beyond the slots, and last of all one in
 * time-wait. Returns whether there was one.
 */
static __always_inline long port_give_up(struct opening *o, const struct bucket_choice *b, const struct flow *f,
					 struct subscriber *s)
{
	__u32 first = LOAD(o->port_offset), size = group_size(first, f->m->geo.ports_per_host);
	struct slot *slot;
	__u64 truth, key;

	for (__u32 k = 0; k < PORT_GROUP && k < size; k++) {
		__u32 offset = group_candidate(first, size, k);

		if (LOAD(o->ports_used) & (1U << (offset & (PORT_GROUP - 1))))
			continue;
		if (!overflow_port_used(f, s, LOAD(o->port_lo) + offset)) {
			opening_choose(o, (__s32)offset);
			return 1;
		}
	}
	if (!LOAD(o->time_wait_port))
		return 0;
	slot = opening_slot(b, LOAD(o->time_wait_port));
	truth = LOAD(slot->truth);
	key = LOAD(slot->key);
	if (truth_state(truth) != SESSION_TIME_WAIT || !slot_change(slot, truth, 0))
		return 0;
	slot_closed(f->m, f->subscriber, key, truth);
	opening_choose(o, (__s32)(truth_out_port(truth) - LOAD(o->port_lo)));
	return 1;
}

static long port_search_group(__u32 i, struct port_search *ps)
{
	const struct flow *f = ps->f;
	__u32 group = ps->first_group + i;
	struct bucket_choice b;

	if (group >= ps->groups)
		group -= ps->groups;

	struct opening *o = open_scan(f, ps->s, i ? group << PORT_GROUP_SHIFT : f->port_offset, &b);

	if (!o)
		return 1;
	if (!i && LOAD(o->existing)) {
		opening_choose(o, PORT_OF_EXISTING);
		return 1;
	}
	if (ps->give_up)
		return port_give_up(o, &b, f, ps->s);
	return opening_port(o, f, ps->s) >= 0;
}

/* Under the lock: the port found, as opening.port says. */
static __always_inline __s32 port_search(const struct flow *f, struct subscriber *s)
{
	struct port_search ps = {
		.f = f,
		.s = s,
		.first_group = f->port_offset >> PORT_GROUP_SHIFT,
		.groups = (f->m->geo.ports_per_host + PORT_GROUP - 1) >> PORT_GROUP_SHIFT,
	};
	struct opening *o = opening_get(f, f->port_offset);

	if (!o)
		return PORT_NONE;
	opening_choose(o, PORT_NONE);
	bpf_loop(ps.groups, port_search_group, &ps, 0);
	if (LOAD(o->port) == PORT_NONE) {
		ps.give_up = 1;
		bpf_loop(ps.groups, port_search_group, &ps, 0);
	}
	return LOAD(o->port);
}

/* Both entries of a session that is admitted and counted. 0, or -errno of the map with neither of them there. */
static __always_inline long overflow_insert(const struct flow *f, __u16 out_port, __u64 truth)
{
	struct overflow_key in = overflow_key_of_flow(f);
	struct overflow_key out = overflow_key_out(mapping_out_addr(&f->m->geo, f->subscriber), out_port, f->p.dst,
						   f->p.dport, f->p.proto);
	struct overflow_session session = { .in_addr = f->p.src, .in_port = f->p.sport };
	long r = bpf_map_update_elem(&overflow, &out, &session, BPF_NOEXIST);

	if (r)
		return r;
	session.truth = truth;
	r = bpf_map_update_elem(&overflow, &in, &session, BPF_NOEXIST);
	if (r)
		bpf_map_delete_elem(&overflow, &out);
	return r;
}

#define EEXIST 17

/*
 * Under the lock, with a port that is free: OPENED with *ret_truth set, OPEN_EXISTS, or no room. Not inline for its
 * keys' sake: with them the search for a port would have no room on the stack.
 */
static __noinline enum opened open_overflow_session(const struct flow *f, struct subscriber *s, __u16 out_port,
						    __u64 *ret_truth)
{
	__u64 truth = slot_truth(out_port, f->p.proto, open_state(&f->p), f->now);
	enum opened opened = OPEN_AT_QUOTA;

	if (overflow_admit(s))
		return OPEN_NO_ROOM;
	if (!quota_take(f, s)) {
		long r;

		__sync_fetch_and_add(&s->overflow, 1);
		r = overflow_insert(f, out_port, truth);
		if (!r) {
			count_add(REASON_sessions_opened, 1);
			count_add(REASON_sessions_overflowed, 1);
			session_notify(EVENT_SESSION_OPENED, f, out_port);
			*ret_truth = truth;
			return OPENED;
		}
		opened = r == -EEXIST ? OPEN_EXISTS : OPEN_NO_ROOM;
		__sync_fetch_and_add(&s->overflow, -1U);
		__sync_fetch_and_add(&s->sessions, -1U);
	}
	overflow_release();
	return opened;
}

/*
 * Opens a session of a packet from inside beyond the slots, on any port of the block, under the lock. Returns enum
 * opened; OPEN_LOST where the lock is held for too long, too.
 */
STEP int open_beyond_slots(const struct mapping *m, struct subscriber *s, const struct packet *p, __u64 *ret_truth)
{
	enum opened opened;
	struct flow f;
	__s32 port;

	if (!m || !s || !p || !ret_truth)
		return OPEN_LOST;
	f = flow_of(m, p);
	if (open_lock(s))
		return OPEN_LOST;
	port = port_search(&f, s);
	if (port >= 0)
		opened =
			open_overflow_session(&f, s, (__u16)(mapping_port_lo(&m->geo, f.subscriber) + port), ret_truth);
	else
		opened = port == PORT_NONE ? OPEN_NO_PORT : OPEN_EXISTS;
	open_unlock(s);
	return opened;
}

/* The leaf: a flow from inside that found no room in its slots. */
static __always_inline int open_overflow(ctx_t *ctx)
{
	struct in2out io;
	struct subscriber *s;
	int verdict = open_prepare(ctx, &io, &s);

	if (verdict != GO_ON)
		return verdict;

	__u64 truth = 0;

	switch (open_beyond_slots(io.f.m, s, &io.f.p, &truth)) {
	case OPENED:
		return open_finish(ctx, &io, truth);
	case OPEN_NO_PORT:
		return refuse(ctx, REASON_drop_ports_exhausted);
	case OPEN_NO_ROOM:
		return refuse(ctx, REASON_drop_overflow_full);
	case OPEN_AT_QUOTA:
		return refuse(ctx, REASON_drop_quota);
	case OPEN_EXISTS:
		/* Another core was faster: the flow's session is there by now. */
		return leaf_call(ctx, LEAF_open);
	default:
		return drop(REASON_drop_busy);
	}
}

#endif
