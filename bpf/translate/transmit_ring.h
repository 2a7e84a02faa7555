/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames that the agent sends for the datapath: see <detnat/transmit.h>. Used for answers and hairpins, which are few.
 */
#ifndef DETNAT_TRANSMIT_RING_H
#define DETNAT_TRANSMIT_RING_H

#include <stddef.h>

#include <detnat/transmit.h>

#include "base/count.h"
#include "base/maps.h"
#include "base/subprogram.h"

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

/*
 * Hands over t with `length` octets in frame[], at most TRANSMIT_FRAME_MAX; the others as in struct transmission.
 * Returns 0, or -1, counted, if the ring buffer is full.
 */
static __always_inline int transmission_send(struct transmission *t, __u8 kind, __u64 length, __u32 ifindex, __u32 mtu)
{
	t->ifindex = ifindex;
	t->length = (__u16)length;
	t->kind = kind;
	t->mtu = mtu;
	if (!bpf_ringbuf_output(&transmissions, t, offsetof(struct transmission, frame) + length, 0))
		return 0;
	count_add(REASON_redirect_errors, 1);
	return -1;
}

#if HOOK_XDP

/*
 * Hands the frame to the agent; if the ring buffer is full, as it is without an agent, the frame is lost and counted.
 * mtu: see struct transmission. Returns the verdict.
 */
SUBPROGRAM int transmit(ctx_t *ctx, __u32 ifindex, __u32 mtu)
{
	struct transmission *t = transmission_get();
	__u64 length = ctx_length(ctx);

	/* The verifier needs the bounds, which the compiler would drop as redundant. */
	barrier_var(length);
	if (!t || OUTSIDE(length, ETH_HLEN, TRANSMIT_FRAME_MAX) || ctx_load(ctx, 0, t->frame, length)) {
		count_add(REASON_redirect_errors, 1);
		return XDP_DROP;
	}
	if (!transmission_send(t, TRANSMISSION_FRAME, length, ifindex, mtu))
		TRACE_STEP(agent, ifindex, 0);
	return XDP_DROP;
}

#endif
#endif
