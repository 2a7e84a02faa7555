/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The session quota of a subscriber (RFC 6888 REQ-5) and the refusal of a session beyond it (REQ-11): ICMP destination
 * unreachable to the subscriber and a notice to the operator, each at a limited rate.
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
	/* The oldest, by last use, of the sessions that an RST has closed. */
	__u32 reset_at;
	__u32 reset_age; /* ticks */
	__u64 reset;	 /* its state word; 0: none */
	__u32 found;	 /* 1: a session can be removed */
	__u32 pad;
};

static __always_inline struct bucket *quota_bucket(const struct quota_sweep *q, __u32 i)
{
	struct bucket_range range;

	return bucket_range_get(q->m, q->subscriber, &range) ? 0 : bucket_get(&range, i);
}

/* A subscriber's slot by its number, or NULL. */
static __always_inline struct slot *quota_slot(const struct quota_sweep *q, __u32 i)
{
	struct bucket *b = quota_bucket(q, i >> BUCKET_SLOTS_SHIFT);

	return b ? &b->slot[i & (BUCKET_SLOTS - 1)] : 0;
}

/*
 * Looks in a bucket for a session that can be removed. Usually there is none, and slots are not looked up one by one.
 * Returns 1 to end the search.
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

/* Removes a slot's session if it has expired; remembers it if it is the oldest that an RST has closed. */
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
		/* A timestamp may be one tick ahead. */
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
 * Returns 1 if the subscriber is at its quota. Before it does, it removes the subscriber's expired sessions, so that a
 * slow or dead agent never causes refusals, and, if that is not enough, the oldest one that an RST has closed. Such
 * sessions wait until their timeout for a segment that shows that the RST was forged (RFC 7857 section 2.2), but not at
 * the cost of new connections. A removal in vain is not tried again in the same tick.
 *
 * elsewhere: sessions that the subscriber has in other mappings, which drain; expired ones count until they are swept.
 */
static __always_inline int quota_reached(const struct flow *f, struct subscriber *s, __u32 elsewhere)
{
	struct quota_sweep q = { .m = f->m, .s = s, .subscriber = f->subscriber, .now = f->now };
	__u32 slots = BUCKET_SLOTS << f->m->bucket_shift;
	struct slot *slot;
	int reached;

	if (LOAD(s->sessions) + elsewhere < f->m->sessions_per_user)
		return 0;
	if (LOAD(s->recount_tick) == (__u16)f->now)
		return 1;
	if (!search_begin(s, f->now)) {
		bpf_loop(slots >> BUCKET_SLOTS_SHIFT, quota_look, &q, 0);
		if (q.found)
			bpf_loop(slots, quota_sweep_slot, &q, 0);
		if (q.reset && LOAD(s->sessions) + elsewhere >= f->m->sessions_per_user) {
			slot = quota_slot(&q, q.reset_at);
			if (slot)
				quota_take_away(&q, slot, q.reset);
		}
		reached = LOAD(s->sessions) + elsewhere >= f->m->sessions_per_user;
		search_end(s, slots);
		if (!reached)
			return 0;
	}
	*(volatile __u16 *)&s->recount_tick = (__u16)f->now;
	return 1;
}

#endif
