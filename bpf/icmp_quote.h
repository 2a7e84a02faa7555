/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors of others (RFC 792): the packet that they quote, the session it belongs to, and the translation of both
 * headers (RFC 5508 section 4). What stands behind the quoted transport header, extensions of RFC 4884 among it, is
 * left as it is. The datapath's own errors are icmp_error.h.
 */
#ifndef DETNAT_ICMP_QUOTE_H
#define DETNAT_ICMP_QUOTE_H

#include "frame_sum.h"
#include "in2out.h"
#include "overflow.h"
#include "protocol_address.h"

/* An outer header with options, ICMP, and the same again: all that is read and written of an error. */
#define ICMP_QUOTE_HEADERS (L3_OFFSET + 60U + sizeof(struct icmphdr) + 60U + sizeof(struct tcphdr))
/* Of a quoted packet's transport header: ports, or type and identifier, and the checksum of UDP and ICMP. */
#define QUOTED_TRANSPORT 8U

enum quote_kind {
	QUOTE_SESSION,	/* TCP, UDP or ICMP echo */
	QUOTE_PROTOCOL, /* what has no ports: translated where the address is the subscriber's own */
	QUOTE_MALFORMED,
	QUOTE_OTHER, /* ICMP that this gateway translates no packets of */
};

struct icmp_quote {
	/*
	 * Its endpoints the other way round: the packet that would answer the quoted one, and that would go where the
	 * error goes. Only addresses, ports and protocol are valid.
	 */
	struct packet reply;
	__u16 l3_offset; /* all from the start of the frame */
	__u16 l4_offset;
	__u16 end; /* of the quoted packet, or of what there is of it */
};

/*
 * Reads the quote of an error. echo_type: what an ICMP query in it must be, ICMP_ECHO in an error from outside,
 * ICMP_ECHOREPLY in one from inside.
 */
static __always_inline enum quote_kind quote_parse(ctx_t *ctx, const struct packet *p, __u8 echo_type,
						   struct icmp_quote *ret)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	__u32 l3 = (p->l4_offset & 127) + sizeof(struct icmphdr), end = L3_OFFSET + p->length;
	struct iphdr *ip = data + l3;

	if ((void *)(ip + 1) > data_end || l3 + sizeof(*ip) > end)
		return QUOTE_MALFORMED;

	__u32 ihl = ip->ihl * 4U, length = bpf_ntohs(ip->tot_len), l4 = l3 + ihl;

	if (ip->version != 4 || ihl < sizeof(*ip) || length < ihl + QUOTED_TRANSPORT)
		return QUOTE_MALFORMED;
	if (ip->frag_off & bpf_htons(IP_OFFSET_MASK))
		return QUOTE_MALFORMED;

	struct icmphdr *icmp = data + (l4 & 255);
	struct udphdr *ports = (void *)icmp;

	if ((void *)(icmp + 1) > data_end || l4 + QUOTED_TRANSPORT > end)
		return QUOTE_MALFORMED;
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->reply.src = bpf_ntohl(ip->daddr);
	ret->reply.dst = bpf_ntohl(ip->saddr);
	ret->reply.proto = ip->protocol;
	ret->l3_offset = (__u16)l3;
	ret->l4_offset = (__u16)l4;
	ret->end = (__u16)(l3 + length < end ? l3 + length : end);
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

/* Why the IP options of the quoted packet forbid to translate it; 0 where they do not. */
static __always_inline enum reason quote_options_refusal(ctx_t *ctx, const struct icmp_quote *q)
{
	__u32 options = q->l3_offset + sizeof(struct iphdr);

	return q->l4_offset > options ? options_judge(ctx, options, q->l4_offset - options) : 0;
}

/*
 * Replaces an endpoint of the quote. The change of the ICMP checksum that covers it is added to *sum. 0, or -1 with
 * nothing changed where the packet is not what quote_parse() saw.
 */
static __always_inline int quote_rewrite(ctx_t *ctx, const struct icmp_quote *q, const struct rewrite *w, __u64 *sum)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + (q->l3_offset & 127);
	void *l4 = data + (q->l4_offset & 255);
	struct packet quoted = { .proto = q->reply.proto };

	if ((void *)(ip + 1) > data_end || l4 + QUOTED_TRANSPORT > data_end)
		return -1;

	int has_port = protocol_has_ports(quoted.proto);
	__be16 *port = l4 + rewrite_port_offset(&quoted, w), new_port = has_port ? bpf_htons(w->port) : *port;
	__be32 *addr = w->source ? &ip->saddr : &ip->daddr, new_addr = bpf_htonl(w->addr);
	__u64 addr_change = csum_change32(0, *addr, new_addr), port_change = csum_change16(0, *port, new_port);
	__u64 l4_change = port_change + (quoted.proto == IPPROTO_ICMP ? 0 : addr_change);
	__sum16 *l4_check = l4 + offsetof(struct udphdr, check), old;

	if (quoted.proto == IPPROTO_TCP) {
		/* Many quote no more than 8 octets of it. */
		l4_check = l4 + offsetof(struct tcphdr, check);
		if (q->l4_offset + offsetof(struct tcphdr, check) + sizeof(*l4_check) > q->end)
			l4_check = 0;
		else if (l4 + offsetof(struct tcphdr, check) + sizeof(*l4_check) > data_end)
			return -1;
	} else if (quoted.proto == IPPROTO_ICMP) {
		l4_check = l4 + offsetof(struct icmphdr, checksum);
	} else if (!has_port && !protocol_sums_addresses(ip)) {
		l4_check = 0;
	} else if (!*l4_check && quoted.proto != PROTOCOL_DCCP) {
		l4_check = 0;
	}
	if (l4_check) {
		old = *l4_check;
		*l4_check = csum_update(old, l4_change);
		if ((quoted.proto == IPPROTO_UDP || quoted.proto == PROTOCOL_UDP_LITE) && !*l4_check)
			*l4_check = 0xffff;
		*sum = csum_change16(*sum, old, *l4_check);
	}
	*port = new_port;
	old = ip->check;
	ip->check = csum_update(old, addr_change);
	*addr = new_addr;
	*sum = csum_change16(*sum + port_change + addr_change, old, ip->check);
	return 0;
}

/*
 * The error's own header. src, dst: its new addresses; sum: the change of what its ICMP checksum covers. lower_ttl: XDP
 * forwards it by itself. 0, or -1 with nothing changed.
 */
static __always_inline int icmp_header_rewrite(ctx_t *ctx, const struct packet *p, __u32 src, __u32 dst, __u64 sum,
					       int lower_ttl)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);
	struct iphdr *ip = data + L3_OFFSET;
	struct icmphdr *icmp = data + (p->l4_offset & 127);
	__be32 src_be = bpf_htonl(src), dst_be = bpf_htonl(dst);

	if ((void *)(ip + 1) > data_end || (void *)(icmp + 1) > data_end)
		return -1;

	__u64 change = csum_change32(csum_change32(0, ip->saddr, src_be), ip->daddr, dst_be);

	ip->check = csum_update(ip->check, lower_ttl ? rewrite_ttl(ip, change) : change);
	ip->saddr = src_be;
	ip->daddr = dst_be;
	icmp->checksum = csum_update(icmp->checksum, sum);
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
}

/* Whether the checksum of an ICMP message is right: a wrong one would be translated into another (RFC 5508 REQ-3). */
SUBPROGRAM int icmp_checksum_holds(ctx_t *ctx, const struct packet *p)
{
	if (!p)
		return 0;

	__u64 sum = frame_sum(ctx, p->l4_offset, L3_OFFSET + p->length);

	return sum != FRAME_SUM_FAILED && csum_fold(sum) == 0xffff;
}

/*
 * Outside port of the session that a packet from inside belongs to, or 0. m: the mapping of its source. An error
 * changes nothing of the session (RFC 5508 REQ-6). For a protocol without ports, of which there are no sessions, it is
 * 1 where the mapping translates it, and is not looked at.
 */
SUBPROGRAM int quote_session_from_inside(const struct mapping *m, const struct packet *p)
{
	struct flow f = { .m = m };
	struct subscriber *s;
	__u64 word;

	if (!m || !p)
		return 0;
	if (!protocol_has_ports(p->proto))
		return mapping_is_one_to_one(m);
	f.p = *p;
	f.now = now_ticks();
	flow_from_inside(&f);
	s = subscriber_get(m, f.subscriber);
	if (session_lookup_in2out(&f, &word)) {
		TRACE_STEP(session, word, word);
		return word_out_port(word);
	}
	if (!s || !s->overflow)
		return 0;

	struct overflow_key in = overflow_key_of_flow(&f);
	struct overflow_session *o = bpf_map_lookup_elem(&overflow, &in);

	word = o ? LOAD(o->truth) : 0;
	if (!word || word_expired(word, f.now, m->timeout_ticks))
		return 0;
	TRACE_STEP(session, word, word);
	return word_out_port(word);
}

/* Number of the subscriber of m that a packet from outside is for, or -1. */
static __always_inline __s64 quote_subscriber(const struct mapping *m, const struct packet *p)
{
	if (protocol_has_ports(p->proto))
		return mapping_reverse(&m->geo, p->dst, p->dport);
	return mapping_is_one_to_one(m) ? p->dst - m->geo.out_base : -1;
}

/* Inside port of the session that a packet from outside belongs to, or -1; of a protocol without ports 0. */
SUBPROGRAM int quote_session_from_outside(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	__u32 now = now_ticks();
	struct overflow_key in;
	struct subscriber *s;
	__u64 word, key;

	if (!m || !p)
		return -1;
	if (!protocol_has_ports(p->proto))
		return mapping_is_one_to_one(m) ? 0 : -1;
	s = subscriber_get(m, subscriber);
	if (!s)
		return -1;
	if (session_lookup_out2in(m, subscriber, p->src, p->sport, p->dport, p->proto, now, &word, &key)) {
		TRACE_STEP(session, word, word);
		return key_in_port(key);
	}
	if (!s->overflow || !overflow_find_out(p, m, now, &in))
		return -1;
	TRACE_STEP(overflowed, 0, 0);
	return in.port;
}

#endif
