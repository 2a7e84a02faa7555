/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An ICMP error made anew for the other family: its headers and quote differ in length from those that came, so it is
 * put together in packet6.made, and replaces the packet of the frame.
 */
#ifndef DETNAT_MADE_ERROR_H
#define DETNAT_MADE_ERROR_H

#include "six/leaving.h"

/* The shortest quote that an extension may follow (RFC 4884 section 4). */
#define EXTENDED_QUOTE 128U

/* The shortest frame that is made. */
#define MADE_LEAST (ETH_HLEN + sizeof(struct iphdr))

/*
 * Copies quoted upper layer and extension, as packet6.parts says; packet6.pieces has what has been made. A quote is cut
 * to what there is room for; an extension is kept whole or left out, and a quote in front of it filled up with zeros.
 * Returns 0, or -1.
 */
SUBPROGRAM int error_copy(ctx_t *ctx)
{
	struct packet6 *s = packet6_get();

	if (!s)
		return -1;

	const struct error_parts *p = &s->parts;
	struct error_made *ret = &s->pieces;
	__u32 there = p->upper_end - p->upper, extension = p->end - p->upper_end, quote, at;
	__u64 length;

	if (p->upper_end < p->upper || p->end < p->upper_end)
		return -1;
	if (extension && there > p->expected)
		there = p->expected; /* what fills the quote up is not the packet's */
	if (!p->extended || extension > p->room || p->room - extension < EXTENDED_QUOTE)
		extension = 0;
	quote = p->headers + there;
	if (extension) {
		__u32 most = p->room - extension;

		if (most > 255 * p->unit)
			most = 255 * p->unit;
		most &= ~(p->unit - 1);
		quote = (quote + p->unit - 1) & ~(p->unit - 1);
		if (quote < EXTENDED_QUOTE)
			quote = EXTENDED_QUOTE;
		if (quote > most)
			quote = most;
	} else if (quote > p->room) {
		quote = p->room;
	}
	if (there > quote - p->headers)
		there = quote - p->headers;
	at = p->quote + p->headers;
	__builtin_memset(s->made + (at & 127), 0, EXTENDED_QUOTE);
	length = there;
	barrier_var(length);
	if (length) {
		length = KNOWN_LENGTH(length, 2047);
		if (ctx_load(ctx, p->upper, s->made + (at & 127), (__u32)length))
			return -1;
	}
	__builtin_memset(s->made + ((at + there) & 2047), 0, 8);
	length = extension;
	barrier_var(length);
	if (length) {
		length = KNOWN_LENGTH(length, 2047);
		if (ctx_load(ctx, p->upper_end, s->made + ((p->quote + quote) & 2047), (__u32)length))
			return -1;
	}
	ret->upper = there;
	ret->quote = quote;
	ret->extension = extension;
	return 0;
}

/*
 * Makes made[] the frame, `length` octets, and finishes the checksum of the ICMP header at an offset. pseudo: sum of
 * the pseudo header, or 0. Returns 0, or -1.
 */
SUBPROGRAM int error_put(ctx_t *ctx, __u32 length, __u32 icmp, __u64 pseudo)
{
	struct packet6 *s = packet6_get();
	__u64 octets = length, sum;
	__sum16 check;

	if (!s)
		return -1;
	barrier_var(octets);
	if (OUTSIDE(octets, MADE_LEAST, 2048) || frame_renew(ctx, length, *(__be16 *)(s->made + 2 * ETH_ALEN)) ||
	    frame_put(ctx, s->made, octets, 2047))
		return -1;
	sum = frame_sum(ctx, icmp, length);
	if (sum == FRAME_SUM_FAILED)
		return -1;
	check = ~csum_fold(csum_fold(sum) + pseudo);
	return frame_check_put(ctx, icmp + offsetof(struct icmphdr, checksum), check);
}

#endif
