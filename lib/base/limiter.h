/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limiter_ask() lets each of many things happen once per period, and no more of them per period than there are places.
 * A place is never reused before its period has passed, so both limits hold for any sequence of calls.
 */
#ifndef DETNAT_LIMITER_H
#define DETNAT_LIMITER_H

#include "base/hash.h"

struct limiter_place {
	uint64_t key;
	uint64_t until_ns; /* 0: never used */
};

enum limiter_verdict { LIMITER_GO, LIMITER_AGAIN, LIMITER_CROWDED };

/*
 * Whether the thing `key` may happen now. LIMITER_AGAIN: it has happened in this period; LIMITER_CROWDED: no place is
 * free. now_ns: from a monotonic clock.
 */
static inline enum limiter_verdict limiter_ask(struct limiter_place *places, size_t n, uint64_t key, uint64_t now_ns,
					       uint64_t period_ns)
{
	struct limiter_place *vacant = NULL;

	for (size_t i = 0; i < n; i++) {
		if (places[i].until_ns <= now_ns)
			vacant = &places[i];
		else if (places[i].key == key)
			return LIMITER_AGAIN;
	}
	if (!vacant)
		return LIMITER_CROWDED;
	*vacant = (struct limiter_place){ .key = key, .until_ns = now_ns + period_ns };
	return LIMITER_GO;
}

#define LIMITER_WAYS 4U

/*
 * For a table of n places, a power of two, that may forget entries: returns the place of `key`, or the place to use for
 * it, whose entry is then lost. The caller fills it in.
 */
static inline struct limiter_place *limiter_recall(struct limiter_place *places, size_t n, uint64_t key)
{
	struct limiter_place *set = &places[HASH_OF(key) % n & ~(size_t)(LIMITER_WAYS - 1)];
	struct limiter_place *oldest = set;

	for (size_t i = 0; i < LIMITER_WAYS; i++) {
		if (set[i].until_ns && set[i].key == key)
			return &set[i];
		if (set[i].until_ns < oldest->until_ns)
			oldest = &set[i];
	}
	return oldest;
}

#endif
