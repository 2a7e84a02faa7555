/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Step 4: sessions in slots, and how packets change them. open.h opens them. */
#ifndef DETNAT_SESSION_SLOTS_H
#define DETNAT_SESSION_SLOTS_H

#include <detnat/tcp_inbound.h>

#include "base/notify.h"
#include "session/limit_lines.h"
#include "session/slot_lookup.h"

/* Number of the host that opens a session; of an IPv4 subscriber 0. */
static __always_inline __u32 session_opener(void)
{
#if FAMILY6
	const struct six *x = six_get();

	return x ? LOAD(x->host) & (HOSTS_MAX - 1) : 0;
#else
	return 0;
#endif
}

static __always_inline void session_notify(const struct flow *f, __u16 out_port)
{
	TRACE_STEP(opened, out_port, 0);
	if (!settings.session_events)
		return;

	struct nat_event e = {
		.type = EVENT_SESSION_OPENED,
		.proto = f->p.proto,
		.in_addr = f->m->geo.in_base + f->subscriber,
		.out_addr = mapping_out_addr(&f->m->geo, f->subscriber),
		.ext_addr = key_ext_addr(f->key),
		.in_port = key_in_port(f->key),
		.out_port = out_port,
		.ext_port = key_ext_port(f->key),
		.limit = session_opener(),
	};

	notify(&e);
}

/* What a subscriber was refused, or asks for. Not inlined, for the stack. */
static __noinline __attribute__((unused)) void flow_notify(const struct flow *f, __u8 type, __u32 limit)
{
	struct nat_event e = {
		.type = type,
		.proto = f->p.proto,
		.in_addr = f->p.src,
		.out_addr = mapping_out_addr(&f->m->geo, f->subscriber),
		.ext_addr = f->p.dst,
		.ext_port = f->p.dport,
		.in_port = f->p.sport,
		.limit = limit,
	};

	notify(&e);
}

/* Whether packets refresh: those from inside do and, if so configured, UDP packets from outside (RFC 4787 REQ-6). */
static __always_inline int packet_refreshes(__u8 proto, int from_inside)
{
	return from_inside || (settings.udp_inbound_refresh && proto == IPPROTO_UDP);
}

/* tcp_state_after() as a subprogram: the verifier would follow all that comes after it for each state. */
SUBPROGRAM_UNTRACED int session_tcp_state(__u32 state, __u32 flags, __u32 from_inside)
{
	return tcp_state_after((__u8)state, (__u8)flags, (int)from_inside);
}

/* The state word after a packet with these TCP flags; now: in ticks. One from inside takes a copy over. */
SUBPROGRAM __u64 session_after(__u64 word, __u32 flags, __u32 from_inside, __u32 now, const struct mapping *m)
{
	__u8 proto = word_proto(word);

	if (!m)
		return word;
	if (from_inside && word_owner(word))
		word = word_taken(word);
	if (settings.filtering && proto == IPPROTO_TCP && tcp_is_inbound(word_state(word)))
		return tcp_inbound_step(word, (__u8)flags, (int)from_inside, now, m->timeout_ticks);
	if (proto == IPPROTO_TCP)
		return session_step_to(word, (__u8)session_tcp_state(word_state(word), flags, from_inside),
				       (int)from_inside, now, m->timeout_ticks);
	return session_step(word, proto, 0, packet_refreshes(proto, (int)from_inside), now, m->timeout_ticks);
}

/* The event of a session that the datapath itself removed. key, word: of its slot, the key read before it was removed.
 */
static __always_inline void session_closed_put(struct nat_event *e, __u32 in_addr, __u32 out_addr, __u64 key,
					       __u64 word)
{
	*e = (struct nat_event){
		.type = EVENT_SESSION_CLOSED,
		.proto = word_proto(word),
		.in_addr = in_addr,
		.out_addr = out_addr,
		.ext_addr = key_ext_addr(key),
		.in_port = key_in_port(key),
		.out_port = word_out_port(word),
		.ext_port = key_ext_port(key),
		.limit = FAMILY6 ? word_host(word) : 0,
	};
}

/* Reports it; called by the winner of the compare-and-swap. Returns 0. */
SUBPROGRAM int session_closed(__u32 in_addr, __u32 out_addr, __u64 key, __u64 word)
{
	struct nat_event *e = notify_begin();

	if (!e)
		return 0;
	session_closed_put(e, in_addr, out_addr, key, word);
	notify_end(e);
	return 0;
}

/* Reports a session removed from a slot of a subscriber, if session events are on. */
static __always_inline void slot_closed(const struct mapping *m, __u32 subscriber, __u64 key, __u64 word)
{
	if (settings.session_events)
		session_closed(m->geo.in_base + subscriber, mapping_out_addr(&m->geo, subscriber), key, word);
}

/* The same without a call, and with as little stack. */
static __always_inline void slot_closed_here(const struct mapping *m, __u32 subscriber, __u64 key, __u64 word)
{
	struct nat_event *e = settings.session_events ? notify_begin() : 0;

	if (!e)
		return;
	session_closed_put(e, m->geo.in_base + subscriber, mapping_out_addr(&m->geo, subscriber), key, word);
	notify_end(e);
}

/*
 * Applies a packet to the state word *at. *word is the value read, and becomes the one that this packet replaced; next
 * is the result of session_after() for it. Returns the state word afterwards. A lost race is retried once; then the
 * packet passes without a refresh, as the winner has just refreshed the session.
 */
static __always_inline __u64 session_apply(__u64 *at, __u64 *word, __u64 next, __u8 flags, int from_inside, __u32 now,
					   const struct mapping *m)
{
	/* Unrolled: the 6.1 verifier rejects a loop whose head is reached by falling through from its end. */
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (next == *word)
			return next;

		__u64 seen = __sync_val_compare_and_swap(at, *word, next);

		if (seen == *word)
			return next;
		if (!word_is_live(seen) || word_out_port(seen) != word_out_port(*word))
			return *word;
		*word = seen;
		if (!i)
			next = session_after(seen, flags, (__u32)from_inside, now, m);
	}
	return *word;
}

/*
 * Returns 1 if a packet from inside reopens a session in time-wait, which is the opener's task, as the quota applies.
 */
static __always_inline int session_reopens(__u64 word, const struct packet *p)
{
	return word_state(word) == SESSION_TIME_WAIT && tcp_reopens(SESSION_TIME_WAIT, p->flags);
}

/* Returns 1 if a change of the state word took the session off the counts. */
static __always_inline int entered_time_wait(__u64 before, __u64 after)
{
	return word_state(after) == SESSION_TIME_WAIT && word_state(before) != SESSION_TIME_WAIT;
}

/* Returns 1 if a change of the state word is an RST's. */
static __always_inline int entered_reset(__u64 before, __u64 after)
{
	return word_state(after) & SESSION_RESET && !(word_state(before) & SESSION_RESET);
}

/* Allows searches that were in vain in this tick to be repeated, also among the sessions of a protocol. */
static __always_inline void searches_anew(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u8 proto)
{
	if (settings.limits)
		limit_searches_anew(m, subscriber, proto);
	*(volatile __u16 *)&s->exhausted = 0;
	if (LOAD(s->quota_pass) == QUOTA_IN_VAIN)
		*(volatile __u16 *)&s->quota_pass = QUOTA_NOT_BEGUN;
}

/*
 * Notes that a session has ended. It or its port may give way, so searches that were in vain in this tick may succeed
 * now.
 */
static __always_inline void session_ended(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u64 before,
					  __u64 after)
{
	if (entered_time_wait(before, after)) {
		limit_ended(m, subscriber, word_proto(before), 1);
		__sync_fetch_and_add(&s->sessions, -1U);
	} else if (!entered_reset(before, after)) {
		return;
	}
	searches_anew(m, s, subscriber, word_proto(before));
}

#define FROM_INSIDE 0x80000000U

/*
 * Applies a packet with these TCP flags to its session in a slot. subscriber: its number, with FROM_INSIDE for a packet
 * from inside. Returns 0.
 */
SUBPROGRAM int session_hit(struct slot *s, __u64 word, __u32 flags, const struct mapping *m, __u32 subscriber)
{
	int from_inside = !!(subscriber & FROM_INSIDE);
	__u32 now = now_ticks();
	struct subscriber *record;
	__u64 after;

	if (!s || !m)
		return 0;
	after = session_after(word, flags, (__u32)from_inside, now, m);
	TRACE_STEP(session, word, after);
	if (word_same(after, word)) {
		if (after != word)
			word_refresh(&s->truth, word_seen(after));
		return 0;
	}
	after = session_apply(&s->truth, &word, after, (__u8)flags, from_inside, now, m);
	subscriber &= ~FROM_INSIDE;
	record = subscriber_get(m, subscriber);
	if (record)
		session_ended(m, record, subscriber, word, after);
	return 0;
}

/*
 * session_hit() for the fast path: makes the call only if more than last seen may change. Of a session in an extent it
 * may, as its word may say that it is a copy: session_hit_beyond().
 */
static __always_inline void session_hit_fast(struct slot *s, __u64 word, const struct packet *p, int from_inside,
					     __u32 now, const struct mapping *m, __u32 subscriber)
{
	if (p->proto == IPPROTO_TCP && !tcp_goes_on(word_state(word), p->flags)) {
		session_hit(s, word, p->flags, m, subscriber | (from_inside ? FROM_INSIDE : 0));
		return;
	}
	if (!packet_refreshes(p->proto, from_inside))
		now = word_seen(word);
	TRACE_STEP(session, word, word_with(word, word_state(word), now));
	if (word_seen(word) != (now & WORD_SEEN))
		word_refresh(&s->truth, now);
}

/* The same for a packet from inside whose session may be in an extent. */
static __always_inline void session_hit_beyond(struct slot *s, __u64 word, const struct packet *p, __u32 now,
					       const struct mapping *m, __u32 subscriber)
{
	if (word_owner(word))
		session_hit(s, word, p->flags, m, subscriber | FROM_INSIDE);
	else
		session_hit_fast(s, word, p, 1, now, m, subscriber);
}

#endif
