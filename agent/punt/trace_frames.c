/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/trace_frames.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/ip.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>

#include "base/base.h"
#include "base/ip_checksum.h"

#define TAG_LENGTH 4U

static bool has_step(const struct trace_record *r, enum trace_step_kind kind)
{
	for (unsigned i = 0; i < r->n_steps; i++)
		if (r->step[i].kind == kind)
			return true;
	return false;
}

enum trace_fate trace_fate(const struct trace_record *r, uint64_t verdict)
{
	bool by_agent = has_step(r, TRACE_agent);

	if (r->hook == TRACE_HOOK_TC)
		return verdict == TC_ACT_SHOT ? TRACE_DROPPED : TRACE_SENT;
	if (r->hook == TRACE_HOOK_INGRESS)
		return (int)verdict == TC_ACT_UNSPEC		? TRACE_TO_KERNEL
		       : verdict == TC_ACT_REDIRECT || by_agent ? TRACE_SENT
								: TRACE_DROPPED;
	if (verdict == XDP_PASS)
		return TRACE_TO_KERNEL;
	return verdict == XDP_TX || verdict == XDP_REDIRECT || by_agent ? TRACE_SENT : TRACE_DROPPED;
}

static void put(struct trace_frame *f, const void *data, size_t size)
{
	memcpy(f->octets + f->captured, data, size);
	f->captured += (uint32_t)size;
}

static void put_16(struct trace_frame *f, uint16_t value)
{
	value = htons(value);
	put(f, &value, sizeof(value));
}

const struct trace_six *trace_step_six(const struct trace_record *r, const struct trace_step *s)
{
	unsigned first = s->kind == TRACE_received ? 0 : 1;

	for (unsigned i = 0; i < 2; i++) {
		const struct trace_six *six = &r->six[i ^ first];

		if (six->virt &&
		    ((s->src == six->virt && s->dst == six->addr) || (s->dst == six->virt && s->src == six->addr)))
			return six;
	}
	return NULL;
}

/* Octets of the IP packet at a step, of which the record has those of the packet that came. */
static size_t length_at(const struct trace_record *r, const struct trace_six *six)
{
	bool came_as_six = r->ether_type == ETH_P_IPV6;

	if (came_as_six == !!six || !r->ip_length)
		return r->ip_length;
	return came_as_six ? r->ip_length - (sizeof(struct ip6_hdr) - sizeof(struct iphdr))
			   : r->ip_length + (sizeof(struct ip6_hdr) - sizeof(struct iphdr));
}

/* The record has no MAC addresses. */
static void put_ethernet(struct trace_frame *f, const struct trace_record *r, unsigned n_tags, uint16_t type)
{
	static const uint8_t unknown[ETH_ALEN];

	put(f, unknown, sizeof(unknown));
	put(f, unknown, sizeof(unknown));
	for (unsigned i = 0; i < n_tags; i++) {
		put_16(f, i + 1 < n_tags ? ETH_P_8021AD : ETH_P_8021Q);
		put_16(f, r->vlan[i]);
	}
	put_16(f, type);
}

static void put_ip(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, uint8_t ttl)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons((uint16_t)length_at(r, NULL)),
		.frag_off = htons(r->fragment),
		.ttl = ttl,
		.protocol = r->proto,
		.saddr = htonl(s->src),
		.daddr = htonl(s->dst),
	};

	ip.check = ip_checksum((const uint8_t *)&ip, sizeof(ip));
	put(f, &ip, sizeof(ip));
}

static void put_ip6(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s,
		    const struct trace_six *six, uint8_t hop_limit)
{
	bool from = s->src == six->virt;
	uint8_t next = r->proto == IPPROTO_ICMP ? IPPROTO_ICMPV6 : r->proto;
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6U << 28),
		.ip6_plen = htons((uint16_t)(length_at(r, six) - sizeof(ip))),
		.ip6_nxt = r->fragment & (IP_MF | IP_OFFMASK) ? IPPROTO_FRAGMENT : next,
		.ip6_hlim = hop_limit,
	};

	memcpy(&ip.ip6_src, from ? six->host : six->ext, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, from ? six->ext : six->host, sizeof(ip.ip6_dst));
	put(f, &ip, sizeof(ip));
}

/* The checksum of a transport header alone, its own field 0, behind the header of IPv6 that was put last. */
static uint16_t checksum6(const struct trace_frame *f, uint8_t proto, const void *header, size_t size)
{
	struct {
		uint8_t addresses[32];
		uint32_t length;
		uint8_t zero[3], proto;
		uint8_t header[sizeof(struct tcphdr)];
	} whole = { .length = htonl((uint32_t)size), .proto = proto };

	memcpy(whole.addresses, f->octets + f->captured - sizeof(whole.addresses), sizeof(whole.addresses));
	memcpy(whole.header, header, size);
	return ip_checksum((const uint8_t *)&whole, offsetof(typeof(whole), header) + size);
}

/* A SYN carries no data, so everything behind its header is options; of other segments that is unknown. */
static size_t tcp_header(const struct trace_record *r, size_t payload)
{
	if (!(r->tcp_flags & TH_SYN) || payload < sizeof(struct tcphdr) || payload > 60)
		return sizeof(struct tcphdr);
	return payload & ~3UL;
}

/* With a checksum only if nothing follows it; else it cannot be known. */
static uint16_t tcp_checksum(const struct trace_step *s, const struct tcphdr *tcp)
{
	struct {
		uint32_t src, dst;
		uint8_t zero, proto;
		uint16_t length;
		struct tcphdr tcp;
	} whole = { htonl(s->src), htonl(s->dst), 0, IPPROTO_TCP, htons(sizeof(*tcp)), *tcp };

	return ip_checksum((const uint8_t *)&whole, sizeof(whole));
}

static void put_tcp(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, size_t payload)
{
	struct tcphdr tcp = {
		.th_sport = htons(s->sport),
		.th_dport = htons(s->dport),
		.th_off = (unsigned)(tcp_header(r, payload) / 4) & 15U,
		.th_flags = r->tcp_flags,
	};

	if (payload == sizeof(tcp))
		tcp.th_sum =
			trace_step_six(r, s) ? checksum6(f, IPPROTO_TCP, &tcp, sizeof(tcp)) : tcp_checksum(s, &tcp);
	put(f, &tcp, sizeof(tcp));
}

/* UDP's checksum 0 means none. */
static void put_udp(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, size_t payload)
{
	const struct udphdr udp = {
		.uh_sport = htons(s->sport),
		.uh_dport = htons(s->dport),
		.uh_ulen = htons((uint16_t)(r->fragment & IP_MF ? 0 : payload)),
	};

	put(f, &udp, sizeof(udp));
}

/* The type of ICMP that a packet has at a step, of which the record has that of the packet that came. */
static uint8_t icmp_type_at(const struct trace_record *r, const struct trace_six *six)
{
	static const struct {
		uint8_t four, six;
	} types[] = {
		{ ICMP_ECHO, ICMP6_ECHO_REQUEST },	     { ICMP_ECHOREPLY, ICMP6_ECHO_REPLY },
		{ ICMP_TIME_EXCEEDED, ICMP6_TIME_EXCEEDED }, { ICMP_PARAMETERPROB, ICMP6_PARAM_PROB },
		{ ICMP_DEST_UNREACH, ICMP6_DST_UNREACH },    { ICMP_DEST_UNREACH, ICMP6_PACKET_TOO_BIG },
	};
	bool came_as_six = r->ether_type == ETH_P_IPV6;

	for (size_t i = 0; came_as_six != !!six && i < ARRAY_SIZE(types); i++)
		if (r->icmp_type == (came_as_six ? types[i].six : types[i].four))
			return six ? types[i].six : types[i].four;
	return r->icmp_type;
}

static void put_icmp(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, size_t payload)
{
	/* The identifier is the port of the requester; the other one is 0. */
	const struct trace_six *six = trace_step_six(r, s);
	struct icmphdr icmp = {
		.type = icmp_type_at(r, six),
		.code = r->icmp_code,
		.un.echo.id = htons(s->sport ? s->sport : s->dport),
	};

	if (payload == sizeof(icmp))
		icmp.checksum = six ? checksum6(f, IPPROTO_ICMPV6, &icmp, sizeof(icmp))
				    : ip_checksum((const uint8_t *)&icmp, sizeof(icmp));
	put(f, &icmp, sizeof(icmp));
}

/* Whether it is a packet of IPv4, or one of IPv6 of a subscriber. */
static bool is_ip(const struct trace_record *r)
{
	return r->ether_type == ETH_P_IP || (r->ether_type == ETH_P_IPV6 && r->six[0].virt);
}

/* Appends the known part of the headers, and never more than the frame has. */
static void fill(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, unsigned n_tags,
		 uint8_t ttl)
{
	const struct trace_six *six = trace_step_six(r, s);
	size_t header = six ? sizeof(struct ip6_hdr) : sizeof(struct iphdr), length = length_at(r, six);
	size_t payload = length > header ? length - header : 0;

	put_ethernet(f, r, n_tags, six ? ETH_P_IPV6 : is_ip(r) ? ETH_P_IP : r->ether_type);
	if (!is_ip(r) || length < header)
		return;
	if (six)
		put_ip6(f, r, s, six, ttl);
	else
		put_ip(f, r, s, ttl);
	if (r->fragment & IP_OFFMASK || (six && r->fragment & IP_MF))
		return;
	if (r->proto == IPPROTO_TCP && payload >= sizeof(struct tcphdr))
		put_tcp(f, r, s, payload);
	else if (r->proto == IPPROTO_UDP && payload >= sizeof(struct udphdr))
		put_udp(f, r, s, payload);
	else if (r->proto == IPPROTO_ICMP && payload >= sizeof(struct icmphdr))
		put_icmp(f, r, s, payload);
}

/*
 * The interface through which XDP, or tc at the ingress, sends: the last redirect's, else the one through which the
 * packet arrived.
 */
static uint32_t sent_by(const struct trace_record *r)
{
	for (unsigned i = r->n_steps; i--;)
		if (r->step[i].kind == TRACE_redirect)
			return (uint32_t)r->step[i].a;
	return r->ifindex;
}

unsigned trace_frames(const struct trace_record *r, struct trace_frame ret[static 2])
{
	bool tc = r->hook == TRACE_HOOK_TC;
	unsigned n_tags = r->n_tags < ARRAY_SIZE(r->vlan) ? r->n_tags : (unsigned)ARRAY_SIZE(r->vlan);
	const struct trace_step *last;
	enum trace_fate fate;

	if (!r->n_steps || r->n_steps > TRACE_MAX_STEPS)
		return 0;
	ret[0] = (struct trace_frame){
		.time_ns = r->time_ns, .ifindex = tc ? 0 : r->ifindex, .outbound = tc, .length = r->length
	};
	fill(&ret[0], r, &r->step[0], n_tags, r->ttl);

	last = &r->step[r->n_steps - 1];
	fate = trace_fate(r, last->a);
	/* An answer is another packet, which is not recorded; nor is anything after the last step that fitted. */
	if (last->kind != TRACE_end || fate == TRACE_DROPPED || !is_ip(r) || has_step(r, TRACE_answered))
		return 1;
	ret[1] = (struct trace_frame){
		.time_ns = r->time_ns + last->elapsed_ns,
		.ifindex = fate == TRACE_TO_KERNEL ? 0
			   : tc			   ? r->ifindex
						   : sent_by(r),
		.outbound = fate == TRACE_SENT,
		.length = r->length - n_tags * TAG_LENGTH +
			  (uint32_t)(length_at(r, trace_step_six(r, last)) - r->ip_length),
	};
	fill(&ret[1], r, last, 0, (uint8_t)(r->ttl - (fate == TRACE_SENT && !tc)));
	return 2;
}
