/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Ethernet header: addresses, whether a frame is for this station, VLAN tags (IEEE 802.1Q, 802.1ad). */
#ifndef DETNAT_ETHER_H
#define DETNAT_ETHER_H

#include <linux/if_packet.h>

#include <detnat/tables.h>

#include "packet/parse.h"

/* The first twelve octets of a frame, written as words. */
struct ether_addresses {
	__u8 dmac[6];
	__u8 smac[6];
} __attribute__((aligned(4)));

static __always_inline void ether_addresses_set(struct ethhdr *eth, const struct ether_addresses *mac)
{
	*(struct ether_addresses *)eth = *mac;
}

/* Returns 1 if the frame is addressed to the interface with record `in`. At tc the kernel has already checked it. */
static __always_inline int frame_is_for(const ctx_t *ctx, const struct ethhdr *eth, const struct device *in)
{
#if HOOK_XDP
	return mac_equal(eth->h_dest, in->mac);
#else
	return ctx->pkt_type == PACKET_HOST;
#endif
}

#define VLAN_ID_MASK 0x0fffU

/* A tag in the frame, after the MAC addresses, outermost first: TPID, then priority and identifier. */
struct vlan_tag {
	__be16 tpid;
	__be16 tci;
};

struct vlan_tags {
	struct vlan_tag tag[MAX_VLAN_TAGS];
	__u32 n;
};

static __always_inline struct vlan_tag vlan_tag(__u16 tpid, __u16 id)
{
	return (struct vlan_tag){ .tpid = bpf_htons(tpid), .tci = bpf_htons(id) };
}

static __always_inline int is_vlan_tpid(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

#if HOOK_XDP

static __always_inline int is_tagged(ctx_t *ctx)
{
	struct ethhdr *eth = ctx_data(ctx);

	return (void *)(eth + 1) <= ctx_data_end(ctx) && is_vlan_tpid(eth->h_proto);
}

/* Removes n tags from the frame. Returns 0, or -1 with nothing changed. */
static __always_inline int vlan_tags_pop(ctx_t *ctx, __u32 n)
{
	struct ethhdr *eth = ctx_data(ctx);
	struct ether_addresses mac;

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return -1;
	mac = *(struct ether_addresses *)eth;
	if (bpf_xdp_adjust_head(ctx, n == 1 ? (int)sizeof(struct vlan_tag) : 2 * (int)sizeof(struct vlan_tag)))
		return -1;
	eth = ctx_data(ctx);
	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return -1;
	ether_addresses_set(eth, &mac);
	return 0;
}

/* Inserts at least one tag into the frame. Returns 0, or -1 if there is no headroom. */
static __always_inline int vlan_tags_push(ctx_t *ctx, const struct vlan_tags *tags)
{
	struct ethhdr *eth = ctx_data(ctx);
	struct ether_addresses mac;
	struct vlan_tag *place;

	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return -1;
	mac = *(struct ether_addresses *)eth;
	if (bpf_xdp_adjust_head(ctx, tags->n == 1 ? -(int)sizeof(*place) : -2 * (int)sizeof(*place)))
		return -1;
	eth = ctx_data(ctx);
	place = (void *)eth + sizeof(mac);
	if ((void *)(place + MAX_VLAN_TAGS) > ctx_data_end(ctx))
		return -1;
	ether_addresses_set(eth, &mac);
	place[0] = tags->tag[0];
	if (tags->n > 1)
		place[1] = tags->tag[1];
	return 0;
}

#elif AT_INGRESS

/* The kernel has taken the tag off. One without a VLAN is the interface's own, see vlan.h. */
static __always_inline int is_tagged(const ctx_t *ctx)
{
	return (ctx->vlan_present && ctx->vlan_tci & VLAN_ID_MASK) || is_vlan_tpid((__be16)ctx->protocol);
}

#endif

#endif
