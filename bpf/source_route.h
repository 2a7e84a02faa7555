/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP options of packets to be translated: kept as they are, but for source routes (RFC 791), which a NAT cannot follow:
 * the addresses that they list are translated nowhere. A router may be told to drop them (RFC 1812 section 5.3.13.4).
 */
#ifndef DETNAT_SOURCE_ROUTE_H
#define DETNAT_SOURCE_ROUTE_H

#include "options.h"

#define IP_OPTION_LOOSE_ROUTE  131
#define IP_OPTION_STRICT_ROUTE 137

static __always_inline int packet_has_options(const struct packet *p)
{
	return p->l4_offset > L3_OFFSET + sizeof(struct iphdr);
}

/* enum reason: why so many octets of IP options, at most MAX_OPTIONS, forbid to translate a packet; 0 where they do
 * not. */
STEP int options_judge(ctx_t *ctx, __u32 length)
{
	struct options *o;

	switch (options_find(ctx, L3_OFFSET + sizeof(struct iphdr), length, IP_OPTION_LOOSE_ROUTE,
			     IP_OPTION_STRICT_ROUTE, &o)) {
	case OPTIONS_FOUND:
		return REASON_drop_source_route;
	case OPTIONS_MALFORMED:
		return REASON_drop_malformed;
	default:
		return 0;
	}
}

/* Why a packet's IP options forbid to translate it; REASON_in2out_translated, which is 0, where they do not. */
static __always_inline enum reason options_refusal(ctx_t *ctx, const struct packet *p)
{
	_Static_assert(!REASON_in2out_translated, "no reason to refuse");
	return packet_has_options(p) ? options_judge(ctx, p->l4_offset - L3_OFFSET - sizeof(struct iphdr)) : 0;
}

#endif
