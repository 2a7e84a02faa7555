// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The entry programs, attached to the interfaces and to the entries of `ports`. They stay there: each only tail-calls
 * the main program of its role, so that an upgrade replaces an element of a map and touches no interface.
 */
#include "base/ctx_xdp.h"

#include <bpf/bpf_endian.h>
#include <linux/pkt_cls.h>

#include <detnat/stages.h>
#include <detnat/tables.h>

#include "base/entry.h"
#include "stage/stage_control.h" /* for the agent, before there are programs with stages */
#include "stage/stage_drops.h"

PROGRAMS(entries, N_ENTRIES);
PROGRAMS(tc_entries, N_ENTRIES);
PROGRAMS(redirect_entries, N_ENTRIES);
PROGRAMS(stage2_entries, 1);

char _license[] SEC("license") = "Dual BSD/GPL";

#define TC_ENTRY(name, map, element) ENTRY_PROGRAM("tc", __sk_buff, name, map, element, TC_ACT_UNSPEC)

XDP_ENTRIES
TC_ENTRY(tc_from_inside, tc_entries, ENTRY_INSIDE)
TC_ENTRY(tc_from_outside, tc_entries, ENTRY_OUTSIDE)
TC_ENTRY(tc_from_both, tc_entries, ENTRY_BOTH)
TC_ENTRY(tc_send_inside, redirect_entries, ENTRY_INSIDE)
TC_ENTRY(tc_send_outside, redirect_entries, ENTRY_OUTSIDE)
TC_ENTRY(tc_send_both, redirect_entries, ENTRY_BOTH)

/* Frames that XDP has translated for the kernel to route in a VRF enter it, see struct vrf_note. */
SEC("tc")
int tc_into_vrf(struct __sk_buff *ctx)
{
	const struct vrf_note *note = (void *)(long)ctx->data_meta;

	if ((void *)(note + 1) > (void *)(long)ctx->data || note->mark != VRF_NOTE)
		return TC_ACT_UNSPEC;
	return (int)bpf_redirect(note->vrf, BPF_F_INGRESS);
}

/* If the element is missing, frames that wait for stage 2 are dropped and counted. */
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
