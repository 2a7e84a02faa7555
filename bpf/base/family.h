/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What steps ask that may have to do with IPv6 subscribers, in the programs for IPv4 ones, where the answer is known.
 * For the others, FAMILY6, bpf/six/state.h has all of it.
 */
#ifndef DETNAT_FAMILY_H
#define DETNAT_FAMILY_H

#include <detnat/session.h>

#if !FAMILY6

/* Whether an address is one of 224.0.0.0/4, by which the programs for IPv6 subscribers know these. */
static __always_inline int addr_is_virtual(__u32 addr)
{
	return 0;
}

/* The leaf of the packet's subscriber, if this is its virtual address; 0: of none. */
static __always_inline __u32 six_leaf_of(__u32 addr)
{
	return 0;
}

/* Whether an address is the virtual one of the packet's subscriber. */
static __always_inline int six_has(__u32 addr)
{
	return 0;
}

/* Whether a packet's session may open now; under the lock, too, if nobody has taken it since this was asked. */
static __always_inline int six_may_open(void)
{
	return 1;
}

struct mapping;

/* The packet's host is looked for in a subscriber's sessions of m from now on. Returns 0, or -1. */
static __always_inline int six_turn_to(const struct mapping *m, __u32 subscriber)
{
	return 0;
}

/* Begins with a packet from outside to a subscriber. Returns 0, or -1. */
static __always_inline int six_begin_inwards(const struct mapping *m, __u32 subscriber)
{
	return 0;
}

/* Whether a mapping's subscribers are IPv4 ones, in a program for the others. */
static __always_inline int six_is_foreign(const struct mapping *m)
{
	return 0;
}

/* The same where it may have come from inside. */
static __always_inline int six_begin_receiver(const struct mapping *m, __u32 subscriber)
{
	return 0;
}

/* Begins with a packet from a subscriber of the other family. Returns 0, or -1. */
static __always_inline int six_begin_crossed(void)
{
	return 0;
}

/* Whether the packet in hand goes to an IPv6 subscriber, for which PROG_six_leave has it sent. */
static __always_inline int six_goes_inwards(void *ctx, __u32 sender)
{
	return 0;
}

/* Makes of the packet in hand what it came as. Returns 0, or -1. */
static __always_inline int six_restore(void *ctx)
{
	return 0;
}

/* Whether the packet in hand came as one of IPv6, and is one of IPv4 now. */
static __always_inline int six_has_entered(void)
{
	return 0;
}

#endif
#endif
