/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Step 6: out by another interface, from XDP. */
#ifndef DETNAT_FORWARD_H
#define DETNAT_FORWARD_H

#include "parse.h"

/* The first twelve octets of a frame, to be written as words. */
struct ether_addresses {
	__u8 dmac[6];
	__u8 smac[6];
} __attribute__((aligned(4)));

static __always_inline void ether_addresses_set(struct ethhdr *eth, const struct ether_addresses *mac)
{
	*(struct ether_addresses *)eth = *mac;
}

/*
 * bpf_redirect() also where the packet goes back by the interface it came from: XDP_TX would need an XDP program at
 * the peer of a veth.
 */
static __always_inline int forward(ctx_t *ctx, const struct ether_addresses *mac, __u32 ifindex)
{
	struct ethhdr *eth = ctx_data(ctx);

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return XDP_ABORTED;
	ether_addresses_set(eth, mac);
	TRACE_STEP(redirect, ifindex, 0);
	return bpf_redirect(ifindex, 0);
}

#endif
