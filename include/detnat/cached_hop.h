/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How cores share an entry of the cache of next hops (bpf/egress/egress_cache.h). Pure, so that tests can race on it.
 */
#ifndef DETNAT_CACHED_HOP_H
#define DETNAT_CACHED_HOP_H

#include "fib.h"
#include "slots.h"

/* What an answer of the kernel's holds for. */
struct cached_question {
	union {
		struct {
			__u32 dst;
			__u32 in_ifindex;
		};
		__u64 key;
	};
	union {
		struct {
			__u32 src; /* 0 unless routing depends on it */
			__u32 epoch;
		};
		__u64 conditions;
	};
};

struct cached_hop {
	__u32 version; /* odd while a core writes */
	__u32 until;   /* last tick at which the entry is valid */
	struct cached_question question;
	union {
		struct fib_hop hop;
		__u64 word[4];
	};
	__u64 room;
};
_Static_assert(sizeof(struct cached_hop) == 64, "a cache line");

/* Returns 1 and copies an entry's next hop if it answers the question at a tick, and no core writes meanwhile. */
static inline __attribute__((always_inline)) int
cached_hop_read(const struct cached_hop *c, const struct cached_question *q, __u32 now, struct fib_hop *ret)
{
	__u32 version = LOAD(c->version);
	__u64 *word = (__u64 *)ret;

	order_reads();
	if (version & 1 || LOAD(c->question.key) != q->key || LOAD(c->question.conditions) != q->conditions ||
	    (__s32)(LOAD(c->until) - now) < 0)
		return 0;
	word[0] = LOAD(c->word[0]);
	word[1] = LOAD(c->word[1]);
	word[2] = LOAD(c->word[2]);
	order_reads();
	return LOAD(c->version) == version;
}

/*
 * Stores a next hop. Of cores that write an entry at the same time the first one does; the others have asked the kernel
 * for themselves, and keep nothing. The atomic operations are the barriers.
 */
static inline __attribute__((always_inline)) void
cached_hop_write(struct cached_hop *c, const struct cached_question *q, __u32 until, const struct fib_hop *hop)
{
	const __u64 *word = (const __u64 *)hop;
	__u32 version = LOAD(c->version);

	if (version & 1 || __sync_val_compare_and_swap(&c->version, version, version + 1) != version)
		return;
	*(volatile __u64 *)&c->question.key = q->key;
	*(volatile __u64 *)&c->question.conditions = q->conditions;
	*(volatile __u32 *)&c->until = until;
	*(volatile __u64 *)&c->word[0] = word[0];
	*(volatile __u64 *)&c->word[1] = word[1];
	*(volatile __u64 *)&c->word[2] = word[2];
	order_and_add(&c->version, 1);
}

#endif
