/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The steps of in2out.h for tc at the egress of an outside interface: the kernel has routed the packet. */
#ifndef DETNAT_IN2OUT_TC_H
#define DETNAT_IN2OUT_TC_H

#include "packet/ether.h"
#include "egress/route.h"
#include "slow/tenant_tc.h"

struct in2out {
	struct flow f;
};

static __always_inline const struct egress *in2out_egress(const struct in2out *io)
{
	return 0;
}

static __always_inline int is_hairpin(const struct in2out *io)
{
	return 0;
}

/*
 * A VLAN interface with reorder_hdr off writes its tag into the frame before tc sees it; others leave that to their
 * driver. Once removed here, the tag is added again by the driver, as for any other frame.
 *
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

/* The IPv4 header, or NULL. It is in the linear part, as the kernel has read or written it. */
static __always_inline struct iphdr *header_in_reach(ctx_t *ctx)
{
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;

	return ctx->protocol == bpf_htons(ETH_P_IP) && !ctx->vlan_present && (void *)(ip + 1) <= ctx_data_end(ctx) ? ip
														   : 0;
}

/*
 * Returns 1 if a packet from outside to a mapped inside address leaves through an outside interface: the inside route
 * is gone.
 */
static __always_inline int turns_back(ctx_t *ctx, const struct device *in, const struct device *out)
{
	struct iphdr *ip;

	if (!in || !out || in->roles != DEVICE_OUTSIDE || out->roles != DEVICE_OUTSIDE)
		return 0;
	ip = header_in_reach(ctx);
	return ip && address_is_inside(bpf_ntohl(ip->daddr));
}

/* Returns 1 if a packet that the gateway itself sends is ICMP. */
static __always_inline int is_own_icmp(ctx_t *ctx)
{
	struct iphdr *ip = header_in_reach(ctx);

	return ip && ip->protocol == IPPROTO_ICMP;
}

/*
 * Returns 1 if a packet with a mapped source belongs to a subscriber although it came in through an interface without a
 * role. in: the interface's record, or NULL.
 */
static __always_inline int is_from_anywhere(ctx_t *ctx, const struct device *in)
{
	if (settings.inside_from == INSIDE_NAMED || (in && in->roles))
		return 0;
	return settings.inside_from == INSIDE_ANY || ctx_ingress(ctx) >= MAX_IFINDEX;
}

/* Returns 1 if an ICMP error, of a router for instance, quotes a packet that a subscriber received. */
static __always_inline int quotes_inside(ctx_t *ctx, const struct packet *p)
{
	__u32 quote = (p->l4_offset & 127) + sizeof(struct icmphdr);
	__be32 dst;

	return is_icmp_error(p) && !ctx_load(ctx, quote + offsetof(struct iphdr, daddr), &dst, sizeof(dst)) &&
	       address_is_inside(bpf_ntohl(dst));
}

/* Handles a forwarded packet that is not to be translated. */
static __always_inline int in2out_other(ctx_t *ctx)
{
	return settings.guard ? tail_call(ctx, PROG_guard) : pass_untranslated();
}

/* Makes the first `headers` octets of the frame, or all of it, directly accessible. Returns 0, or -1. */
static __always_inline int pull_headers(ctx_t *ctx, __u32 headers)
{
	if (headers > ctx->len)
		headers = ctx->len;
	return ctx_data(ctx) + headers > ctx_data_end(ctx) && bpf_skb_pull_data(ctx, headers) ? -1 : 0;
}

/* Parses the packet. Returns CONTINUE if it came in through an inside interface and is to be translated. */
static __always_inline int in2out_admit(ctx_t *ctx, struct in2out *io, enum packet_kind *ret_kind)
{
	struct packet *p = &io->f.p;
	struct device *in = ctx_ingress(ctx) ? device_get(ctx_ingress(ctx)) : 0;
	struct device *out = device_get(ctx->ifindex);
	enum packet_kind kind;
	int anywhere = is_from_anywhere(ctx, in);

	if (settings.tenants && out && out->tenant) {
		if (!tenant_forwards(ctx))
			return drop(REASON_drop_tenant);
		if (!(out->roles & DEVICE_OUTSIDE))
			return pass_untranslated();
	}
	if (is_tagged_inline(ctx) && vlan_inline_pop(ctx))
		return drop(REASON_drop_error);
	/* The gateway's own traffic is not translated, except its ICMP errors, which may quote translated packets. */
	if (!ctx_ingress(ctx) && out && is_own_icmp(ctx))
		return tail_call_or(ctx, PROG_icmp_out, CTX_PASS);
	if (turns_back(ctx, in, out))
		return drop(REASON_drop_unreachable);
	/* Packets that leave through a VLAN interface are handled there. */
	if (!ctx_ingress(ctx) || ctx->vlan_present)
		return pass_untranslated();
	/* Routed between other interfaces. */
	if ((!anywhere && (!in || !(in->roles & DEVICE_INSIDE))) || !out)
		return in2out_other(ctx);
	if (pull_headers(ctx, L3_OFFSET + 60 + sizeof(struct tcphdr)))
		return drop(REASON_drop_error);
	kind = parse(ctx, p);
	if (kind == PACKET_NOT_IPV4)
		return in2out_other(ctx);
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (anywhere && !leaf_inside(p->src) && !(kind == PACKET_ICMP_OTHER && quotes_inside(ctx, p)))
		return in2out_other(ctx);
	/* NAT on a stick: replies made by this program, and routing between inside addresses. */
	if (out->roles & DEVICE_INSIDE && (p->src == out->addr || address_is_inside(p->dst)))
		return pass_untranslated();
	if (address_is_martian(p->dst) || address_is_link_local(p->dst) || address_is_link_local(p->src))
		return drop(REASON_drop_martian);
	if (is_bypassed(p->dst))
		return source_is_martian(p->src) ? drop(REASON_drop_martian) : pass_untranslated();
	*ret_kind = kind;
	return CONTINUE;
}

/* SOURCE_KERNEL passes: the kernel has checked the source. */
static __always_inline int in2out_source(ctx_t *ctx, const struct in2out *io)
{
	return source_check(ctx, io->f.p.src, io->f.p.dst, ctx->ifindex) == SOURCE_REFUSED ? drop(REASON_drop_martian)
											   : CONTINUE;
}

static __always_inline int in2out_egress_check(ctx_t *ctx, const struct in2out *io)
{
	return CONTINUE;
}

#endif
