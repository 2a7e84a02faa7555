/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the programs tell what they do to a packet: names that stand for nothing, so that a packet pays nothing, but in
 * the tracing build (detnat_xdp_trace.bpf.c, detnat_tc_trace.bpf.c), which runs only during a trace.
 *
 *	TRACE_BEGIN(ctx)	in main programs, before anything else
 *	TRACED(ctx, verdict)	what every program returns
 *	TRACE_STEP(kind, a, b)	a step that leaves the packet as it is; see <detnat/trace.h>
 *	TRACE_LOOK(ctx, kind, a, b)	one that may have changed its addresses
 *	TRACE_COUNT(reason)	a counter was raised
 *	TRACE_STEADY(word)	the state word of a session in which the packet changes nothing
 *	TRACE_SUBSCRIBER(m, n)	the packet's subscriber is known
 *	TRACE_EGRESS(e)		so is its egress towards a subscriber
 *	TRACE_NEXT_HOP(nh)	so is its next hop; NULL for none
 */
#ifndef DETNAT_TRACE_POINTS_H
#define DETNAT_TRACE_POINTS_H

#ifdef TRACE
#include "trace_record.h"
#else
#define TRACE_BEGIN(ctx)
#define TRACED(ctx, verdict) (verdict)
#define TRACE_STEP(kind, a, b)
#define TRACE_LOOK(ctx, kind, a, b)
#define TRACE_COUNT(reason)
#define TRACE_STEADY(word)
#define TRACE_SUBSCRIBER(m, n)
#define TRACE_EGRESS(e)
#define TRACE_NEXT_HOP(nh)
#endif

#endif
