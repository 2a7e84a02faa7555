/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of packets that no mapping covers. */
#ifndef DETNAT_CLASSIFY_H
#define DETNAT_CLASSIFY_H

#include "tail_call.h"
#include "lookup.h"
#include "parse.h"
#include "settings.h"

/*
 * A source that nobody outside may answer to (RFC 1812 section 5.3.7): none that is forwarded, and no pool address, as
 * those are this gateway's to give out.
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
 * A packet from inside that no host may send to where this one goes: a martian source towards anything but what stays
 * on the link (a DHCP client has no address yet), or class E as destination, which the kernel would route.
 */
static __always_inline int is_martian(const struct packet *p)
{
	if (p->dst >> 28 == 15 && p->dst != ~0U)
		return 1;
	return !address_is_martian(p->dst) && source_is_martian(p->src);
}

#endif
