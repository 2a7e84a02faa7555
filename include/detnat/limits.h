/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits of a subscriber beside the quota: sessions of a protocol, and sessions that the subscriber may open per
 * second.
 *
 * Each subscriber of a mapping with limits has a second line, which openings and endings alone touch. It counts, by
 * protocol, the sessions that the quota counts: those that live and are not in time-wait, with expired ones until they
 * are removed. Whoever ends a session lowers this count first, and subscriber.sessions then: so while no opener holds
 * the lock, the sum of the counts is subscriber.sessions, or below it by endings under way. The lines are in the map
 * `subscribers`, in a range of their own.
 *
 * A mapping that gets its first limit may have sessions. From then on the datapath counts changes; the agent adds the
 * sessions there were, subscriber by subscriber, and until then the protocols' limits do not apply to that subscriber.
 *
 * Openings take tokens from a bucket: the line has the time at which it would be full.
 */
#ifndef DETNAT_LIMITS_H
#define DETNAT_LIMITS_H

#include <linux/types.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((__always_inline__))
#endif

enum limit_protocol { LIMIT_TCP, LIMIT_UDP, LIMIT_ICMP, N_LIMITS };

#define LIMIT_MAX_RATE	1000000U /* sessions per second */
#define LIMIT_MAX_BURST 1000000U /* sessions */

/* Part of a mapping's record. */
struct limit_layout {
	__u32 first;		  /* the line of the mapping's first subscriber, numbered as subscribers are */
	__u32 sessions[N_LIMITS]; /* 0: none */
	__u32 interval_ns;	  /* between two tokens; 0: no limit */
	__u32 burst;		  /* tokens of a full bucket */
	__u32 rate;		  /* tokens per second, for reports */
};

struct limit_line {
	__u32 sessions[N_LIMITS + 1]; /* by protocol; the last is unused. While not counted: signed changes */
	__u64 full_ns;		      /* CLOCK_MONOTONIC at which the bucket is full; past: it is */
	__u64 refused_protocol;	      /* packets refused for the limit of a protocol, and for the rate */
	__u64 refused_rate;
	__u32 protocol_event_next; /* jiffy before which no further event is reported */
	__u32 rate_event_next;
	__u32 uncounted;      /* 1: the agent has still to count the sessions that were there before */
	__u16 pass_tick;      /* low half of the tick of `pass` */
	__u16 pass[N_LIMITS]; /* as subscriber.quota_pass, among the sessions of a protocol */
	__u32 pad;
};
_Static_assert(sizeof(struct limit_line) == 64, "as large as a subscriber's record, among which it is");

/* Whether any limit is set. */
static __always_inline int limit_layout_any(const struct limit_layout *l)
{
	return l->sessions[LIMIT_TCP] || l->sessions[LIMIT_UDP] || l->sessions[LIMIT_ICMP] || l->interval_ns;
}

/* Whether two set the same limits; the lines do not count. */
static __always_inline int limit_layout_same(const struct limit_layout *a, const struct limit_layout *b)
{
	return a->sessions[LIMIT_TCP] == b->sessions[LIMIT_TCP] && a->sessions[LIMIT_UDP] == b->sessions[LIMIT_UDP] &&
	       a->sessions[LIMIT_ICMP] == b->sessions[LIMIT_ICMP] && a->interval_ns == b->interval_ns &&
	       a->burst == b->burst && a->rate == b->rate;
}

/* The place of a protocol in these; there are no others with sessions. */
static __always_inline enum limit_protocol limit_protocol_of(__u8 proto)
{
	return proto == 6 ? LIMIT_TCP : proto == 17 ? LIMIT_UDP : LIMIT_ICMP;
}

/* Time between two tokens for a rate per second; 0 for 0. */
static __always_inline __u32 limit_interval_ns(__u32 per_second)
{
	return per_second ? 1000000000U / per_second : 0;
}

/* Tokens left at a time, given by the same clock as full_ns. */
static __always_inline __u32 limit_tokens(const struct limit_layout *l, __u64 full_ns, __u64 now_ns)
{
	__u64 missing_ns = (__s64)(full_ns - now_ns) > 0 ? full_ns - now_ns : 0;
	__u64 missing = l->interval_ns ? (missing_ns + l->interval_ns - 1) / l->interval_ns : 0;

	return missing < l->burst ? l->burst - (__u32)missing : 0;
}

/* When the bucket is full after one more token; 0: there is none left. */
static __always_inline __u64 limit_take_token(const struct limit_layout *l, __u64 full_ns, __u64 now_ns)
{
	__u64 from = (__s64)(full_ns - now_ns) > 0 ? full_ns : now_ns;

	from += l->interval_ns;
	return from - now_ns <= (__u64)l->burst * l->interval_ns ? from : 0;
}

#endif
