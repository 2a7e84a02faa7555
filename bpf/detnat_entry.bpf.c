// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs attached to the interfaces. They stay attached: each only tail-calls the main program of its role, so
 * that an upgrade replaces an element of `entries` and touches no interface. If the element is missing, packets go to
 * the kernel and are counted.
 */
#include "ctx_xdp.h"

#include <detnat/programs.h>

#include "count.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, N_ENTRIES);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} entries SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp.frags")
int xdp_inside(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &entries, ENTRY_INSIDE);
	return finish(XDP_PASS, REASON_no_program);
}

SEC("xdp.frags")
int xdp_outside(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &entries, ENTRY_OUTSIDE);
	return finish(XDP_PASS, REASON_no_program);
}

SEC("xdp.frags")
int xdp_both(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &entries, ENTRY_BOTH);
	return finish(XDP_PASS, REASON_no_program);
}
