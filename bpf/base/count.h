/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters, and the exits of the pipeline: each packet leaves through one of these functions, which counts its reason.
 */
#ifndef DETNAT_COUNT_H
#define DETNAT_COUNT_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <detnat/reasons.h>

#include "base/family.h"
#include "base/subprogram.h"
#include "base/trace_points.h"
#include "base/verdict.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

/* Adds n to a counter of this core without recording a step in the packet's trace. */
static __always_inline void count_aside(__u32 reason, __u64 n)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (!c)
		return;
	/* Check and use the same copy: the 6.1 verifier does not relate two copies of a value. */
	if (!__builtin_constant_p(reason))
		barrier_var(reason);
	if (reason < N_REASONS)
		((__u64 *)c)[reason] += n;
}

/* Adds n to a counter of this core. */
static __always_inline void count_add(__u32 reason, __u64 n)
{
	TRACE_COUNT(reason);
	count_aside(reason, n);
}

/*
 * Counts a translated packet and its octets with a single map lookup. reason: one of REASON_*_translated. Returns how
 * many this core has counted so far, or 0.
 */
static __always_inline __u64 count_translated(enum reason reason, __u32 octets)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	TRACE_COUNT(reason);
	if (!c)
		return 0;
	((__u64 *)c)[REASON_in2out_octets + (reason - REASON_in2out_translated)] += octets;
	return ++((__u64 *)c)[reason];
}

static __always_inline int finish(int verdict, enum reason reason)
{
	count_add(reason, 1);
	return verdict;
}

/* Counts a packet that is dropped or passed. A subprogram, as programs have many such exits. Returns 0. */
SUBPROGRAM int count_exit(__u32 reason)
{
	count_aside(reason, 1);
	return 0;
}

static __always_inline int leave(int verdict, enum reason reason)
{
	TRACE_COUNT(reason);
	count_exit(reason);
	return verdict;
}

static __always_inline int drop(enum reason reason)
{
	return leave(CTX_DROP, reason);
}

/*
 * Hands the packet to the kernel unchanged. Stage 2 cannot: it drops the packet. The kernel has no use for one that has
 * become one of IPv4.
 */
static __always_inline int pass_untranslated(void)
{
	if (six_has_entered())
		return drop(REASON_drop_unreachable);
	return STAGE2 ? drop(REASON_drop_stage2) : leave(CTX_PASS, REASON_passed_untranslated);
}

#endif
