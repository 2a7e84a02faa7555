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
	__u32 first_group;
	__u32 groups;
	struct subscriber *s;
	__s32 found; /* offset in the block, or -1 */
};

static long port_search_group(__u32 i, struct port_search *ps)
{
	const struct flow *f = ps->f;
	__u32 group = ps->first_group + i;
	struct bucket_choice b;

	if (group >= ps->groups)
		group -= ps->groups;

	struct opening *o = opening_get(f, i ? group << PORT_GROUP_SHIFT : f->port_offset);

	if (!o || bucket_choice_get(f->m, f->subscriber, f->p.dst, f->p.dport, f->p.proto, LOAD(o->port_offset), &b))
		return 1;
	opening_scan(o, &b, f->now, f->m->timeout_ticks);
	if (LOAD(o->freed))
		__sync_fetch_and_add(&ps->s->sessions, -LOAD(o->freed));
	ps->found = opening_port(o, f, 1);
	return ps->found >= 0;
}

/* Under the lock: *ret_truth of the session opened, or the reason why not. OPENED is told by 0. */
static __always_inline enum reason open_overflow_session(const struct flow *f, struct subscriber *s, __u64 *ret_truth)
{
	struct port_search ps = {
		.f = f,
		.s = s,
		.first_group = f->port_offset >> PORT_GROUP_SHIFT,
		.groups = (f->m->geo.ports_per_host + PORT_GROUP - 1) >> PORT_GROUP_SHIFT,
		.found = -1,
	};

	bpf_loop(ps.groups, port_search_group, &ps, 0);
	if (ps.found < 0)
		return REASON_drop_ports_exhausted;
	if (overflow_admit(s))
		return REASON_drop_overflow_full;

	__u16 out_port = (__u16)(mapping_port_lo(&f->m->geo, f->subscriber) + ps.found);
	__u32 out_addr = mapping_out_addr(&f->m->geo, f->subscriber);
	struct overflow_key in = overflow_key_in(f->p.src, f->p.sport, f->p.dst, f->p.dport, f->p.proto);
	struct overflow_key out = overflow_key_out(out_addr, out_port, f->p.dst, f->p.dport, f->p.proto);
	struct overflow_session session = { .in_addr = f->p.src, .in_port = f->p.sport };
	enum reason reason = REASON_drop_quota;

	if (!quota_take(f, s)) {
		__sync_fetch_and_add(&s->overflow, 1);
		reason = REASON_drop_overflow_full;
		if (!bpf_map_update_elem(&overflow, &out, &session, BPF_NOEXIST)) {
			session.truth = slot_truth(out_port, f->p.proto, open_state(&f->p), f->now);
			if (!bpf_map_update_elem(&overflow, &in, &session, BPF_NOEXIST)) {
				count_add(REASON_sessions_opened, 1);
				count_add(REASON_sessions_overflowed, 1);
				session_notify(EVENT_SESSION_OPENED, f, out_port);
				*ret_truth = session.truth;
				return 0;
			}
			bpf_map_delete_elem(&overflow, &out);
		}
		__sync_fetch_and_add(&s->overflow, -1U);
		__sync_fetch_and_add(&s->sessions, -1U);
	}

	struct globals *g = globals_get();

	if (g)
		__sync_fetch_and_add(&g->overflow, -1LL);
	return reason;
}

/* The leaf: a flow from inside that found no room in its slots. */
static __always_inline int open_overflow(ctx_t *ctx)
{
	struct in2out io;
	int verdict = in2out_prepare(ctx, &io);

	if (verdict != GO_ON)
		return verdict;

	struct subscriber *s = subscriber_get(io.f.m, io.f.subscriber);

	if (!s || in2out_forget(&io))
		return drop(REASON_drop_no_mapping);
	if (open_lock(s))
		return drop(REASON_drop_busy);

	/* Another core may have opened it since, in either place. */
	struct overflow_session *o = s->overflow ? overflow_find_in(&io.f, s) : 0;
	enum opened opened = OPEN_NO_ROOM;
	enum reason reason = 0;
	__u64 truth = 0;

	if (o) {
		truth = LOAD(o->truth);
		opened = OPENED;
	} else {
		opened = open_in_slot(&io.f, s, &truth);
		if (opened == OPEN_NO_ROOM) {
			reason = open_overflow_session(&io.f, s, &truth);
			opened = reason ? OPEN_NO_ROOM : OPENED;
		}
	}
	open_unlock(s);

	switch (opened) {
	case OPENED:
		return open_finish(ctx, &io, truth);
	case OPEN_NO_ROOM:
		return refuse(ctx, reason);
	case OPEN_AT_QUOTA:
		return refuse(ctx, REASON_drop_quota);
	default:
		return drop(REASON_drop_busy);
	}
}

#endif
