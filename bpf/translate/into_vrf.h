/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Translated packets to subscribers of a tenant in a VRF that the kernel has to send: it must route them by the table
 * of that VRF, whichever interface they came in by. So they enter the VRF at its ingress: tc redirects them there, and
 * XDP leaves that to `tc_into_vrf` (struct vrf_note). Compiled away while there are no tenants.
 */
#ifndef DETNAT_INTO_VRF_H
#define DETNAT_INTO_VRF_H

#include "egress/egress.h"
#include "egress/route.h"

#if AT_INGRESS && !STAGE2

/* Returns 1 if the packet is to a subscriber whose tenant has a VRF, as egress_towards() found. */
static __always_inline int goes_into_vrf(enum direction direction)
{
	const struct egress_room *room = settings.tenants && direction == DIRECTION_IN ? egress_room_get() : 0;

	return room && room->vrf;
}

#if HOOK_XDP

/* Addresses the frame to the VRF, and notes its index in front of it. Returns 0, or -1 with the frame unchanged. */
static __always_inline int into_vrf(ctx_t *ctx, __u32 vrf, const __u8 *mac)
{
	struct vrf_note *note;
	struct ethhdr *eth;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*note)))
		return -1;
	note = (void *)(long)ctx->data_meta;
	eth = ctx_data(ctx);
	if ((void *)(note + 1) > (void *)eth || (void *)(eth + 1) > ctx_data_end(ctx))
		return -1;
	note->mark = VRF_NOTE;
	note->vrf = vrf;
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
	return CTX_PASS;
}

#else

static __always_inline int into_vrf(ctx_t *ctx, __u32 vrf, const __u8 *mac)
{
	if (bpf_skb_store_bytes(ctx, 0, mac, ETH_ALEN, 0))
		return -1;
	return (int)bpf_redirect(vrf, BPF_F_INGRESS);
}

#endif

/* Hands the packet to the kernel in its VRF. Returns the verdict. */
SUBPROGRAM int pass_into_vrf(ctx_t *ctx)
{
	const struct egress_room *room = egress_room_get();
	const struct device *vrf = room ? device_get(room->vrf) : 0;
	int verdict;

	if (!vrf || !(vrf->flags & DEVICE_VRF))
		return drop(REASON_redirect_errors);
	TRACE_STEP(redirect, room->vrf, 0);
	verdict = into_vrf(ctx, room->vrf, vrf->mac);
	return verdict < 0 ? drop(REASON_redirect_errors) : verdict;
}

#endif
#endif
