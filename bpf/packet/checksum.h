/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Internet checksums (RFC 1071), updated incrementally (RFC 1624, equation 3): a wrong one stays wrong. */
#ifndef DETNAT_CHECKSUM_H
#define DETNAT_CHECKSUM_H

#include <linux/types.h>

/* Adds the change of a word to an unfolded sum. All values are in network byte order. */
static __always_inline __u64 csum_change32(__u64 sum, __be32 from, __be32 to)
{
	return sum + (__u32)~from + to;
}

static __always_inline __u64 csum_change16(__u64 sum, __be16 from, __be16 to)
{
	return sum + (__u16)~from + to;
}

/* Folds the sum of one 32-bit change once, so that many such sums can be added up in 32 bits. */
static __always_inline __u32 csum_fold_once(__u64 sum)
{
	return (__u32)((sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32));
}

static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

static __always_inline __sum16 csum_update(__sum16 check, __u64 sum)
{
	return ~csum_fold(sum + (__u16)~check);
}

/* csum_update() for a sum below 2^24. */
static __always_inline __sum16 csum_update_short(__sum16 check, __u32 sum)
{
	sum += (__u16)~check;
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* Checksum of an IPv4 header of 20 octets whose field for it is 0. */
static __always_inline __sum16 ip_header_check(const void *ip)
{
	const __u32 *word = ip;

	return ~csum_fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]);
}

#endif
