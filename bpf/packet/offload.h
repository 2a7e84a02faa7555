/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames at tc before the network card has finished them: several segments in one frame (GSO) and unfinished checksums
 * (CHECKSUM_PARTIAL).
 */
#ifndef DETNAT_OFFLOAD_H
#define DETNAT_OFFLOAD_H

#include "packet/frame_sum.h"

/* Length in octets of the first IP packet that the frame is segmented into. */
static __always_inline __u32 segment_length(ctx_t *ctx, const struct packet *p)
{
	__u32 headers = p->l4_offset - L3_OFFSET + sizeof(struct udphdr), size = ctx_gso_size(ctx);
	__u8 words;

	if (!size || (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP))
		return p->length;
	if (p->proto == IPPROTO_TCP) {
		if (ctx_load(ctx, (p->l4_offset & 127) + 12, &words, sizeof(words)))
			return p->length;
		headers = p->l4_offset - L3_OFFSET + (words >> 4) * 4U;
	}
	return headers + size < p->length ? headers + size : p->length;
}

/* Unfolded sum of the TCP or UDP pseudo header. */
static __always_inline __u64 pseudo_sum(const struct packet *p, __u32 l4_length)
{
	return (__u64)bpf_htonl(p->src) + bpf_htonl(p->dst) + bpf_htons(p->proto) + bpf_htonl(l4_length);
}

/*
 * Finishes the checksum of a transport header that was copied from the frame. A sender that leaves the checksum to the
 * card stores only the sum of the pseudo header. Any other value, right or wrong, is kept. length: octets of the copied
 * IP packet, the first of the frame.
 */
static __always_inline void checksum_finish(ctx_t *ctx, void *l4, const struct packet *p, __u32 length)
{
	__u32 header = p->l4_offset - L3_OFFSET;
	struct tcphdr *tcp = l4;
	struct udphdr *udp = l4;
	__sum16 *check = p->proto == IPPROTO_TCP ? &tcp->check : &udp->check, old = *check;
	__u64 sum = frame_sum(ctx, p->l4_offset, L3_OFFSET + length);
	int unfinished = (old || p->proto == IPPROTO_TCP) && sum != FRAME_SUM_FAILED &&
			 csum_fold(pseudo_sum(p, p->length - header)) % 0xffff == old % 0xffff;

	if (p->proto == IPPROTO_UDP && length < p->length) {
		__be16 udp_length = bpf_htons((__u16)(length - header));

		sum = csum_change16(sum, udp->len, udp_length);
		udp->len = udp_length;
	}
	if (!unfinished)
		return;
	/* Only the last segment carries them. */
	if (p->proto == IPPROTO_TCP && length < p->length) {
		__be16 *flags = l4 + 12, few = *flags & ~bpf_htons(TCP_FIN | TCP_PSH);

		sum = csum_change16(sum, *flags, few);
		*flags = few;
	}
	sum = csum_change16(sum, old, 0) + pseudo_sum(p, length - header);
	*check = ~csum_fold(sum);
	if (p->proto == IPPROTO_UDP && !*check)
		*check = 0xffff;
}

#endif
