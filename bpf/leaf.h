/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tail calls. A leaf starts from the packet again: parsing and the look-ups are cheap when their lines are warm, and no
 * state between programs can go stale. Only what the packet does not tell is passed, in this core's note.
 */
#ifndef DETNAT_LEAF_H
#define DETNAT_LEAF_H

#include <detnat/leaves.h>

#include "count.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, N_LEAVES);
	__type(key, __u32);
	__type(value, __u32);
#if HOOK_XDP
} xdp_leaves SEC(".maps");
#define leaves xdp_leaves
#else
} tc_leaves SEC(".maps");
#define leaves tc_leaves
#endif

/* For leaf_refuse: reason. For leaf_icmp_error: all of it. */
struct note {
	__u32 reason; /* enum reason the packet is counted under */
	__u32 sent;   /* enum reason the answer is counted under */
	__u32 mtu;
	__u8 type;
	__u8 code;
	__u8 pad[2];
	__u64 forgotten;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct note);
} notes SEC(".maps");

static __always_inline struct note *note_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&notes, &zero);
}

/* What leaf_icmp_error is to send. Volatile: clang 14 was seen to lose a store that only another program reads. */
static __always_inline void note_set(volatile struct note *n, __u32 reason, __u32 sent, __u8 type, __u8 code, __u32 mtu)
{
	n->reason = reason;
	n->sent = sent;
	n->type = type;
	n->code = code;
	n->mtu = mtu;
}

/*
 * Returns a value of which the verifier knows nothing: it went through a map. Where many paths meet that differ in what
 * they know of it, they are followed on as one.
 */
static __always_inline __u64 forget(struct note *n, __u64 value)
{
	*(volatile __u64 *)&n->forgotten = value;
	return *(volatile __u64 *)&n->forgotten;
}

/* Goes on in a leaf. Comes back only where it is missing: the packet goes up, counted. */
static __always_inline int leaf_call(ctx_t *ctx, enum leaf leaf)
{
	TRACE_STEP(leaf, leaf, 0);
	bpf_tail_call(ctx, &leaves, leaf);
	return finish(CTX_PASS, REASON_no_program);
}

/* Refuses a session: counted under the reason, answered and reported as often as the limits allow. */
static __always_inline int refuse(ctx_t *ctx, enum reason reason)
{
	struct note *n = note_get();

	if (!n)
		return drop(reason);
	*(volatile __u32 *)&n->reason = reason;
	return leaf_call(ctx, LEAF_refuse);
}

#endif
