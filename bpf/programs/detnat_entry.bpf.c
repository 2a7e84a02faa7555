// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The entry programs, attached to the interfaces and to the entries of `ports`. They stay there: each only tail-calls
 * the main program of its role, so that an upgrade replaces an element of a map and touches no interface.
 */
#include "base/ctx_xdp.h"

#include <bpf/bpf_endian.h>
#include <linux/pkt_cls.h>

#include <detnat/programs.h>
#include <detnat/stages.h>

#include "base/count.h"
#include "stage/stage_control.h" /* for the agent, before there are programs with stages */
#include "stage/stage_drops.h"

/* Defines a pinned map of programs with n elements. */
#define PROGRAMS(name, n)                              \
	struct {                                       \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY); \
		__uint(max_entries, n);                \
		__type(key, __u32);                    \
		__type(value, __u32);                  \
		__uint(pinning, LIBBPF_PIN_BY_NAME);   \
	} name SEC(".maps")

PROGRAMS(entries, N_ENTRIES);
PROGRAMS(tc_entries, N_ENTRIES);
PROGRAMS(stage2_entries, 1);

char _license[] SEC("license") = "Dual BSD/GPL";

/*
 * If the element is missing, packets go to the kernel and are counted. At tc ingress those from inside are then
 * translated at the egress, and for those to the pool there is a blackhole route.
 */
#define ENTRY_PROGRAM(section, ctx_type, name, map, element, missing) \
	SEC(section)                                                  \
	int name(struct ctx_type *ctx)                                \
	{                                                             \
		bpf_tail_call(ctx, &(map), element);                  \
		return finish(missing, REASON_no_program);            \
	}

#define XDP_ENTRY(name, element) ENTRY_PROGRAM("xdp.frags", xdp_md, name, entries, element, XDP_PASS)
#define TC_ENTRY(name, element)	 ENTRY_PROGRAM("tc", __sk_buff, name, tc_entries, element, TC_ACT_OK)

XDP_ENTRY(xdp_inside, ENTRY_INSIDE)
XDP_ENTRY(xdp_outside, ENTRY_OUTSIDE)
XDP_ENTRY(xdp_both, ENTRY_BOTH)
TC_ENTRY(tc_from_inside, ENTRY_INSIDE)
TC_ENTRY(tc_from_outside, ENTRY_OUTSIDE)
TC_ENTRY(tc_from_both, ENTRY_BOTH)

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
