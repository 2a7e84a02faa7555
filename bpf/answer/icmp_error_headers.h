/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The headers of the ICMP errors that the datapath sends, for both hooks. */
#ifndef DETNAT_ICMP_ERROR_HEADERS_H
#define DETNAT_ICMP_ERROR_HEADERS_H

#include "packet/frame_sum.h"
#include "base/tail_call.h"

#define ICMP_ERROR_HEADERS (sizeof(struct iphdr) + sizeof(struct icmphdr))
#define ICMP_ERROR_QUOTE   (576U - ICMP_ERROR_HEADERS)

/*
 * Writes both headers of an ICMP error from an interface's address to p->src. quote: length of the quote in octets;
 * sum: its unfolded checksum.
 */
static __always_inline void icmp_error_headers(struct iphdr *ip, const struct arguments *n, const struct device *in,
					       const struct packet *p, __u32 quote, __u64 sum)
{
	struct icmphdr *icmp = (void *)(ip + 1);
	__u64 ip_sum = 0;

	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = 0xc0, /* internetwork control (RFC 1812 section 4.3.2.5) */
		.tot_len = bpf_htons(ICMP_ERROR_HEADERS + quote),
		.frag_off = bpf_htons(IP_FLAG_DF),
		.ttl = 64,
		.protocol = IPPROTO_ICMP,
		.saddr = bpf_htonl(in->addr),
		.daddr = bpf_htonl(p->src),
	};
	*icmp = (struct icmphdr){ .type = n->type, .code = n->code, .sequence = bpf_htons((__u16)n->mtu) };
	for (__u32 i = 0; i < sizeof(*ip) / 4; i++)
		ip_sum += ((__u32 *)ip)[i];
	ip->check = ~csum_fold(ip_sum);
	icmp->checksum = ~csum_fold(sum + ((__u32 *)icmp)[0] + ((__u32 *)icmp)[1]);
}

#endif
