/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors sent by other hosts (RFC 792): the packet that they quote, its session, and the translation of both
 * headers (RFC 5508 section 4). The octets behind the quoted transport header, RFC 4884 extensions included, stay
 * unchanged. icmp_error.h makes the datapath's own errors.
 */
#ifndef DETNAT_ICMP_QUOTE_H
#define DETNAT_ICMP_QUOTE_H

#include "packet/frame_sum.h"
#include "slow/in2out.h"
#include "session/session_lookup.h"

/* The part of an error that is read and written: IP header with options and ICMP header, then the quoted headers. */
#define ICMP_QUOTE_HEADERS (L3_OFFSET + 60U + sizeof(struct icmphdr) + 60U + sizeof(struct tcphdr))
/* Octets of a quoted transport header: ports, or type and identifier, and the checksum of UDP and ICMP. */
#define QUOTED_TRANSPORT 8U

enum quote_kind {
	QUOTE_SESSION,	/* TCP, UDP or ICMP echo */
	QUOTE_PROTOCOL, /* protocol without ports: translated for subscribers with an address to themselves */
	QUOTE_MALFORMED,
	QUOTE_OTHER, /* an ICMP type that is not translated */
};

struct icmp_quote {
	/*
	 * The reply tuple: the packet that would answer the quoted one, which goes where the error goes. Only
	 * addresses, ports and protocol are valid.
	 */
	struct packet reply;
	__u16 l3_offset; /* offsets are from the start of the frame */
	__u16 l4_offset;
	__u16 end; /* of the quoted packet, or of the part that is there */
};

/*
 * The fewest octets of the transport header in a quote, if the quoted packet has `payload` octets behind its IP header.
 * A protocol without ports and without a checksum over addresses needs none, as nothing of its header is read.
 */
static __always_inline __u32 quote_least(__u8 proto, __u32 payload)
{
	if (payload >= QUOTED_TRANSPORT || protocol_has_ports(proto) || protocol_sums_addresses(proto))
		return QUOTED_TRANSPORT;
	return payload;
}

/* quote_parse() for a zeroed *ret. Returns enum quote_kind. */
SUBPROGRAM int quote_parse_packet(ctx_t *ctx, const struct packet *p, __u32 echo_type, struct icmp_quote *ret)
{
	if (!p || !ret)
		return QUOTE_MALFORMED;

	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	__u32 l3 = (p->l4_offset & 127) + sizeof(struct icmphdr), end = L3_OFFSET + p->length;
	struct iphdr *ip = data + l3;

	if ((void *)(ip + 1) > data_end || l3 + sizeof(*ip) > end)
		return QUOTE_MALFORMED;

	__u32 ihl = ip->ihl * 4U, length = bpf_ntohs(ip->tot_len), l4 = l3 + ihl, least;

	if (ip->version != 4 || ihl < sizeof(*ip) || length < ihl)
		return QUOTE_MALFORMED;
	if (ip->frag_off & bpf_htons(IP_OFFSET_MASK))
		return QUOTE_MALFORMED;
	least = quote_least(ip->protocol, length - ihl);
	if (length < ihl + least || l4 + least > end)
		return QUOTE_MALFORMED;

	struct icmphdr *icmp = data + (l4 & 255);
	struct udphdr *ports = (void *)icmp;

	ret->reply.src = bpf_ntohl(ip->daddr);
	ret->reply.dst = bpf_ntohl(ip->saddr);
	ret->reply.proto = ip->protocol;
	ret->l3_offset = (__u16)l3;
	ret->l4_offset = (__u16)l4;
	ret->end = (__u16)(l3 + length < end ? l3 + length : end);
	if (least < QUOTED_TRANSPORT)
		return QUOTE_PROTOCOL;
	if ((void *)(icmp + 1) > data_end)
		return QUOTE_MALFORMED;
	switch (ip->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		ret->reply.sport = bpf_ntohs(ports->dest);
		ret->reply.dport = bpf_ntohs(ports->source);
		return QUOTE_SESSION;
	case IPPROTO_ICMP:
		if (icmp->type != echo_type || icmp->code)
			return QUOTE_OTHER;
		if (echo_type == ICMP_ECHO)
			ret->reply.dport = bpf_ntohs(icmp->id);
		else
			ret->reply.sport = bpf_ntohs(icmp->id);
		return QUOTE_SESSION;
	default:
		return QUOTE_PROTOCOL;
	}
}

/*
 * Reads the quote of an ICMP error. echo_type: the ICMP query that may be quoted, ICMP_ECHO for an error from outside,
 * ICMP_ECHOREPLY for one from inside.
 */
static __always_inline enum quote_kind quote_parse(ctx_t *ctx, const struct packet *p, __u8 echo_type,
						   struct icmp_quote *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	return quote_parse_packet(ctx, p, echo_type, ret);
}

/* The reason to drop an error because of the IP options of the quoted packet; 0: none. */
static __always_inline enum reason quote_options_refusal(ctx_t *ctx, const struct icmp_quote *q)
{
	__u32 options = q->l3_offset + sizeof(struct iphdr);

	return q->l4_offset > options ? options_judge(ctx, options, q->l4_offset - options) : 0;
}

/* The endpoints of the quoted packet. */
static __always_inline struct rewrite rewrite_of_quote(const struct icmp_quote *q)
{
	return (struct rewrite){
		.src = q->reply.dst, .dst = q->reply.src, .sport = q->reply.dport, .dport = q->reply.sport
	};
}

/*
 * Sets *ret to the checksum of the quoted transport header, or NULL if there is none, or none that changes. Returns 0,
 * or -1 if the checksum is out of reach.
 */
static __always_inline int quote_check(const struct icmp_quote *q, void *l4, void *data_end, __sum16 **ret)
{
	__sum16 *check = l4 + offsetof(struct udphdr, check);

	*ret = 0;
	switch (q->reply.proto) {
	case IPPROTO_TCP:
		/* Many quotes end after 8 octets of the header. */
		check = l4 + offsetof(struct tcphdr, check);
		if (q->l4_offset + offsetof(struct tcphdr, check) + sizeof(*check) > q->end)
			return 0;
		if ((void *)(check + 1) > data_end)
			return -1;
		break;
	case IPPROTO_ICMP:
		check = l4 + offsetof(struct icmphdr, checksum);
		break;
	case PROTOCOL_DCCP:
		break;
	case IPPROTO_UDP:
	case PROTOCOL_UDP_LITE:
		if (!*check)
			return 0;
		break;
	default:
		return 0;
	}
	*ret = check;
	return 0;
}

/* quote_rewrite() of a quote with less than QUOTED_TRANSPORT octets behind its IP header: it has addresses alone. */
static __always_inline int quote_rewrite_short(const struct icmp_quote *q, struct iphdr *ip, const struct rewrite *to,
					       __u64 *sum)
{
	__sum16 old = ip->check;
	__u64 addresses;

	if (quote_least(q->reply.proto, 0))
		return -1;
	addresses = rewrite_addresses(ip, to, 0);
	*sum = csum_change16(*sum + addresses, old, ip->check);
	return 0;
}

/*
 * Rewrites the endpoints in the quote and adds the change to *sum, for the ICMP checksum that covers the quote. Returns
 * 0, or -1 with nothing changed if the packet differs from the one that quote_parse() saw.
 */
static __always_inline int quote_rewrite(ctx_t *ctx, const struct icmp_quote *q, const struct rewrite *to, __u64 *sum)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + (q->l3_offset & 127);
	void *l4 = data + (q->l4_offset & 255);
	__u8 proto = q->reply.proto;
	__sum16 *check, old;
	__u64 addresses, ports = 0;

	if ((void *)(ip + 1) > data_end)
		return -1;
	if (l4 + QUOTED_TRANSPORT > data_end)
		return quote_rewrite_short(q, ip, to, sum);
	if (quote_check(q, l4, data_end, &check))
		return -1;
	old = ip->check;
	addresses = rewrite_addresses(ip, to, 0);
	*sum = csum_change16(*sum + addresses, old, ip->check);
	if (proto == IPPROTO_ICMP)
		ports = rewrite_echo(l4, to, 0);
	else if (protocol_has_ports(proto))
		ports = rewrite_ports(l4, to, 0);
	if (check) {
		old = *check;
		*check = csum_update(old, proto == IPPROTO_ICMP ? ports : addresses + ports);
		if (!*check && (proto == IPPROTO_UDP || proto == PROTOCOL_UDP_LITE))
			*check = 0xffff;
		*sum = csum_change16(*sum, old, *check);
	}
	*sum += ports;
	return 0;
}

/*
 * Rewrites the error's own addresses, and adds sum, the change of the quote, to its checksum. lower_ttl: XDP forwards
 * the packet itself. Returns 0, or -1 with nothing changed.
 */
static __always_inline int icmp_header_rewrite(ctx_t *ctx, const struct packet *p, const struct rewrite *to, __u64 sum,
					       int lower_ttl)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + L3_OFFSET;
	struct icmphdr *icmp = data + (p->l4_offset & 127);

	if ((void *)(ip + 1) > data_end || (void *)(icmp + 1) > data_end)
		return -1;
	rewrite_addresses(ip, to, lower_ttl);
	icmp->checksum = csum_update(icmp->checksum, sum);
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

/*
 * Returns 1 if the checksum of an ICMP message is right: a wrong one would be translated into another (RFC 5508 REQ-3).
 */
SUBPROGRAM int icmp_checksum_holds(ctx_t *ctx, const struct packet *p)
{
	if (!p)
		return 0;

	__u64 sum = frame_sum(ctx, p->l4_offset, L3_OFFSET + p->length);

	return sum != FRAME_SUM_FAILED && csum_fold(sum) == 0xffff;
}

/* The reason to drop an error whose quote is QUOTE_MALFORMED. */
static __always_inline enum reason quote_malformed_reason(const struct packet *p)
{
	return p->fragment ? REASON_drop_fragment_tiny : REASON_drop_malformed;
}

/*
 * Before an error is translated. Its checksum must be right; that of an error in fragments covers more than the first
 * one shows, so it stays as wrong as it was, for the receiver to notice, and an entry leads the others. of, in_addr:
 * the subscriber that they count for; NULL: nobody's, as of a router inside. Returns 0, or the reason to drop the
 * error.
 */
static __always_inline int icmp_begin(ctx_t *ctx, const struct packet *p, const struct rewrite *to,
				      enum direction direction, const struct mapping *of, __u32 in_addr)
{
	if (!p->fragment)
		return icmp_checksum_holds(ctx, p) ? 0 : REASON_drop_malformed;
	/* RFC 7915 section 1.2: the checksum of ICMPv6 covers the length of the whole. */
	if (FAMILY6)
		return REASON_drop_fragment;
	/* The gateway's own keeps its addresses, and so do those behind it. */
	if (to->src == p->src && to->dst == p->dst)
		return 0;
	if (!of)
		return REASON_drop_fragment;
	/* Later fragments of an open mapping's subscriber pass by their address. */
	if (direction != DIRECTION_HAIRPIN && mapping_is_open(of))
		return 0;
	return fragment_begin(ctx, p, to->src, to->dst, in_addr);
}

/*
 * Translates an ICMP error, whose egress has been checked, together with its quote, and sends it. of, in_addr: see
 * icmp_begin().
 */
static __always_inline int icmp_translate(ctx_t *ctx, const struct packet *p, const struct rewrite *to,
					  const struct icmp_quote *q, const struct rewrite *quoted,
					  const struct egress *e, enum direction direction, const struct mapping *of,
					  __u32 in_addr)
{
	int refused = icmp_begin(ctx, p, to, direction, of, in_addr);
	enum sender sender;
	__u64 sum = 0;

	if (refused)
		return drop(refused);
	sender = egress_sender(ctx, e, p, direction);
	if (quote_rewrite(ctx, q, quoted, &sum) || icmp_header_rewrite(ctx, p, to, sum, sender_lowers_ttl(sender)))
		return drop(REASON_drop_error);
	count_translated(REASON_icmp_error_translated, p->length);
	return deliver(ctx, e, sender);
}

#endif
