/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Destinations reached without translation (RFC 6888 REQ-6). They are settings and so part of the programs: without
 * any, the verifier removes this code, and a change takes effect at once when the programs are replaced.
 */
#ifndef DETNAT_BYPASS_H
#define DETNAT_BYPASS_H

#include "base/settings.h"

/* Returns 1 if a <= b, else 0. Branch-free: the verifier would follow both sides of each branch. */
static __always_inline __u32 not_above(__u32 a, __u32 b)
{
	__u64 difference = (__u64)b - a;

	barrier_var(difference);
	return (__u32)(difference >> 63) ^ 1;
}

/* Shows the 6.1 verifier that an index is below n, a power of two; the compiler would drop the mask as redundant. */
static __always_inline __u32 index_within(__u32 at, __u32 n)
{
	barrier_var(at);
	return at & (n - 1);
}

static __always_inline int is_bypassed(__u32 addr)
{
	__u32 at = 0;

	if (!settings.n_bypass)
		return 0;
	/* Binary search for the last range that begins at or below the address, if there is one. */
	for (__u32 half = MAX_BYPASS / 2; half; half /= 2)
		at += half * not_above(settings.bypass[index_within(at + half, MAX_BYPASS)].first, addr);
	at = index_within(at, MAX_BYPASS);
	return settings.bypass[at].first <= addr && addr <= settings.bypass[at].last;
}

#endif
