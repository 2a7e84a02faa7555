// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program of the entries of `ports`. It stays there: it only calls stage 2, so that an upgrade replaces an element
 * of `stage2_entries`. If the element is missing, frames that wait for stage 2 are dropped and counted.
 */
#include "base/ctx_xdp.h"

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>

#include <detnat/stages.h>

#include "base/count.h"
#include "stage/stage_control.h" /* for the agent, before there are programs with stages */
#include "stage/stage_drops.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} stage2_entries SEC(".maps");

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp.frags/devmap")
int stage2_entry(struct xdp_md *ctx)
{
	const struct ethhdr *eth;

	bpf_tail_call(ctx, &stage2_entries, 0);
	eth = ctx_data(ctx);
	if ((void *)(eth + 1) > ctx_data_end(ctx) || eth->h_proto != bpf_htons(STAGE_ETHERTYPE))
		return XDP_PASS;
	return stage2_end(drop(REASON_drop_stage2));
}
