/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which session gives way at the quota of a subscriber. Pure functions, for the datapath and for `detnatctl plan`. */
#ifndef DETNAT_GIVING_WAY_H
#define DETNAT_GIVING_WAY_H

#include "session.h"

/* Ranks: 0 for sessions that stay; then those that the outside opened, reset ones, and expired ones. */
#define QUOTA_RANK_INBOUND 1U
#define QUOTA_RANK_RESET   128U
#define QUOTA_RANK_EXPIRED 255U

/*
 * The rank of a session that may give way. Of those alike it grows with their age: four ranks for each doubling. Ages
 * are of 2^22 ticks at most, as timeouts are.
 */
static __always_inline __u32 giving_way_rank(__u64 word, __u32 now, const __u32 timeout_ticks[N_TIMEOUTS])
{
	/* A timestamp may be one tick ahead. */
	__s32 signed_age = word_age(word, now) + 2;
	__u32 age = signed_age < 1 ? 1 : (__u32)signed_age, bits = 0;

	if (word_expired(word, now, timeout_ticks))
		return QUOTA_RANK_EXPIRED;
	for (__u32 shift = 16; shift; shift >>= 1) {
		if (age >> bits >> shift)
			bits += shift;
	}
	bits = bits * 4 + ((age << 2 >> bits) & 3);
	return (word_state(word) & SESSION_RESET ? QUOTA_RANK_RESET : QUOTA_RANK_INBOUND) + (bits & 127);
}

#endif
