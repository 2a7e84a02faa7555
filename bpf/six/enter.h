/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From IPv6 to IPv4, in place (RFC 7915 section 5): a packet of a subscriber to a NAT64 prefix becomes one of IPv4 from
 * the subscriber's virtual address, which the slow path then handles as any other. The hop limit stays, as it is the
 * slow path that lowers it.
 *
 *	refused = packet6_read(ctx);		*packet6_get() is filled in
 *	s->virt = ...				by the index, and s->out_addr, of an error s->quoted_virt
 *	refused = enter_packet(ctx, record);	the packet is IPv4
 *	restored = enter_undo(ctx);		the packet is as it came: for its quote, or to be parked
 */
#ifndef DETNAT_ENTER_H
#define DETNAT_ENTER_H

#include "six/enter_error.h"
#include "six/identification.h"
#include "six/protocols6.h"

/* Ethernet and IPv4 header of what is entering; the two octets in front align them. */
struct entered {
	__u8 align[2];
	struct ethhdr eth;
	struct iphdr ip;
};
#define ENTERED_HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr))

/* Octets of the upper-layer header that are changed, at most. */
#define ENTER_CHANGES 24U

/*
 * Identification and flags: of a fragment header, which an atomic fragment has, too; else DF where a router could not
 * have made fragments of a packet of IPv6, and otherwise a number that nobody can guess. Returns 0, or a reason to
 * drop.
 */
static __always_inline int enter_identify(const struct packet6 *s, struct iphdr *ip, __u32 dst, __u32 total)
{
	const struct headers6 *h = &s->whole;
	int ident;

	if (!h->has_fragment_header) {
		ip->frag_off = total > ENTER_DF_ABOVE ? bpf_htons(IP_FLAG_DF) : 0;
		ip->id = total > ENTER_DF_ABOVE ? 0 : (__u16)bpf_get_prandom_u32();
		return 0;
	}
	ident = h->field ? identification_get(s, dst) : (int)(h->ident & 0xffff);
	if (ident < 0)
		return REASON_drop_fragment_limit;
	ip->id = bpf_htons((__u16)ident);
	ip->frag_off = bpf_htons(h->field);
	return 0;
}

/* The reason not to translate a packet, but for its addresses; 0: none. */
static __always_inline int enter_refusal(const struct headers6 *h)
{
	__u32 length = h->end - h->l4;

	if (protocol_is_foreign_to4(h->proto))
		return REASON_drop_protocol;
	if (h->has_fragment_header && h->proto != IPPROTO_TCP && h->proto != IPPROTO_UDP && h->proto != IPPROTO_ICMPV6)
		return REASON_drop_protocol;
	/* The sum of ICMPv6 covers the length of the whole, which fragments do not show (RFC 7915 section 1.2). */
	if (h->proto == IPPROTO_ICMPV6 && h->field)
		return REASON_drop_fragment;
	if (h->proto == IPPROTO_ICMPV6 && length < sizeof(struct icmphdr))
		return REASON_drop_malformed;
	return sizeof(struct iphdr) + length > 0xffff ? REASON_drop_malformed : 0;
}

/*
 * Translates the checksum of the upper layer, and the type of an echo. src, dst: host byte order. Returns 0, or the
 * reason to drop the packet.
 */
static __always_inline int enter_upper(ctx_t *ctx, struct packet6 *s, __u32 dst)
{
	const struct headers6 *h = &s->whole;
	__u8 *l4 = head6(s, h->l4);
	__u32 at = upper_check_offset(h->proto), length = h->end - h->l4;
	__u64 old = addresses6_sum(h->src, h->dst), now = (__u64)bpf_htonl(s->virt) + bpf_htonl(dst), content = 0;
	__sum16 check;

	/* What is too short is the next parser's to refuse. */
	if (h->field & IP_OFFSET_MASK || !at || length < at + sizeof(check))
		return 0;
	check = *(__sum16 *)(l4 + at);
	if (h->proto == IPPROTO_ICMPV6) {
		__u8 type = l4[0] == ICMP6_ECHO ? ICMP_ECHO : ICMP_ECHOREPLY;
		__u16 word = *(__u16 *)l4;

		if (l4[0] != ICMP6_ECHO && l4[0] != ICMP6_ECHOREPLY)
			return REASON_drop_no_session;
		old += pseudo6_icmp(length);
		now = 0;
		content = sum_change(word, bpf_htons((__u16)(type << 8 | l4[1])));
		if (ctx_store(ctx, h->l4, &type, sizeof(type)))
			return REASON_drop_error;
	} else if (h->proto == IPPROTO_UDP && !check) {
		/* IPv6 has no UDP without a checksum (RFC 8200 section 8.1). */
		return REASON_drop_malformed;
	}
	return frame_check_change(ctx, h->l4 + at, check, sum_change(old, now), content,
				  protocol_check_is_optional(h->proto))
		       ? REASON_drop_error
		       : 0;
}

/* Translates what is no error. */
static __always_inline int enter_plain(ctx_t *ctx, struct packet6 *s, const struct record6 *r)
{
	const struct headers6 *h = &s->whole;
	__u32 dst = nat64_address4(r, h->dst), total = sizeof(struct iphdr) + h->end - h->l4;
	struct entered to = {};
	int refused = enter_refusal(h);

	if (refused)
		return refused;
	if (!nat64_has(r, h->dst) || address_is_nobodys(r, dst))
		return REASON_drop_martian;
	to.ip.version = 4;
	to.ip.ihl = sizeof(struct iphdr) / 4;
	to.ip.tos = h->traffic_class;
	to.ip.tot_len = bpf_htons((__u16)total);
	to.ip.ttl = h->hops;
	to.ip.protocol = h->proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : h->proto;
	to.ip.saddr = bpf_htonl(s->virt);
	to.ip.daddr = bpf_htonl(dst);
	refused = enter_identify(s, &to.ip, dst,
				 sizeof(struct iphdr) + frame_upper_sent(ctx, h->proto, h->l4, h->end - h->l4));
	if (!refused)
		refused = enter_upper(ctx, s, dst);
	if (refused)
		return refused;
	to.ip.check = ip_header_check(&to.ip);
	__builtin_memcpy(&to.eth, s->head, 2 * ETH_ALEN);
	to.eth.h_proto = bpf_htons(ETH_P_IP);
	s->shift = h->l4 - ENTERED_HEADERS;
	if (frame_shift(ctx, (int)s->shift, bpf_htons(ETH_P_IP)) || frame_put(ctx, &to.eth, ENTERED_HEADERS, 63))
		return REASON_drop_error;
	s->entered = 1;
	return 0;
}

/*
 * Translates the packet that packet6_read() has read. r: of its subscriber's mapping. Returns 0, or the reason to drop
 * it: it may then have been changed in part.
 */
SUBPROGRAM int enter_packet(ctx_t *ctx, const struct record6 *r)
{
	struct packet6 *s = packet6_get();

	if (!s || !r)
		return REASON_drop_error;
	return s->is_error ? enter_error(ctx, s, r) : enter_plain(ctx, s, r);
}

/*
 * Makes the packet again what it was when packet6_read() read it, while nothing but enter_packet() has changed it.
 * Returns 0, or -1: of an error, about which nobody is told anything.
 */
SUBPROGRAM int enter_undo(ctx_t *ctx)
{
	struct packet6 *s = packet6_get();
	__u64 length;

	if (!s || !s->entered || s->is_error)
		return -1;
	length = s->whole.l4 + ENTER_CHANGES;
	if (length > s->kept)
		length = s->kept;
	barrier_var(length);
	if (OUTSIDE(length, ENTERED_HEADERS, PACKET6_HEAD / 2) ||
	    frame_shift(ctx, -(int)s->shift, bpf_htons(ETH_P_IPV6)))
		return -1;
	s->entered = 0;
	return frame_put(ctx, s->head, length, PACKET6_HEAD / 2 - 1);
}

#endif
