/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Trace points: macros with which the programs report what they do to a packet. They expand to nothing, and so cost
 * nothing, except in the tracing build (detnat_*_trace.bpf.c), which runs only during a trace.
 *
 *	TRACE_BEGIN(ctx)	in main programs, before anything else
 *	TRACED(ctx, verdict)	wraps the return value of every program
 *	TRACE_STEP(kind, a, b)	a step that does not change the packet; see <detnat/trace.h>
 *	TRACE_LOOK(ctx, kind, a, b)	a step that may have changed its addresses
 *	TRACE_COUNT(reason)	a counter was incremented
 *	TRACE_STEADY(word)	the state word of a session that the packet does not change
 *	TRACE_SUBSCRIBER(m, n)	the packet's subscriber is known
 *	TRACE_EGRESS(e)		the packet's egress towards a subscriber is known
 *	TRACE_NEXT_HOP(nh)	the packet's next hop is known; NULL: none
 *	TRACE_NOTED(sequence, ifindex)	stage 1 leaves the packet to stage 2, under this number
 *	TRACE_RESUMED(sequence)	stage 2 goes on with that packet
 */
#ifndef DETNAT_TRACE_POINTS_H
#define DETNAT_TRACE_POINTS_H

#ifdef TRACE
#include "trace/trace_record.h"
#if STAGED || STAGE2
#include "trace/trace_stages.h"
#endif
#else
#define TRACE_BEGIN(ctx)
#define TRACED(ctx, verdict)   (verdict)
#define TRACE_STEP(kind, a, b) ((void)0)
#define TRACE_LOOK(ctx, kind, a, b)
#define TRACE_COUNT(reason)
#define TRACE_STEADY(word)
#define TRACE_SUBSCRIBER(m, n)
#define TRACE_EGRESS(e)
#define TRACE_NEXT_HOP(nh)
#define TRACE_NOTED(sequence, ifindex)
#define TRACE_RESUMED(sequence)
#endif

#endif
