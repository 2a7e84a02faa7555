/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMPv6 errors from inside become ICMP errors (RFC 7915 sections 5.2, 5.3), with what they quote: a packet that has
 * come in, to a subscriber. The quote is then to the subscriber's virtual address, as the slow path expects it.
 */
#ifndef DETNAT_ENTER_ERROR_H
#define DETNAT_ENTER_ERROR_H

#include "six/made_error.h"
#include "six/protocols6.h"

/* Packets of IPv6 up to 1280 octets may have been cut by no router; longer ones of IPv4 get DF (RFC 7915 5.1). */
#define ENTER_DF_ABOVE 1260U

#define ERROR4_MAX   576U
#define MTU4_LOWEST  68U
#define QUOTED_UPPER 8U /* octets of a quoted upper-layer header, at least */

/* Places in packet6.made. */
#define MADE4_ICMP  (ETH_HLEN + sizeof(struct iphdr))
#define MADE4_QUOTE (MADE4_ICMP + sizeof(struct icmphdr))
#define MADE4_UPPER (MADE4_QUOTE + sizeof(struct iphdr))

/* The MTU to be told outside, for whatever a router inside has told. */
static __always_inline __u32 mtu_to4(const struct packet6 *s, __u32 told)
{
	__u32 mtu = told > MTU4_LOWEST + LEAVE_GROWTH ? told - LEAVE_GROWTH : MTU4_LOWEST;

	if (s->mtu4 && mtu > s->mtu4)
		mtu = s->mtu4;
	if (s->mtu6 && mtu + LEAVE_GROWTH > s->mtu6)
		mtu = s->mtu6 - LEAVE_GROWTH;
	return mtu < MTU4_LOWEST ? MTU4_LOWEST : mtu > 0xffff ? 0xffff : mtu;
}

/* The octet of an IPv4 header that an octet of one of IPv6 has become (RFC 7915 figure 6), or -1. */
static __always_inline int pointer_to4(__u32 at)
{
	switch (at) {
	case 0:
	case 1:
		return (int)at;
	case 4:
	case 5:
		return 2;
	case 6:
		return 9;
	case 7:
		return 8;
	default:
		return at < 8 ? -1 : at < 24 ? 12 : at < 40 ? 16 : -1;
	}
}

static __always_inline int unreachable_to4(__u8 code)
{
	switch (code) {
	case 0:
	case 2:
	case 3:
		return 1;
	case 1:
		return 10;
	case 4:
		return 3;
	default:
		return -1;
	}
}

/* Writes the ICMP header for that of an ICMPv6 error. Returns 0, or -1 for errors that IPv4 does not have. */
static __always_inline int icmp_to4(const struct packet6 *s, const __u8 *from, __u8 *to)
{
	__u32 field = be32_at(from + 4);
	int code = from[1];

	__builtin_memset(to, 0, sizeof(struct icmphdr));
	switch (from[0]) {
	case ICMP6_DEST_UNREACH:
		to[0] = ICMP_DEST_UNREACH;
		code = unreachable_to4(from[1]);
		break;
	case ICMP6_PACKET_TOO_BIG:
		to[0] = ICMP_DEST_UNREACH;
		code = ICMP_FRAG_NEEDED;
		*(__be16 *)(to + 6) = bpf_htons((__u16)mtu_to4(s, field));
		break;
	case ICMP6_TIME_EXCEEDED:
		to[0] = ICMP_TIME_EXCEEDED;
		break;
	default:
		to[0] = code == 1 ? ICMP_DEST_UNREACH : ICMP_PARAMETERPROB;
		if (code == 1) {
			code = ICMP_PROT_UNREACH;
			break;
		}
		field = code ? ~0U : (__u32)pointer_to4(field);
		code = field == ~0U ? -1 : 0;
		to[4] = (__u8)field;
	}
	to[1] = (__u8)code;
	return code < 0 ? -1 : 0;
}

/* The reason not to translate what an error quotes; 0: none. */
static __always_inline int quote6_refusal(struct packet6 *s, const struct record6 *r)
{
	const struct headers6 *q = &s->quoted;
	const __u8 *l4 = head6(s, q->l4);
	int first = !(q->field & IP_OFFSET_MASK);
	int ported = q->proto == IPPROTO_TCP || q->proto == IPPROTO_UDP || q->proto == IPPROTO_ICMPV6;

	if (q->l4 > q->end || (first && ported && q->end - q->l4 < QUOTED_UPPER) ||
	    sizeof(struct iphdr) + q->length > 0xffff)
		return REASON_drop_malformed;
	if (q->proto == IPPROTO_ICMPV6 && (q->field || (l4[0] != ICMP6_ECHO && l4[0] != ICMP6_ECHOREPLY)))
		return REASON_drop_no_session;
	return nat64_has(r, q->src) ? 0 : REASON_drop_no_session;
}

/* Writes the quoted header of IPv4. */
static __always_inline void quote_header_to4(const struct packet6 *s, struct iphdr *ip, __u32 remote)
{
	const struct headers6 *q = &s->quoted;
	__u32 total = sizeof(*ip) + q->length;

	__builtin_memset(ip, 0, sizeof(*ip));
	*(__u8 *)ip = 0x45;
	ip->tos = q->traffic_class;
	ip->tot_len = bpf_htons((__u16)total);
	ip->ttl = q->hops;
	ip->protocol = q->proto == IPPROTO_ICMPV6 ? IPPROTO_ICMP : q->proto;
	ip->saddr = bpf_htonl(remote);
	ip->daddr = bpf_htonl(s->quoted_virt);
	if (q->has_fragment_header) {
		ip->id = bpf_htons((__u16)q->ident);
		ip->frag_off = bpf_htons(q->field);
	} else if (total > ENTER_DF_ABOVE) {
		ip->frag_off = bpf_htons(IP_FLAG_DF);
	}
	ip->check = ip_header_check(ip);
}

/* Translates the quoted upper layer, of which there are so many octets. */
static __always_inline void quote_upper_to4(struct packet6 *s, const struct iphdr *ip, __u32 there)
{
	const struct headers6 *q = &s->quoted;
	__u8 *l4 = s->made + MADE4_UPPER;
	__u32 at = upper_check_offset(q->proto);
	__u64 old = addresses6_sum(q->src, q->dst), now = (__u64)ip->saddr + ip->daddr;
	__sum16 *check = (void *)(l4 + (at & 31));

	if (q->field & IP_OFFSET_MASK || !at || there < at + sizeof(*check))
		return;
	if (q->proto == IPPROTO_ICMPV6) {
		old += pseudo6_icmp(q->length) + *(__u16 *)l4;
		l4[0] = l4[0] == ICMP6_ECHO ? ICMP_ECHO : ICMP_ECHOREPLY;
		now = *(__u16 *)l4;
	}
	*check = check_changed(*check, sum_change(old, now), protocol_check_is_optional(q->proto));
}

/* Writes the error's own header of IPv4; it is never longer than IPv6's least MTU, so DF is 0. */
static __always_inline void error_header_to4(const struct packet6 *s, struct iphdr *ip, __u32 dst, __u32 total)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	*(__u8 *)ip = 0x45;
	ip->tos = s->whole.traffic_class;
	ip->tot_len = bpf_htons((__u16)total);
	ip->id = s->whole.has_fragment_header ? bpf_htons((__u16)s->whole.ident) : (__u16)bpf_get_prandom_u32();
	ip->ttl = s->whole.hops;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = bpf_htonl(s->virt);
	ip->daddr = bpf_htonl(dst);
	ip->check = ip_header_check(ip);
}

/* Returns 1 if the checksum of an ICMPv6 message is right: a wrong one would be translated into another. */
static __always_inline int icmp6_checksum_holds(ctx_t *ctx, const struct headers6 *h)
{
	__u64 sum = frame_sum(ctx, h->l4, h->end);

	return sum != FRAME_SUM_FAILED &&
	       csum_fold(csum_fold(sum) + addresses6_sum(h->src, h->dst) + pseudo6_icmp(h->end - h->l4)) == 0xffff;
}

/* Translates an error. Returns 0, or the reason to drop it. */
static __always_inline int enter_error(ctx_t *ctx, struct packet6 *s, const struct record6 *r)
{
	const struct headers6 *h = &s->whole, *q = &s->quoted;
	__u32 dst = nat64_address4(r, h->dst), remote = nat64_address4(r, q->src), total;
	__u8 *icmp = s->made + MADE4_ICMP;
	const struct error_made *made = &s->pieces;
	int refused = quote6_refusal(s, r);

	s->parts = (struct error_parts){
		.upper = q->l4,
		.upper_end = q->end,
		.expected = q->length,
		.end = h->end,
		.quote = MADE4_QUOTE,
		.headers = sizeof(struct iphdr),
		.room = ERROR4_MAX - sizeof(struct iphdr) - sizeof(struct icmphdr),
		.unit = 4,
		.extended = 1,
	};
	if (!icmp6_checksum_holds(ctx, h))
		return REASON_drop_malformed;
	if (refused)
		return refused;
	if (!nat64_has(r, h->dst) || address_is_nobodys(r, dst) || address_is_nobodys(r, remote))
		return REASON_drop_martian;
	if (icmp_to4(s, head6(s, h->l4), icmp))
		return REASON_drop_no_session;
	if (made_ether(ctx, s, bpf_htons(ETH_P_IP)) || error_copy(ctx))
		return REASON_drop_malformed;
	if (made->extension)
		icmp[5] = (__u8)(made->quote / 4);
	quote_header_to4(s, (void *)s->made + MADE4_QUOTE, remote);
	quote_upper_to4(s, (void *)s->made + MADE4_QUOTE, made->upper);
	total = MADE4_QUOTE - ETH_HLEN + made->quote + made->extension;
	error_header_to4(s, (void *)s->made + ETH_HLEN, dst, total);
	if (error_put(ctx, ETH_HLEN + total, MADE4_ICMP, 0))
		return REASON_drop_error;
	s->entered = 1;
	return 0;
}

#endif
