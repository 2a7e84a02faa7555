/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Destinations towards which nothing is translated (RFC 6888 REQ-6). They are settings, and so part of the programs:
 * where there are none the verifier takes all of this away, and a change comes with the programs, as one.
 */
#ifndef DETNAT_BYPASS_H
#define DETNAT_BYPASS_H

#include "settings.h"

/* 1 where a <= b. Without a branch: the verifier would follow both sides of each. */
static __always_inline __u32 not_above(__u32 a, __u32 b)
{
	__u64 difference = (__u64)b - a;

	barrier_var(difference);
	return (__u32)(difference >> 63) ^ 1;
}

static __always_inline int is_bypassed(__u32 addr)
{
	__u32 at = 0;

	if (!settings.n_bypass)
		return 0;
	/* The last range that does not begin above the address, if any does. */
	for (__u32 half = MAX_BYPASS / 2; half; half /= 2)
		at += half * not_above(settings.bypass[(at + half) & (MAX_BYPASS - 1)].first, addr);
	at &= MAX_BYPASS - 1;
	return settings.bypass[at].first <= addr && addr <= settings.bypass[at].last;
}

#endif
