/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent sends for the datapath: see <detnat/transmit.h>. For answers and hairpins, which are few. */
#ifndef DETNAT_TRANSMIT_RING_H
#define DETNAT_TRANSMIT_RING_H

#include <stddef.h>

#include <detnat/transmit.h>

#include "count.h"
#include "maps.h"
#include "subprogram.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct transmission);
} transmission_copies SEC(".maps");

static __always_inline struct transmission *transmission_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&transmission_copies, &zero);
}

/* Hands over t, of so many octets in frame[], at most TRANSMIT_FRAME_MAX. 0, or -1 where there is no room: counted. */
static __always_inline int transmission_send(struct transmission *t, __u64 length)
{
	if (!bpf_ringbuf_output(&transmissions, t, offsetof(struct transmission, frame) + length, 0))
		return 0;
	count_add(REASON_redirect_errors, 1);
	return -1;
}

#if HOOK_XDP

/*
 * The verdict: the frame goes to the agent, or is lost and counted where there is no room, as when there is no agent.
 * mtu: see struct transmission.
 */
SUBPROGRAM int transmit(ctx_t *ctx, __u32 ifindex, __u32 mtu)
{
	struct transmission *t = transmission_get();
	__u64 length = ctx_length(ctx);

	/* What the verifier is to see, the compiler knows to be needless. */
	barrier_var(length);
	if (!t || length < ETH_HLEN || length > TRANSMIT_FRAME_MAX || ctx_load(ctx, 0, t->frame, length)) {
		count_add(REASON_redirect_errors, 1);
		return XDP_DROP;
	}
	t->ifindex = ifindex;
	t->length = (__u16)length;
	t->kind = TRANSMISSION_FRAME;
	t->mtu = mtu;
	transmission_send(t, length);
	return XDP_DROP;
}

#endif
#endif
