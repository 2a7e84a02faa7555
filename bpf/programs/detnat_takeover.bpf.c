// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stands in for a tc program while its tcx link takes over from a filter of a former version, which is behind it: runs
 * the program, and keeps the packet from the filter, which would translate it once more.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

/* No verdict of tc: there is no program. */
#define MISSING (-2)

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} stood_in_for SEC(".maps");

/* A tail call ends only the subprogram, so the caller sees the verdict. */
static __noinline int run(struct __sk_buff *ctx)
{
	int verdict = MISSING;

	bpf_tail_call(ctx, &stood_in_for, 0);
	barrier_var(verdict);
	return verdict;
}

SEC("tc")
int tc_takeover(struct __sk_buff *ctx)
{
	int verdict = run(ctx);

	if (verdict == MISSING)
		return TC_ACT_UNSPEC;
	return verdict == TC_ACT_UNSPEC ? TC_ACT_OK : verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
