/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fast path, for nearly all packets: unfragmented TCP and UDP packets with a plain 20-octet IPv4 header that the
 * program redirects, and whose session is in a slot or opens in the simplest case (fast_open.h). It never decides
 * differently from the slow path (in2out.h, out2in.h), and leaves every packet that it does not recognise at once to
 * it, unchanged.
 *
 * It is written for the CPU rather than for the compiler: few live values and no hard-to-predict branches, so that the
 * cache misses of one packet overlap with the work on the next. docs/evidence/PERFORMANCE.md has the figures.
 */
#ifndef DETNAT_FAST_H
#define DETNAT_FAST_H

#include "egress/egress_cache.h"
#include "fast/fast_packet.h"

/* A value of a setting at its place in settings.each_packet; 0xff selects all bits of the setting. */
#define EACH_PACKET(setting, value) ((struct settings){ .setting = (value) }.each_packet)

#if HOOK_XDP
#include "fast/fast_xdp.h"
#else
#include "fast/fast_tc.h"
#endif

/* Returns 1 and sets *q if the packet is one for the fast path; lengths are checked as by parse(). */
static __always_inline int fast_parse(ctx_t *ctx, struct fast_packet *q)
{
	void *data = ctx_data(ctx), *data_end = ctx_data_end(ctx);

	q->eth = data;
	q->ip = data + L3_OFFSET;
	q->l4 = data + L3_OFFSET + sizeof(struct iphdr);
	if (unlikely((void *)(q->l4 + 1) > data_end || fast_tag_is_aside(ctx)))
		return 0;
	/* Ethernet type, IP version and header length in one word; fragment bits, TTL and protocol in another. */
	if (unlikely((*(__be32 *)(data + 12) & bpf_htonl(0xffffff00)) != bpf_htonl(ETH_P_IP << 16 | 0x4500)))
		return 0;

	__u32 word = bpf_ntohl(LOAD(*(__be32 *)(data + L3_OFFSET + 6))), length = bpf_ntohs(q->ip->tot_len), headers;

	/* Older verifiers know no upper bound for the result of a byte swap. */
	barrier_var(length);
	length &= 0xffff;

	if (unlikely(word & (IP_FLAG_MF | IP_OFFSET_MASK) << 16 || (word >> 8 & 0xff) <= 1 ||
		     !fast_frame_holds(ctx, data, data_end, length)))
		return 0;
	q->proto = (__u8)word;
	if (likely(q->proto == IPPROTO_UDP)) {
		headers = bpf_ntohs(q->l4->udp.len);
		if (unlikely(headers < sizeof(struct udphdr)))
			return 0;
		q->steady = STEADY_UDP;
	} else if (q->proto == IPPROTO_TCP) {
		headers = q->l4->tcp.doff * 4U;
		if (unlikely(headers < sizeof(struct tcphdr)))
			return 0;
		if (settings.tcp_mss_clamp && fast_tcp_flags(q) & TCP_SYN)
			return 0;
		q->steady = fast_tcp_flags(q) & (TCP_FIN | TCP_SYN | TCP_RST) ? STEADY_NEVER : STEADY_TCP;
	} else {
		return 0;
	}
	return headers + sizeof(struct iphdr) <= length;
}

/*
 * Next hop of a packet from src to dst, by the agent's copy of the routes or, if not `told`, from the cache, copied to
 * *room. in_ifindex: the interface as of whose packets it is routed. Returns 0 if it is not cached. *ret is set in any
 * case: of a pointer that is NULL or one to the stack the compiler knows which by comparing anew, the verifier does
 * not.
 */
static __always_inline int fast_hop(const struct globals *g, int told, __u32 in_ifindex, __u32 src, __u32 dst,
				    __u32 now, struct fib_hop *room, struct fib_hop **ret)
{
	*ret = told ? fib_find(dst) : room;
	return told || egress_cached(g, in_ifindex, src, dst, now, room);
}

#endif
