/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters, and the ends of the pipeline: every packet ends in one of these functions, its reason counted. */
#ifndef DETNAT_COUNT_H
#define DETNAT_COUNT_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <detnat/reasons.h>

#include "trace_points.h"
#include "verdict.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} counters SEC(".maps");

/* Adds to a counter of this core without a step in the packet's trace. */
static __always_inline void count_aside(__u32 reason, __u64 n)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	if (!c)
		return;
	/* One copy for the check and the use: the verifier of 6.1 does not relate two copies of a value. */
	if (!__builtin_constant_p(reason))
		barrier_var(reason);
	if (reason < N_REASONS)
		((__u64 *)c)[reason] += n;
}

/* Adds to a counter of this core. */
static __always_inline void count_add(__u32 reason, __u64 n)
{
	TRACE_COUNT(reason);
	count_aside(reason, n);
}

/* reason: one of REASON_*_translated. One look-up for both counters, as every translated packet needs it. */
static __always_inline void count_translated(enum reason reason, __u32 octets)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters, &zero);

	TRACE_COUNT(reason);
	if (!c)
		return;
	((__u64 *)c)[reason]++;
	((__u64 *)c)[REASON_in2out_octets + (reason - REASON_in2out_translated)] += octets;
}

static __always_inline int finish(int verdict, enum reason reason)
{
	count_add(reason, 1);
	return verdict;
}

static __always_inline int drop(enum reason reason)
{
	return finish(CTX_DROP, reason);
}

/* Hands the packet to the kernel unchanged. */
static __always_inline int pass_untranslated(void)
{
	return finish(CTX_PASS, REASON_passed_untranslated);
}

#endif
