/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stage 6: sending a frame from XDP; by a VLAN interface with its tags, from the interface below. */
#ifndef DETNAT_FORWARD_H
#define DETNAT_FORWARD_H

#include "nexthop.h"
#include "tags.h"
#if HOOK_XDP
#include "transmit_ring.h"
#endif

#if HOOK_XDP

/*
 * bpf_redirect() also where the packet goes back by the interface it came from: XDP_TX would need an XDP program at
 * the peer of a veth.
 */
SUBPROGRAM int send_by(ctx_t *ctx, __u32 ifindex)
{
	struct device_table *t = device_table_get();
	struct device *out = t ? device_at(t, ifindex) : 0;
	struct vlan_tags tags = {};

	TRACE_STEP(redirect, ifindex, 0);
	if (out && !(out->flags & (DEVICE_REDIRECT | DEVICE_TAGGED)))
		return transmit(ctx, ifindex, 0);
	if (!out || !out->lower)
		return bpf_redirect(ifindex, 0);
	tags.tag[0] = vlan_tag(out->tag_tpid, out->tag_id);
	tags.n = 1;
	ifindex = out->lower;
	out = device_at(t, ifindex);
	if (out->lower) {
		tags.tag[1] = tags.tag[0];
		tags.tag[0] = vlan_tag(out->tag_tpid, out->tag_id);
		tags.n = 2;
		ifindex = out->lower;
	}
	return vlan_tags_push(ctx, &tags) ? XDP_ABORTED : bpf_redirect(ifindex, 0);
}

/* Whether the whole frame is in one buffer. */
static __always_inline int is_linear(ctx_t *ctx)
{
	return ctx_length(ctx) <= (__u64)((long)ctx->data_end - (long)ctx->data);
}

/*
 * Truncates a frame to so many octets. 0, or -1: with generic XDP, where whole buffers go, the kernel (seen on 6.18)
 * goes on with the old length, and would send memory that is not the frame's.
 */
static __always_inline int frame_cut(ctx_t *ctx, __u32 length)
{
	__s32 cut = (__s32)ctx_length(ctx) - (__s32)length;
	struct device *in = device_get(ctx_ingress(ctx));

	if (cut <= 0)
		return 0;
	if (!is_linear(ctx) && !(in && in->flags & DEVICE_NATIVE))
		return -1;
	return bpf_xdp_adjust_tail(ctx, -cut) ? -1 : 0;
}

/*
 * Whether an interface takes the frame from XDP: one of several buffers needs more of a driver, and a redirected one
 * may be longer than the MTU of the interface that sends it by one tag alone.
 */
SUBPROGRAM int takes_frame(ctx_t *ctx, __u32 ifindex)
{
	struct device_table *t = device_table_get();
	__u64 length = ctx_length(ctx);
	struct device *out, *below;

	if (!t)
		return 0;
	out = device_at(t, ifindex);
	if (!is_linear(ctx) && !(out->flags & DEVICE_FRAGS))
		return 0;
	if (!out->lower)
		return 1;
	below = device_at(t, out->lower);
	if (!below->lower)
		return 1;
	return length + sizeof(struct vlan_tag) <= ETH_HLEN + (__u64)device_at(t, below->lower)->mtu;
}

#endif
#endif
