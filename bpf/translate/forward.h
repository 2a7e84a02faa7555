/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Step 6: sends a frame. From XDP it leaves with its tags through a VLAN interface, from the interface below; from tc
 * the interface adds them.
 */
#ifndef DETNAT_FORWARD_H
#define DETNAT_FORWARD_H

#include "egress/route.h"
#include "packet/ether.h"
#if AT_INGRESS
#include "translate/ports.h"
#endif
#if HOOK_XDP
#include "translate/transmit_ring.h"
#endif

#if HOOK_XDP

#if STAGE2

/* Stage 2 can send only through the interface whose queue holds the frame, so the agent sends it. */
static __always_inline int send_by(ctx_t *ctx, __u32 ifindex)
{
	return transmit(ctx, ifindex, 0);
}

#else

/*
 * Sends the frame through an interface; returns the verdict. Uses bpf_redirect() even if the frame goes back out of its
 * ingress interface: XDP_TX would need an XDP program on the peer of a veth.
 */
SUBPROGRAM int send_by(ctx_t *ctx, __u32 ifindex)
{
	struct device_table *t = device_table_get();
	struct device *out = t ? device_at(t, ifindex) : 0;
	struct vlan_tags tags = {};

	TRACE_STEP(redirect, ifindex, 0);
	if (out && !(out->flags & (DEVICE_REDIRECT | DEVICE_TAGGED)))
		return transmit(ctx, ifindex, 0);
	/* An answer to a frame from a bond's port: `ports` has only the bond. */
	if (STAGED && out && out->master)
		return redirect_to(ctx, out->master);
	if (!out || !out->lower)
		return redirect_to(ctx, ifindex);
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
	return vlan_tags_push(ctx, &tags) ? XDP_ABORTED : redirect_to(ctx, ifindex);
}

#endif

/* Returns 1 if the whole frame is in one buffer. */
static __always_inline int is_linear(ctx_t *ctx)
{
	return ctx_length(ctx) <= (__u64)((long)ctx->data_end - (long)ctx->data);
}

/*
 * Truncates a frame to `length` octets. Returns 0, or -1. Refused for generic XDP with several buffers: if whole
 * buffers are cut off, the kernel (seen on 6.18) keeps the old length and would send memory beyond the frame.
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
 * Returns 1 if an interface takes the frame from XDP. A frame of several buffers needs DEVICE_FRAGS, and a redirected
 * frame may exceed the MTU of the egress by no more than one tag.
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

#elif AT_INGRESS

/* Sends the frame, complete with its addresses, through an interface; returns the verdict. */
static __always_inline int send_by(ctx_t *ctx, __u32 ifindex)
{
	TRACE_STEP(redirect, ifindex, 0);
	return redirect_to(ctx, ifindex);
}

#if FORWARDS

/* The kernel finishes every frame for its interface. */
static __always_inline int takes_frame(ctx_t *ctx, __u32 ifindex)
{
	return 1;
}

#endif
#endif
#endif
