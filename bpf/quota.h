/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sessions a subscriber may have (RFC 6888 REQ-5), and the refusal of one more (REQ-11): ICMP destination unreachable
 * to the subscriber, and a notice to the operator, each as often as its limit allows.
 */
#ifndef DETNAT_QUOTA_H
#define DETNAT_QUOTA_H

#include "session.h"

#define REFUSALS_PER_SECOND 10U
#define REPORTS_PER_SECOND  1U

struct quota_sweep {
	const struct mapping *m;
	struct subscriber *s;
	__u32 subscriber;
	__u32 now;
};

/* Takes away one slot's session if it has expired. */
static long quota_sweep_slot(__u32 i, struct quota_sweep *q)
{
	struct bucket_range range;
	struct bucket *b;

	if (bucket_range_get(q->m, q->subscriber, &range))
		return 1;
	b = bucket_get(&range, i >> BUCKET_SLOTS_SHIFT);
	if (!b)
		return 1;

	struct slot *slot = &b->slot[i & (BUCKET_SLOTS - 1)];
	__u64 truth = LOAD(slot->truth), key = LOAD(slot->key);

	if (!truth_live(truth) || !truth_expired(truth, q->now, q->m->timeout_ticks) || !slot_change(slot, truth, 0))
		return 0;
	if (truth_state(truth) != SESSION_TIME_WAIT)
		__sync_fetch_and_add(&q->s->sessions, -1U);
	slot_closed(q->m, q->subscriber, key, truth);
	return 0;
}

/*
 * Whether the subscriber is at its quota. Before it says yes it takes away the subscriber's expired sessions itself,
 * once a tick at most, so that a slow or dead agent never turns into refusals.
 */
static __always_inline int quota_reached(const struct flow *f, struct subscriber *s)
{
	if (LOAD(s->sessions) < f->m->sessions_per_user)
		return 0;

	__u32 counted = LOAD(s->recount_tick);

	if (counted == f->now || __sync_val_compare_and_swap(&s->recount_tick, counted, f->now) != counted)
		return 1;

	struct quota_sweep q = { .m = f->m, .s = s, .subscriber = f->subscriber, .now = f->now };

	bpf_loop(BUCKET_SLOTS << f->m->bucket_shift, quota_sweep_slot, &q, 0);
	return LOAD(s->sessions) >= f->m->sessions_per_user;
}

#endif
