/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors become ICMPv6 errors to a host inside (RFC 7915 sections 4.2, 4.3), with what they quote: a packet that
 * the host has sent. The slow path has made the quote one from the virtual address, and checked the error's checksum.
 */
#ifndef DETNAT_LEAVE_ERROR_H
#define DETNAT_LEAVE_ERROR_H

#include "six/made_error.h"
#include "six/protocols6.h"

#define ERROR6_MAX LOWEST_IPV6_MTU

/* Places in packet6.made. */
#define MADE6_ICMP  (ETH_HLEN + sizeof(struct ipv6hdr))
#define MADE6_QUOTE (MADE6_ICMP + sizeof(struct icmphdr))
#define MADE6_UPPER (MADE6_QUOTE + sizeof(struct ipv6hdr))

/* The greatest usual MTU that is less than the length of a packet (RFC 1191 section 7); 0: none. */
static __always_inline __u32 mtu_plateau(__u32 length)
{
	static const __u32 plateau[] = { 68, 296, 508, 1006, 1492, 2002, 4352, 8166, 17914, 32000 };
	__u32 found = 0;

#pragma unroll
	for (__u32 i = 0; i < sizeof(plateau) / sizeof(*plateau); i++)
		found = plateau[i] < length ? plateau[i] : found;
	return found;
}

/* The MTU to be told inside. told: by a router outside, 0 by one that tells none; length: of the quoted packet. */
static __always_inline __u32 mtu_to6(const struct leave_to *to, __u32 told, __u32 length)
{
	__u32 mtu = (told ? told : mtu_plateau(length)) + LEAVE_GROWTH;

	if (to->mtu6 && mtu > to->mtu6)
		mtu = to->mtu6;
	if (to->mtu4 && mtu > to->mtu4 + LEAVE_GROWTH)
		mtu = to->mtu4 + LEAVE_GROWTH;
	return mtu < LOWEST_IPV6_MTU ? LOWEST_IPV6_MTU : mtu;
}

/* The octet of an IPv6 header that an octet of one of IPv4 has become (RFC 7915 figure 3), or -1. */
static __always_inline int pointer_to6(__u32 at)
{
	switch (at) {
	case 0:
	case 1:
		return (int)at;
	case 2:
	case 3:
		return 4;
	case 8:
		return 7;
	case 9:
		return 6;
	default:
		return at < 12 ? -1 : at < 16 ? 8 : at < 20 ? 24 : -1;
	}
}

/* Code of an ICMPv6 destination unreachable, or -1. */
static __always_inline int unreachable_to6(__u8 code)
{
	switch (code) {
	case 0:
	case 1:
	case 5:
	case 6:
	case 7:
	case 8:
	case 11:
	case 12:
		return 0;
	case 3:
		return 4;
	case 9:
	case 10:
	case 13:
	case 15:
		return 1;
	default:
		return -1;
	}
}

/* The same of an ICMP destination unreachable. */
static __always_inline int icmp_unreachable_to6(const struct leave_to *to, const __u8 *from, __u32 quoted, __u8 *ret)
{
	ret[0] = ICMP6_DEST_UNREACH;
	if (from[1] == ICMP_PROT_UNREACH) {
		ret[0] = ICMP6_PARAMETER;
		ret[7] = offsetof(struct ipv6hdr, nexthdr);
		return 1;
	}
	if (from[1] == ICMP_FRAG_NEEDED) {
		ret[0] = ICMP6_PACKET_TOO_BIG;
		*(__be32 *)(ret + 4) = bpf_htonl(mtu_to6(to, be16_at(from + 6), quoted));
		return 0;
	}
	return unreachable_to6(from[1]);
}

/*
 * Writes the ICMPv6 header for that of an ICMP error. quoted: length of the quoted packet. Returns 0, or -1 for errors
 * that IPv6 does not have.
 */
static __always_inline int icmp_to6(const struct leave_to *to, const __u8 *from, __u32 quoted, __u8 *ret)
{
	int code = from[1], pointer;

	__builtin_memset(ret, 0, sizeof(struct icmphdr));
	switch (from[0]) {
	case ICMP_DEST_UNREACH:
		code = icmp_unreachable_to6(to, from, quoted, ret);
		break;
	case ICMP_TIME_EXCEEDED:
		ret[0] = ICMP6_TIME_EXCEEDED;
		break;
	default:
		pointer = code == 0 || code == 2 ? pointer_to6(from[4]) : -1;
		ret[0] = ICMP6_PARAMETER;
		ret[7] = (__u8)pointer;
		code = pointer < 0 ? -1 : 0;
	}
	ret[1] = (__u8)code;
	return code < 0 ? -1 : 0;
}

static __always_inline const struct iphdr *quote4_ip(struct packet6 *s, const struct leaving_quote *q)
{
	return (const void *)head6(s, q->at);
}

/* Reads the quote of an error that is in packet6.head. Returns 0, or the reason to drop the error. */
static __always_inline int leaving_quote_read(struct packet6 *s, const struct leaving *l, struct leaving_quote *q)
{
	__u32 at = l->l4 + sizeof(struct icmphdr), end = l->l4 + l->length, extended, headers, total;
	const struct iphdr *ip;
	const __u8 *l4;
	int ported;

	ip = (void *)head6(s, at);
	q->at = at;
	if (at + sizeof(struct iphdr) > end)
		return REASON_drop_malformed;
	extended = head6(s, l->l4)[5] * 4U;
	q->end = extended && extended < end - at ? at + extended : end;
	headers = ip->ihl * 4U;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || headers < sizeof(struct iphdr) || total < headers || at + headers > q->end)
		return REASON_drop_malformed;
	q->l4 = at + headers;
	q->length = total - headers;
	q->field = bpf_ntohs(ip->frag_off) & (IP_FLAG_MF | IP_OFFSET_MASK);
	ported = protocol_has_ports(ip->protocol) && !(q->field & IP_OFFSET_MASK);
	if (ported && q->end - q->l4 < sizeof(struct icmphdr))
		return REASON_drop_malformed;
	l4 = head6(s, q->l4);
	if (ip->protocol == IPPROTO_ICMP && (q->field || (l4[0] != ICMP_ECHO && l4[0] != ICMP_ECHOREPLY)))
		return REASON_drop_no_session;
	return 0;
}

/* Writes the quoted header of IPv6, and a fragment header behind it if the packet was a fragment. */
static __always_inline void quote_header_to6(struct packet6 *s, const struct leaving_quote *q, const struct record6 *r,
					     const struct leave_to *to)
{
	struct ipv6hdr *ip = (void *)s->made + MADE6_QUOTE;
	__u64 *addresses = (void *)&ip->saddr;

	ipv6_header_put(ip, quote4_ip(s, q)->tos, q->length + (q->field ? sizeof(struct fragment6) : 0),
			proto_to6(quote4_ip(s, q)->protocol), quote4_ip(s, q)->ttl);
	addresses[0] = to->addr[0];
	addresses[1] = to->addr[1];
	nat64_address(r, bpf_ntohl(quote4_ip(s, q)->daddr), addresses + 2);
	if (q->field)
		fragment6_put(ip, q->field, bpf_ntohs(quote4_ip(s, q)->id));
}

/* Translates the quoted upper layer, of which there are so many octets. */
static __always_inline void quote_upper_to6(struct packet6 *s, const struct leaving_quote *q, __u32 there)
{
	const struct ipv6hdr *ip = (void *)s->made + MADE6_QUOTE;
	__u8 *l4 = s->made + MADE6_UPPER + (q->field ? sizeof(struct fragment6) : 0), proto = quote4_ip(s, q)->protocol;
	__u32 at = upper_check_offset(proto);
	__u64 old = (__u64)quote4_ip(s, q)->saddr + quote4_ip(s, q)->daddr,
	      now = addresses6_sum((void *)&ip->saddr, (void *)&ip->daddr);
	__sum16 *check = (void *)(l4 + (at & 31));

	if (q->field & IP_OFFSET_MASK || !at || there < at + sizeof(*check))
		return;
	if (proto == IPPROTO_ICMP) {
		old = *(__u16 *)l4;
		l4[0] = l4[0] == ICMP_ECHO ? ICMP6_ECHO : ICMP6_ECHOREPLY;
		now += pseudo6_icmp(q->length) + *(__u16 *)l4;
	}
	*check = check_changed(*check, sum_change(old, now), protocol_check_is_optional(proto));
}

/* Loads the headers of the packet into packet6.head. Returns 0, or -1. */
static __always_inline int leaving_load(ctx_t *ctx, struct packet6 *s)
{
	__u64 length = ctx_length(ctx);

	if (length > PACKET6_HEAD)
		length = PACKET6_HEAD;
	barrier_var(length);
	if (!length)
		return -1;
	length = KNOWN_LENGTH(length, PACKET6_HEAD - 1);
	return ctx_load(ctx, 0, s->head, (__u32)length) ? -1 : 0;
}

/* Translates an error. Returns 0, or the reason to drop it. */
static __always_inline int leave_error(ctx_t *ctx, struct packet6 *s, const struct leaving *l, const struct record6 *r,
				       const struct leave_to *to)
{
	struct ipv6hdr *ip = (void *)s->made + ETH_HLEN;
	__u8 *icmp = s->made + MADE6_ICMP;
	struct leaving_quote *q = &s->quote4;
	const struct error_made *made = &s->pieces;
	__u32 length;
	int refused;

	if (leaving_load(ctx, s))
		return REASON_drop_malformed;
	refused = leaving_quote_read(s, l, q);
	if (refused)
		return refused;
	if (icmp_to6(to, head6(s, l->l4), bpf_ntohs(quote4_ip(s, q)->tot_len), icmp))
		return REASON_drop_no_session;
	s->parts = (struct error_parts){
		.upper = q->l4,
		.upper_end = q->end,
		.expected = q->length,
		.end = l->l4 + l->length,
		.quote = MADE6_QUOTE,
		.headers = sizeof(struct ipv6hdr) + (q->field ? sizeof(struct fragment6) : 0),
		.room = ERROR6_MAX - sizeof(struct ipv6hdr) - sizeof(struct icmphdr),
		.unit = 8,
		.extended = icmp[0] == ICMP6_DEST_UNREACH || icmp[0] == ICMP6_TIME_EXCEEDED,
	};
	if (made_ether(ctx, s, bpf_htons(ETH_P_IPV6)) || error_copy(ctx))
		return REASON_drop_malformed;
	if (made->extension)
		icmp[4] = (__u8)(made->quote / 8);
	quote_header_to6(s, q, r, to);
	quote_upper_to6(s, q, made->upper);
	length = sizeof(struct icmphdr) + made->quote + made->extension;
	leave_header(ip, l, r, to, length);
	if (error_put(ctx, MADE6_ICMP + length, MADE6_ICMP,
		      addresses6_sum((void *)&ip->saddr, (void *)&ip->daddr) + pseudo6_icmp(length)))
		return REASON_drop_error;
	return 0;
}

#endif
