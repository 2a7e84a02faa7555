/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A VLAN interface with reorder_hdr off writes its tag into the frame before tc sees it; others leave that to their
 * driver. Once removed here, the tag is added again by the driver, as for any other frame.
 */
#ifndef DETNAT_VLAN_TC_H
#define DETNAT_VLAN_TC_H

#include "egress/nexthop.h"
#include "packet/tags.h"

/*
 * Number of tags in the frame if the innermost is the interface's own, else 0: tags of interfaces above are not ours.
 */
static __always_inline __u32 vlan_inline_tags(ctx_t *ctx, const struct device *out)
{
	struct vlan_tag tag;

	for (__u32 n = 0; n < MAX_VLAN_TAGS; n++) {
		__be16 next;

		if (ctx_load(ctx, sizeof(struct ether_addresses) + n * sizeof(tag), &tag, sizeof(tag)) ||
		    ctx_load(ctx, sizeof(struct ether_addresses) + (n + 1) * sizeof(tag), &next, sizeof(next)) ||
		    !is_vlan_tpid(tag.tpid))
			return 0;
		if (!is_vlan_tpid(next))
			return bpf_ntohs(tag.tpid) == out->tag_tpid &&
					       (bpf_ntohs(tag.tci) & VLAN_ID_MASK) == out->tag_id
				       ? n + 1
				       : 0;
	}
	return 0;
}

/* Removes them. Returns 0, or -1. */
SUBPROGRAM int vlan_inline_pop(ctx_t *ctx)
{
	struct device *out = device_get(ctx->ifindex);
	__u32 n = out && out->roles ? vlan_inline_tags(ctx, out) : 0;

	/* Popping moves the second tag from the frame to its metadata, from where the next pop removes it. */
	for (__u32 i = 0; i < MAX_VLAN_TAGS; i++)
		if (i < n && bpf_skb_vlan_pop(ctx))
			return -1;
	return 0;
}

static __always_inline int is_tagged_inline(const ctx_t *ctx)
{
	return is_vlan_tpid((__be16)ctx->protocol) && !ctx->vlan_present;
}

#endif
