/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets that no mapping covers. */
#ifndef DETNAT_CLASSIFY_H
#define DETNAT_CLASSIFY_H

#include "subscriber/stateless.h"
#include "base/tail_call.h"
#include "subscriber/lookup.h"
#include "packet/parse.h"
#include "base/settings.h"

/*
 * Returns 1 if a source must not appear outside (RFC 1812 section 5.3.7): an address that is never forwarded, or a pool
 * address, which only this gateway assigns. Host byte order.
 */
static __always_inline int source_is_martian(__u32 src)
{
	return address_is_martian(src) || address_is_link_local(src) || leaf_outside(src);
}

/* Returns 1 if a packet of a tenant from inside to outside is dropped because its source is in no mapping. */
static __always_inline int unmatched_is_dropped(__u32 tenant, __u32 src)
{
	return unmatched_drops(settings.unmatched, src) && !is_untranslated(tenant, src);
}

/*
 * Returns 1 if a packet from inside is martian: a class E destination, which the kernel would route, or a martian
 * source with a destination beyond the link (a DHCP client, which has no address yet, stays on the link).
 */
static __always_inline int is_martian(const struct packet *p)
{
	if (p->dst >> 28 == 15 && p->dst != ~0U)
		return 1;
	return !address_is_martian(p->dst) && source_is_martian(p->src);
}

#endif
