/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path, for nearly all packets: unfragmented TCP and UDP packets with a plain 20-octet IPv4 header that XDP
 * redirects, and whose session is in a slot or opens in the simplest case (fast_open.h). It never decides differently
 * from the slow path (in2out.h, out2in.h), and leaves every packet that it does not recognise at once to it, unchanged.
 *
 * It is written for the CPU rather than for the compiler: few live values and no hard-to-predict branches, so that the
 * cache misses of one packet overlap with the work on the next. docs/PERFORMANCE.md has the figures.
 */
#ifndef DETNAT_FAST_H
#define DETNAT_FAST_H

#include "egress/nexthop.h"
#include "translate/ports.h"
#include "translate/rewrite.h"
#include "session/session_slots.h"

/* A TCP header, or a UDP header and octets that every Ethernet frame has, if only as padding. */
union fast_transport {
	struct tcphdr tcp;
	struct udphdr udp;
	struct {
		__be16 sport;
		__be16 dport;
	};
};
_Static_assert(sizeof(union fast_transport) == 20, "TCP without options");

/* The headers of a frame, and what was read from them. */
struct fast_packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	union fast_transport *l4;
	/*
	 * Protocol and state, as in a state word, of a session that this packet cannot change; 0 for a TCP segment that
	 * opens, closes or resets.
	 */
	__u32 steady;
	__u8 proto;
};

/* Flags of a TCP segment. */
static __always_inline __u8 fast_tcp_flags(const struct fast_packet *q)
{
	return ((const __u8 *)&q->l4->tcp)[13];
}

/* A value of a setting at its place in settings.each_packet; 0xff selects all bits of the setting. */
#define EACH_PACKET(setting, value) ((struct settings){ .setting = (value) }.each_packet)

/* Returns 1 and sets *q if the packet is one for the fast path; lengths are checked as by parse(). */
static __always_inline int fast_parse(ctx_t *ctx, struct fast_packet *q)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);

	q->eth = data;
	q->ip = data + L3_OFFSET;
	q->l4 = data + L3_OFFSET + sizeof(struct iphdr);
	if (unlikely((void *)(q->l4 + 1) > data_end))
		return 0;
	/* Ethernet type, IP version and header length in one word; fragment bits, TTL and protocol in another. */
	if (unlikely((*(__be32 *)(data + 12) & bpf_htonl(0xffffff00)) != bpf_htonl(ETH_P_IP << 16 | 0x4500)))
		return 0;

	__u32 word = bpf_ntohl(LOAD(*(__be32 *)&q->ip->frag_off)), length = bpf_ntohs(q->ip->tot_len), headers;

	/* Older verifiers know no upper bound for the result of a byte swap. */
	barrier_var(length);
	length &= 0xffff;

	if (unlikely(word & (IP_FLAG_MF | IP_OFFSET_MASK) << 16 || (word >> 8 & 0xff) <= 1 ||
		     data + L3_OFFSET + length > data_end))
		return 0;
	q->proto = (__u8)word;
	if (likely(q->proto == IPPROTO_UDP)) {
		headers = bpf_ntohs(q->l4->udp.len);
		if (unlikely(headers < sizeof(struct udphdr)))
			return 0;
		q->steady = IPPROTO_UDP << 8 | SESSION_UDP;
	} else if (q->proto == IPPROTO_TCP) {
		headers = q->l4->tcp.doff * 4U;
		if (unlikely(headers < sizeof(struct tcphdr)))
			return 0;
		if (settings.tcp_mss_clamp && fast_tcp_flags(q) & TCP_SYN)
			return 0;
		q->steady =
			fast_tcp_flags(q) & (TCP_FIN | TCP_SYN | TCP_RST) ? 0 : IPPROTO_TCP << 8 | SESSION_ESTABLISHED;
	} else {
		return 0;
	}
	return headers + sizeof(struct iphdr) <= length;
}

/*
 * Builds the packet for slow-path functions. The caller passes the addresses and ports that it has read, so that the
 * compiler reuses what it computed from them, the buckets above all.
 */
static __always_inline struct packet fast_parsed(const struct fast_packet *q, __u32 src, __u32 dst, __u16 sport,
						 __u16 dport)
{
	return (struct packet){
		.src = src,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.proto = q->proto,
		.flags = q->proto == IPPROTO_TCP ? fast_tcp_flags(q) : 0,
	};
}

/* Destination MAC of a frame, encoded like next_hop.station of a hop that the fast path can use. */
static __always_inline __u64 fast_station(const struct ethhdr *eth)
{
	return *(__u64 *)eth & bpf_cpu_to_be64(0xffffffffffff0000ULL);
}

/* Preferred slot of a port offset towards an external endpoint (host byte order), or NULL. */
static __always_inline struct slot *fast_slot(const struct mapping *m, __u32 subscriber, __u32 ext_addr, __u16 ext_port,
					      __u8 proto, __u32 port_offset)
{
	struct bucket_pair pair = session_buckets(ext_addr, ext_port, proto, port_offset, m->bucket_shift);
	struct bucket_range range;
	struct bucket *b;

	if (unlikely(bucket_range_get(m, subscriber, &range)))
		return 0;
	b = bucket_get(&range, pair.first);
	return b ? &b->slot[port_offset & (BUCKET_SLOTS - 1)] : 0;
}

/*
 * Rewrites one endpoint (new_addr and new_port in host byte order) and decrements the TTL. The address change is folded
 * first, as both checksums need it; the TTL change is always the same: its word loses 0x0100 in network byte order.
 */
static __always_inline void fast_rewrite(const struct fast_packet *q, int source, __u32 new_addr, __u16 new_port)
{
	__be32 *addr = source ? &q->ip->saddr : &q->ip->daddr, addr_be = bpf_htonl(new_addr);
	__be16 *port = source ? &q->l4->sport : &q->l4->dport, port_be = bpf_htons(new_port);
	__u32 change = csum_fold_once(csum_change32(0, *addr, addr_be));
	__u32 l4_change = change + (__u16) ~*port + port_be;

	if (q->proto == IPPROTO_TCP) {
		q->l4->tcp.check = csum_update_short(q->l4->tcp.check, l4_change);
	} else if (likely(q->l4->udp.check)) {
		__sum16 check = csum_update_short(q->l4->udp.check, l4_change);

		q->l4->udp.check = check ? check : 0xffff;
	}
	q->ip->check = csum_update_short(q->ip->check, change + (__u16)~bpf_htons(0x0100));
	q->ip->ttl--;
	*port = port_be;
	*addr = addr_be;
}

#endif
