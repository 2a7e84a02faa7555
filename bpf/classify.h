/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that no mapping covers. */
#ifndef DETNAT_CLASSIFY_H
#define DETNAT_CLASSIFY_H

#include "tail_call.h"
#include "lookup.h"
#include "parse.h"
#include "settings.h"

/* 10/8, 172.16/12, 192.168/16 (RFC 1918) and 100.64/10 (RFC 6598). */
static __always_inline int address_is_private(__u32 addr)
{
	return addr >> 24 == 10 || addr >> 20 == (172 << 4 | 1) || addr >> 16 == (192 << 8 | 168) ||
	       addr >> 22 == (100 << 2 | 1);
}

/*
 * A source that must not be sent outside (RFC 1812 section 5.3.7): one that is never forwarded, or a pool address,
 * which only this gateway assigns.
 */
static __always_inline int source_is_martian(__u32 src)
{
	return address_is_martian(src) || address_is_link_local(src) || index_find(&out_index, src);
}

/* From inside, leaving by an outside interface, source in no mapping. Returns whether it is to be dropped. */
static __always_inline int unmatched_is_dropped(__u32 src)
{
	return settings.unmatched == UNMATCHED_DROP ||
	       ((settings.unmatched == UNMATCHED_DROP_PRIVATE || settings.unmatched == UNMATCHED_STRICT) &&
		address_is_private(src));
}

/*
 * Whether a packet from inside is martian: a class E destination, which the kernel would route, or a martian source
 * towards a destination beyond the link (a DHCP client has no address yet).
 */
static __always_inline int is_martian(const struct packet *p)
{
	if (p->dst >> 28 == 15 && p->dst != ~0U)
		return 1;
	return !address_is_martian(p->dst) && source_is_martian(p->src);
}

#endif
