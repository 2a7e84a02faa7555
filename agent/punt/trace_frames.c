/* SPDX-License-Identifier: BSD-2-Clause */
#include "punt/trace_frames.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
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

/* The record has no MAC addresses. */
static void put_ethernet(struct trace_frame *f, const struct trace_record *r, unsigned n_tags)
{
	static const uint8_t unknown[ETH_ALEN];

	put(f, unknown, sizeof(unknown));
	put(f, unknown, sizeof(unknown));
	for (unsigned i = 0; i < n_tags; i++) {
		put_16(f, i + 1 < n_tags ? ETH_P_8021AD : ETH_P_8021Q);
		put_16(f, r->vlan[i]);
	}
	put_16(f, r->ether_type);
}

static void put_ip(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, uint8_t ttl)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons(r->ip_length),
		.frag_off = htons(r->fragment),
		.ttl = ttl,
		.protocol = r->proto,
		.saddr = htonl(s->src),
		.daddr = htonl(s->dst),
	};

	ip.check = ip_checksum((const uint8_t *)&ip, sizeof(ip));
	put(f, &ip, sizeof(ip));
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
		tcp.th_sum = tcp_checksum(s, &tcp);
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

static void put_icmp(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, size_t payload)
{
	/* The identifier is the port of the requester; the other one is 0. */
	struct icmphdr icmp = {
		.type = r->icmp_type,
		.code = r->icmp_code,
		.un.echo.id = htons(s->sport ? s->sport : s->dport),
	};

	if (payload == sizeof(icmp))
		icmp.checksum = ip_checksum((const uint8_t *)&icmp, sizeof(icmp));
	put(f, &icmp, sizeof(icmp));
}

/* Appends the known part of the headers, and never more than the frame has. */
static void fill(struct trace_frame *f, const struct trace_record *r, const struct trace_step *s, unsigned n_tags,
		 uint8_t ttl)
{
	size_t payload = r->ip_length > sizeof(struct iphdr) ? r->ip_length - sizeof(struct iphdr) : 0;

	put_ethernet(f, r, n_tags);
	if (r->ether_type == ETH_P_IP && r->ip_length >= sizeof(struct iphdr)) {
		put_ip(f, r, s, ttl);
		if (r->fragment & IP_OFFMASK)
			return;
		if (r->proto == IPPROTO_TCP && payload >= sizeof(struct tcphdr))
			put_tcp(f, r, s, payload);
		else if (r->proto == IPPROTO_UDP && payload >= sizeof(struct udphdr))
			put_udp(f, r, s, payload);
		else if (r->proto == IPPROTO_ICMP && payload >= sizeof(struct icmphdr))
			put_icmp(f, r, s, payload);
	}
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
	if (last->kind != TRACE_end || fate == TRACE_DROPPED || r->ether_type != ETH_P_IP ||
	    has_step(r, TRACE_answered))
		return 1;
	ret[1] = (struct trace_frame){
		.time_ns = r->time_ns + last->elapsed_ns,
		.ifindex = fate == TRACE_TO_KERNEL ? 0
			   : tc			   ? r->ifindex
						   : sent_by(r),
		.outbound = fate == TRACE_SENT,
		.length = r->length - n_tags * TAG_LENGTH,
	};
	fill(&ret[1], r, last, 0, (uint8_t)(r->ttl - (fate == TRACE_SENT && !tc)));
	return 2;
}
