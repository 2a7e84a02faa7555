// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs attached at the tc ingress of interfaces without XDP: detnat_entry.bpf.c's counterparts. If an element
 * is missing, packets go to the kernel and are counted: those from inside are translated at the egress, and for those
 * to the pool there is a blackhole route.
 */
#define AT_INGRESS 1
#include "ctx_tc.h"

#include <detnat/programs.h>

#include "count.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, N_ENTRIES);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} tc_entries SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int tc_from_inside(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &tc_entries, ENTRY_INSIDE);
	return finish(TC_ACT_OK, REASON_no_program);
}

SEC("tc")
int tc_from_outside(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &tc_entries, ENTRY_OUTSIDE);
	return finish(TC_ACT_OK, REASON_no_program);
}

SEC("tc")
int tc_from_both(struct __sk_buff *ctx)
{
	bpf_tail_call(ctx, &tc_entries, ENTRY_BOTH);
	return finish(TC_ACT_OK, REASON_no_program);
}
