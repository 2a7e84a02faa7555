/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Of the transport protocols whose checksum covers a pseudo header, TCP and UDP have sessions; for UDP-Lite (RFC 3828)
 * and DCCP (RFC 4340) only the address is translated. The checksums of SCTP, GRE and ESP do not cover addresses; AH's
 * does, and no NAT can pass it intact.
 */
#ifndef DETNAT_PROTOCOL_SUMS_H
#define DETNAT_PROTOCOL_SUMS_H

#include <stddef.h>

#include "packet/parse.h"

#define PROTOCOL_DCCP	  33
#define PROTOCOL_UDP_LITE 136

/* Returns 1 if a protocol has a checksum that covers the addresses. */
static __always_inline int protocol_sums_addresses(__u8 proto)
{
	return proto == PROTOCOL_DCCP || proto == PROTOCOL_UDP_LITE || proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

/* Offset of that checksum. */
static __always_inline __u32 protocol_check_offset(__u8 proto)
{
	return proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) : 6;
}

/* Returns 1 if a checksum of 0 means that there is none, or is invalid: it stays 0, and no other becomes 0. */
static __always_inline int protocol_check_is_optional(__u8 proto)
{
	return proto == PROTOCOL_UDP_LITE || proto == IPPROTO_UDP;
}

#endif
