/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The guard at the egress of outside interfaces: a packet that the kernel forwards untranslated must not carry an
 * inside source address, neither in its own header nor in one that an encapsulating route (SRv6, MPLS) has wrapped. The
 * agent's nftables table guards other interfaces (agent/guard/rules.c).
 */
#ifndef DETNAT_GUARD_TC_H
#define DETNAT_GUARD_TC_H

#include <linux/ipv6.h>

#include "subscriber/bypass.h"
#include "subscriber/drain_lookup.h"
#include "base/tail_call.h"
#include "subscriber/lookup.h"
#include "packet/parse.h"

#define MAX_LABELS	 32 /* a Linux route can push at most 30 */
#define MAX_EXTENSIONS	 6
#define MPLS_BOTTOM	 0x100 /* bottom-of-stack bit, host byte order (RFC 3032) */
#define NEXT_ETHERNET	 143   /* RFC 8986 */
#define ETH_MPLS_UNICAST 0x8847

#ifndef AF_INET6
#define AF_INET6 10
#endif

/* Returned by guarded_header() if the IPv4 header is too deep to be found. */
#define HIDDEN (~0U)

/* Offset behind the label stack at `offset`; 0 if the frame ends before it does; HIDDEN if the stack is too deep. */
SUBPROGRAM __u32 behind_labels(ctx_t *ctx, __u32 offset)
{
	__be32 label;

	for (int i = 0; i < MAX_LABELS; i++) {
		if (ctx_load(ctx, offset, &label, sizeof(label)))
			return 0;
		offset += sizeof(label);
		if (bpf_ntohl(label) & MPLS_BOTTOM)
			return offset;
	}
	return HIDDEN;
}

/*
 * Returns 1 if an IPv6 packet was encapsulated before it came here: its source is routed through an interface other
 * than the one it leaves through. An encapsulating route of this machine uses one of its own addresses.
 */
static __always_inline int came_encapsulated(ctx_t *ctx, const struct ipv6hdr *ip6)
{
	struct bpf_fib_lookup fib = { .family = AF_INET6, .ifindex = ctx_ingress(ctx) };
	long r;

	__builtin_memcpy(fib.ipv6_src, &ip6->daddr, sizeof(fib.ipv6_src));
	__builtin_memcpy(fib.ipv6_dst, &ip6->saddr, sizeof(fib.ipv6_dst));
	r = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	return (r == BPF_FIB_LKUP_RET_SUCCESS || r == BPF_FIB_LKUP_RET_NO_NEIGH || r == BPF_FIB_LKUP_RET_FRAG_NEEDED) &&
	       fib.ifindex != ctx->ifindex;
}

static __always_inline int is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
}

/* Offset of the IPv4 header that this machine wrapped in an IPv6 packet; 0 if there is none; or HIDDEN. */
static __always_inline __u32 behind_ipv6(ctx_t *ctx)
{
	struct ipv6hdr ip6;
	struct {
		__u8 next;
		__u8 length; /* in units of 8 octets, the first not counted */
	} extension;
	__u32 offset = L3_OFFSET + sizeof(ip6);
	__u16 inner;
	__u8 next;

	if (ctx_load(ctx, L3_OFFSET, &ip6, sizeof(ip6)))
		return 0;
	next = ip6.nexthdr;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (!is_extension(next))
			break;
		if (ctx_load(ctx, offset, &extension, sizeof(extension)))
			return 0;
		next = extension.next;
		offset += (extension.length + 1U) * 8;
	}
	if (next == NEXT_ETHERNET) {
		if (ctx_load(ctx, offset + 2 * ETH_ALEN, &inner, sizeof(inner)) || inner != bpf_htons(ETH_P_IP))
			return 0;
		offset += ETH_HLEN;
	} else if (is_extension(next)) {
		offset = HIDDEN;
	} else if (next != IPPROTO_IPIP) {
		return 0;
	}
	return came_encapsulated(ctx, &ip6) ? 0 : offset;
}

/* Offset of the IPv4 header that the guard checks in a forwarded packet; 0 if there is none; or HIDDEN. */
static __always_inline __u32 guarded_header(ctx_t *ctx)
{
	__be16 protocol = (__be16)ctx->protocol;

	if (!BARE && ctx_load(ctx, offsetof(struct ethhdr, h_proto), &protocol, sizeof(protocol)))
		return 0;
	switch (bpf_ntohs(protocol)) {
	case ETH_P_IP:
		return L3_OFFSET;
	case ETH_MPLS_UNICAST:
		return behind_labels(ctx, L3_OFFSET);
	case ETH_P_IPV6:
		return behind_ipv6(ctx);
	default:
		return 0;
	}
}

/* The program for packets that the kernel forwards out and that are not translated. */
static __always_inline int guard(ctx_t *ctx)
{
	struct device *out = device_get(ctx->ifindex);
	__u32 offset = guarded_header(ctx);
	struct iphdr ip;

	if (offset == HIDDEN)
		return drop(REASON_drop_guard_out);
	if (!offset || ctx_load(ctx, offset, &ip, sizeof(ip)) || ip.version != 4)
		return pass_untranslated();
	if (!address_is_inside(bpf_ntohl(ip.saddr)) || is_bypassed(bpf_ntohl(ip.daddr)))
		return pass_untranslated();
	/* NAT on a stick: this is the interface towards subscribers, too. */
	if (offset == L3_OFFSET && out && out->roles & DEVICE_INSIDE && address_is_inside(bpf_ntohl(ip.daddr)))
		return pass_untranslated();
	return drop(REASON_drop_guard_out);
}

#endif
