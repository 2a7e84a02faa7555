/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sessions a subscriber may have (RFC 6888 REQ-5), and the refusal of one more (REQ-11): ICMP destination unreachable
 * to the subscriber, and a notice to the operator, each as often as its limit allows.
 */
#ifndef DETNAT_QUOTA_H
#define DETNAT_QUOTA_H

#include "search_limit.h"

#define REFUSALS_PER_SECOND 10U
#define REPORTS_PER_SECOND  1U

struct quota_sweep {
	const struct mapping *m;
	struct subscriber *s;
	__u32 subscriber;
	__u32 now;
	/* Of the sessions that an RST has closed, the one unused for longest. */
	__u32 reset_at;
	__u32 reset_age; /* ticks */
	__u64 reset;	 /* its word; 0: there is none */
	__u32 found;	 /* something gives way */
	__u32 pad;
};

static __always_inline struct bucket *quota_bucket(const struct quota_sweep *q, __u32 i)
{
	struct bucket_range range;

	return bucket_range_get(q->m, q->subscriber, &range) ? 0 : bucket_get(&range, i);
}

/* Slot of a subscriber by its number, or NULL. */
static __always_inline struct slot *quota_slot(const struct quota_sweep *q, __u32 i)
{
	struct bucket *b = quota_bucket(q, i >> BUCKET_SLOTS_SHIFT);

	return b ? &b->slot[i & (BUCKET_SLOTS - 1)] : 0;
}

/*
 * Whether a bucket has a session that can be taken away. Mostly none has, and slots are then not looked up one by one.
 * 1 ends the search.
 */
static long quota_look(__u32 i, struct quota_sweep *q)
{
	struct bucket *b = quota_bucket(q, i);

	if (!b)
		return 1;
	for (__u32 k = 0; k < BUCKET_SLOTS; k++) {
		__u64 word = LOAD(b->slot[k].truth);

		if (word_is_live(word) &&
		    (word_state(word) & SESSION_RESET || word_expired(word, q->now, q->m->timeout_ticks))) {
			q->found = 1;
			return 1;
		}
	}
	return 0;
}

static __always_inline void quota_take_away(const struct quota_sweep *q, struct slot *slot, __u64 word)
{
	__u64 key = LOAD(slot->key);

	if (!slot_change(slot, word, 0))
		return;
	if (word_state(word) != SESSION_TIME_WAIT)
		__sync_fetch_and_add(&q->s->sessions, -1U);
	slot_closed(q->m, q->subscriber, key, word);
}

/* Takes away one slot's session if it has expired, and remembers it if it is the oldest that an RST has closed. */
static long quota_sweep_slot(__u32 i, struct quota_sweep *q)
{
	struct slot *slot = quota_slot(q, i);
	__u64 word;

	if (!slot)
		return 1;
	word = LOAD(slot->truth);
	if (!word_is_live(word))
		return 0;
	if (word_expired(word, q->now, q->m->timeout_ticks)) {
		quota_take_away(q, slot, word);
	} else if (word_state(word) & SESSION_RESET) {
		/* A stamp may be a tick ahead. */
		__s32 age = (__s32)(q->now - word_seen(word)) + 1;

		if (age > 0 && (!q->reset || (__u32)age > q->reset_age)) {
			q->reset_at = i;
			q->reset_age = (__u32)age;
			q->reset = word;
		}
	}
	return 0;
}

/*
 * Whether the subscriber is at its quota. Before it says yes it takes away the subscriber's expired sessions itself, so
 * that a slow or dead agent never turns into refusals; and where that is not enough, the oldest of those that an RST
 * has closed. They wait out their time for a segment that shows that the RST was forged (RFC 7857 section 2.2), but
 * not at the cost of new connections. Once it was in vain, it is not tried again in the tick.
 */
static __always_inline int quota_reached(const struct flow *f, struct subscriber *s)
{
	struct quota_sweep q = { .m = f->m, .s = s, .subscriber = f->subscriber, .now = f->now };
	__u32 slots = BUCKET_SLOTS << f->m->bucket_shift;
	struct slot *slot;
	int reached;

	if (LOAD(s->sessions) < f->m->sessions_per_user)
		return 0;
	if (LOAD(s->recount_tick) == (__u16)f->now)
		return 1;
	if (!search_begin(s, f->now)) {
		bpf_loop(slots >> BUCKET_SLOTS_SHIFT, quota_look, &q, 0);
		if (q.found)
			bpf_loop(slots, quota_sweep_slot, &q, 0);
		if (q.reset && LOAD(s->sessions) >= f->m->sessions_per_user) {
			slot = quota_slot(&q, q.reset_at);
			if (slot)
				quota_take_away(&q, slot, q.reset);
		}
		reached = LOAD(s->sessions) >= f->m->sessions_per_user;
		search_end(s, slots);
		if (!reached)
			return 0;
	}
	*(volatile __u16 *)&s->recount_tick = (__u16)f->now;
	return 1;
}

#endif
