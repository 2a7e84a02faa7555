/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Step 6 where an interface takes no frames from XDP: the agent sends them. For answers and hairpins, which are few. */
#ifndef DETNAT_BPF_TRANSMIT_H
#define DETNAT_BPF_TRANSMIT_H

#include <detnat/transmit.h>

#include "count.h"
#include "step.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct transmission);
} transmission_copies SEC(".maps");

/* The verdict: the frame goes to the agent, or is lost and counted where there is none, or no room. */
STEP int transmit(ctx_t *ctx, __u32 ifindex)
{
	__u32 zero = 0;
	struct transmission *copy = bpf_map_lookup_elem(&transmission_copies, &zero);
	__u64 length = ctx_length(ctx), size;
	int lost = 1;

	/* What the verifier is to see, the compiler knows to be needless. */
	barrier_var(length);
	if (copy && length >= ETH_HLEN && length <= TRANSMIT_FRAME_MAX) {
		copy->ifindex = ifindex;
		copy->length = (__u32)length;
		size = sizeof(*copy) - TRANSMIT_FRAME_MAX + length;
		lost = ctx_load(ctx, 0, copy->frame, length) || bpf_ringbuf_output(&transmissions, copy, size, 0);
	}
	if (lost)
		count_add(REASON_redirect_errors, 1);
	return XDP_DROP;
}

#endif
