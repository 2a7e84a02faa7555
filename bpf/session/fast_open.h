/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Opens a session in the common case: its two buckets hold nothing of the flow, its first-choice port is free towards
 * the endpoint, and so is a slot. Also refuses a session beyond the quota if neither an event nor an ICMP error is due.
 * open.h does everything else.
 */
#ifndef DETNAT_FAST_OPEN_H
#define DETNAT_FAST_OPEN_H

#include "session/bind_port.h"
#include "session/overflow.h"
#include "session/quota.h"

/* First state of the session that this packet opens. */
static __always_inline __u8 open_state(const struct packet *p)
{
	if (p->proto == IPPROTO_TCP)
		return tcp_first_state(p->flags);
	return p->proto == IPPROTO_UDP ? SESSION_UDP : SESSION_ICMP;
}

/* Returns 1 if a slot holds, or could hold, the flow itself or its outside port towards its endpoint. */
static __always_inline int slot_concerns(const struct slot *s, __u64 key, __u64 port_and_proto)
{
	__u64 word = LOAD(s->truth), other = LOAD(s->key) ^ key;

	return (word >> 40 == port_and_proto && !(other >> 16)) || (!other && !word_is_free(word));
}

/* A bucket as seen by an opener: whether it concerns the flow, and its free slots. */
struct bucket_view {
	int concerned;
	__u32 free;
	__u32 last_free;
};

/* Counts free slots without branches: the verifier would follow every combination of them. */
static __always_inline void bucket_view(const struct bucket *b, __u64 key, __u64 port_and_proto,
					struct bucket_view *ret)
{
	*ret = (struct bucket_view){};
	for (__u32 i = 0; i < BUCKET_SLOTS; i++) {
		__u64 word = LOAD(b->slot[i].truth);
		__u32 is_free = ((__u64)word_state(word) - 1) >> 63;

		ret->free += is_free;
		ret->last_free ^= (ret->last_free ^ i) & -is_free;
		if (!word_is_free(word) && slot_concerns(&b->slot[i], key, port_and_proto)) {
			ret->concerned = 1;
			return;
		}
	}
}

/*
 * Chooses a slot if sessions of the bucket are displaced, the preferred slot is taken, or the subscriber's slots are
 * crowded. Returns NULL if open.h has to look closer.
 */
static __always_inline struct slot *fast_open_slot(const struct flow *f, __u64 word, int crowded, int *ret_displaced)
{
	__u32 at = f->port_offset & (BUCKET_SLOTS - 1);
	struct bucket_view first, second;
	struct bucket_choice b;
	__u64 taken;

	if (flow_buckets(f, &b))
		return 0;
	bucket_view(b.first, f->key, word >> 40, &first);
	bucket_view(b.second, f->key, word >> 40, &second);
	if (first.concerned || second.concerned || !(first.free + second.free))
		return 0;
	taken = LOAD(b.first->slot[at].truth);
	/* Held by an expired session, which open.h replaces. */
	if (!word_is_free(taken) && word_expired(taken, f->now, f->m->timeout_ticks))
		return 0;
	*ret_displaced = !word_is_free(taken) || (crowded && second.free > first.free);
	if (!*ret_displaced)
		return &b.first->slot[at];
	if (second.free <= first.free)
		return &b.first->slot[first.last_free & (BUCKET_SLOTS - 1)];
	if (!word_is_free(LOAD(b.second->slot[at].truth)))
		at = second.last_free;
	return &b.second->slot[at & (BUCKET_SLOTS - 1)];
}

/*
 * Refuses a flow without a slot if its subscriber is at its quota. One packet per tick goes to the slow path, which
 * looks for sessions that give way; so do packets for which an event or an ICMP error is due: see quota.h and refuse.h.
 */
static __always_inline int fast_refuse(const struct flow *f, struct subscriber *s)
{
	__u32 jiffies = (__u32)bpf_jiffies64();

	if (LOAD(s->quota_pass) != QUOTA_IN_VAIN || LOAD(s->search_tick) != (__u16)f->now ||
	    rate_is_due(LOAD(s->icmp_next), jiffies) || rate_is_due(LOAD(s->quota_event_next), jiffies))
		return TO_SLOW_PATH;
	/* Packets that need no session pass at the quota, too. */
	if (unlikely(s->overflow) &&
	    (s->overflow & SUBSCRIBER_FLAGS || overflow_has(f->m, f->p.src, f->key, f->p.proto)))
		return TO_SLOW_PATH;
	__sync_fetch_and_add(&s->refused, 1);
	return drop(REASON_drop_quota);
}

/*
 * Opens a session for a flow that is not in its preferred slot. The word with count and lock is read first, and the
 * lock is taken last, by a compare-and-swap: if the word is unchanged, no other core has opened a session meanwhile.
 * Only openers change free slots.
 */
static __always_inline int fast_open(const struct flow *f, struct subscriber *s, struct slot *slot, __u32 home,
				     __u64 *ret_word)
{
	__u32 out_port = mapping_port_lo(&f->m->geo, f->subscriber) + f->port_offset;
	__u64 word = state_word((__u16)out_port, f->p.proto, open_state(&f->p), f->now);
	union opener before, after;
	int displaced, crowded;

	if (openings_are_slow(f->m, f->p.proto))
		return TO_SLOW_PATH;
	before.word = LOAD(s->opener.word);
	order_reads();
	if (unlikely(before.sessions >= f->m->sessions_per_user))
		return fast_refuse(f, s);
	if (before.lock & 1 || s->overflow)
		return TO_SLOW_PATH;
	displaced = 0;
	crowded = slots_crowded(before.sessions, f->m->bucket_shift);
	if (unlikely(crowded || !word_is_free(LOAD(slot->truth)) || LOAD(s->displaced) & home)) {
		slot = fast_open_slot(f, word, crowded, &displaced);
		if (!slot)
			return TO_SLOW_PATH;
	}
	after.sessions = before.sessions + 1;
	after.lock = before.lock + 1;
	if (__sync_val_compare_and_swap(&s->opener.word, before.word, after.word) != before.word)
		return TO_SLOW_PATH;
	if (displaced)
		displace(s, home);
	*(volatile __u64 *)&slot->key = f->key;
	order_writes();
	*(volatile __u64 *)&slot->truth = word;
	order_writes();
	*(volatile __u32 *)&s->lock = after.lock + 1;
	count_add(REASON_sessions_opened, 1);
	session_notify(EVENT_SESSION_OPENED, f, (__u16)out_port);
	*ret_word = word;
	return CONTINUE;
}

#endif
