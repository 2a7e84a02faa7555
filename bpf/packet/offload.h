/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frames at tc before the network card has finished them: several segments in one frame (GSO) and unfinished checksums
 * (CHECKSUM_PARTIAL).
 */
#ifndef DETNAT_OFFLOAD_H
#define DETNAT_OFFLOAD_H

#include "packet/frame_sum.h"

/*
 * Octets of the upper layer in the first packet that the frame is segmented into. at: its offset in the frame; length:
 * octets of the upper layer in the frame.
 */
static __always_inline __u32 upper_sent(ctx_t *ctx, __u8 proto, __u32 at, __u32 length)
{
	__u32 headers = sizeof(struct udphdr), size = ctx_gso_size(ctx);
	__u8 words;

	if (!size || (proto != IPPROTO_TCP && proto != IPPROTO_UDP))
		return length;
	if (proto == IPPROTO_TCP) {
		if (ctx_load(ctx, at + 12, &words, sizeof(words)))
			return length;
		headers = (words >> 4) * 4U;
	}
	return headers + size < length ? headers + size : length;
}

/* Length in octets of the first IP packet that the frame is segmented into. */
static __always_inline __u32 segment_length(ctx_t *ctx, const struct packet *p)
{
	__u32 header = p->l4_offset - L3_OFFSET;

	return header + upper_sent(ctx, p->proto, p->l4_offset & 127, p->length - header);
}

/* A TCP or UDP header and what is behind it, in the frame. */
struct upper {
	__u64 addresses; /* sum of those of the pseudo header */
	__u32 at;	 /* offset in the frame */
	__u32 length;	 /* octets */
	__u8 proto;
};

/* Unfolded sum of the TCP or UDP pseudo header. */
static __always_inline __u64 pseudo_sum(const struct upper *u, __u32 length)
{
	return u->addresses + bpf_htons(u->proto) + bpf_htonl(length);
}

/*
 * Finishes the checksum of a transport header that was copied from the frame. A sender that leaves the checksum to the
 * card stores only the sum of the pseudo header. Any other value, right or wrong, is kept. length: octets of the upper
 * layer that were copied, of the first packet of the frame.
 */
static __always_inline void upper_checksum_finish(ctx_t *ctx, void *l4, const struct upper *u, __u32 length)
{
	struct tcphdr *tcp = l4;
	struct udphdr *udp = l4;
	__sum16 *check = u->proto == IPPROTO_TCP ? &tcp->check : &udp->check, old = *check;
	__u64 sum = frame_sum(ctx, u->at, u->at + length);
	int unfinished = (old || u->proto == IPPROTO_TCP) && sum != FRAME_SUM_FAILED &&
			 csum_fold(pseudo_sum(u, u->length)) % 0xffff == old % 0xffff;

	if (u->proto == IPPROTO_UDP && length < u->length) {
		__be16 udp_length = bpf_htons((__u16)length);

		sum = csum_change16(sum, udp->len, udp_length);
		udp->len = udp_length;
	}
	if (!unfinished)
		return;
	/* Only the last segment carries them. */
	if (u->proto == IPPROTO_TCP && length < u->length) {
		__be16 *flags = l4 + 12, few = *flags & ~bpf_htons(TCP_FIN | TCP_PSH);

		sum = csum_change16(sum, *flags, few);
		*flags = few;
	}
	sum = csum_change16(sum, old, 0) + pseudo_sum(u, length);
	*check = ~csum_fold(sum);
	if (u->proto == IPPROTO_UDP && !*check)
		*check = 0xffff;
}

/* The same of an IPv4 packet. length: octets of the copied packet, the first of the frame. */
static __always_inline void checksum_finish(ctx_t *ctx, void *l4, const struct packet *p, __u32 length)
{
	__u32 header = p->l4_offset - L3_OFFSET;
	const struct upper u = { .addresses = (__u64)bpf_htonl(p->src) + bpf_htonl(p->dst),
				 .at = p->l4_offset,
				 .length = p->length - header,
				 .proto = p->proto };

	upper_checksum_finish(ctx, l4, &u, length - header);
}

#endif
