/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Trace points: macros with which the programs report what they do to a packet. They expand to nothing, and so cost
 * nothing, except in the tracing build (detnat_*_trace.bpf.c), which runs only during a trace, and in one stage.
 *
 *	TRACE_BEGIN(ctx)	in main programs, before anything else
 *	TRACED(ctx, verdict)	wraps the return value of every program
 *	TRACE_STEP(kind, a, b)	a step that does not change the packet; see <detnat/trace.h>
 *	TRACE_LOOK(ctx, kind, a, b)	a step that may have changed its addresses
 *	TRACE_COUNT(reason)	a counter was incremented
 *	TRACE_STEADY(word)	the state word of a session that the packet does not change
 *	TRACE_SUBSCRIBER(m, n)	the packet's subscriber is known
 *	TRACE_EGRESS(e)		the packet's egress towards a subscriber is known
 *	TRACE_NEXT_HOP(e, kind)	the egress of a packet from inside is known, and where that goes
 */
#ifndef DETNAT_TRACE_POINTS_H
#define DETNAT_TRACE_POINTS_H

#ifdef TRACE

#define TRACING 1

#include <detnat/reasons.h>
#include <detnat/trace.h>

/* The room `trace` defines them. */
struct mapping;
int trace_begin(ctx_t *ctx);
int trace_end(ctx_t *ctx, __u32 verdict);
int trace_mark(__u32 kind, __u64 a, __u64 b);
int trace_look(ctx_t *ctx, __u32 kind, __u64 a, __u64 b);
int trace_count(__u32 reason);
int trace_subscriber(const struct mapping *m, __u32 number);

/* Returns 1 for counters of a packet's verdict or of an answer to it. Others cost no call and no stack. */
static __always_inline int trace_counts(__u32 reason)
{
	return reason < REASON_sessions_opened || reason == REASON_sessions_overflowed ||
	       reason == REASON_icmp_withheld || reason == REASON_fragments_parked;
}

#define TRACE_BEGIN(ctx) trace_begin(ctx)
#define TRACED(ctx, verdict)                     \
	({                                       \
		int _verdict = (verdict);        \
		trace_end(ctx, (__u32)_verdict); \
		_verdict;                        \
	})
#define TRACE_STEP(kind, a, b)	    trace_mark(TRACE_##kind, a, b)
#define TRACE_LOOK(ctx, kind, a, b) trace_look(ctx, TRACE_##kind, a, b)
#define TRACE_COUNT(reason)                                                \
	do {                                                               \
		if (!__builtin_constant_p(reason) || trace_counts(reason)) \
			trace_count(reason);                               \
	} while (0)
#define TRACE_STEADY(word)	    trace_mark(TRACE_session, word, 0)
#define TRACE_SUBSCRIBER(m, number) trace_subscriber(m, number)
#define TRACE_EGRESS(e)		    trace_mark(TRACE_egress, (__u64)(e)->ifindex << 32 | (e)->state, (e)->mtu)

#define TRACE_NEXT_HOP(e, kind) trace_mark(TRACE_next_hop, (__u64)(e)->ifindex << 32 | (kind), (e)->mtu)

#else

#define TRACING 0
#define TRACE_BEGIN(ctx)
#define TRACED(ctx, verdict)   (verdict)
#define TRACE_STEP(kind, a, b) ((void)0)
#define TRACE_LOOK(ctx, kind, a, b)
#define TRACE_COUNT(reason)
#define TRACE_STEADY(word)
#define TRACE_SUBSCRIBER(m, n)
#define TRACE_EGRESS(e)
#define TRACE_NEXT_HOP(e, kind)

#endif

#endif
