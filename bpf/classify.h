/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that no mapping covers. */
#ifndef DETNAT_CLASSIFY_H
#define DETNAT_CLASSIFY_H

#include "tail_call.h"
#include "lookup.h"
#include "parse.h"
#include "settings.h"

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
	return unmatched_drops(settings.unmatched, src);
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
