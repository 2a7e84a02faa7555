/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP options of packets to be translated, and of packets quoted in ICMP errors. Options stay unchanged. As addresses in
 * options are never translated, packets with such an option are dropped in both directions (RFC 7126; RFC 1812 section
 * 5.3.13.4 for source routes): a recorded route would reveal inside addresses, and so would the reply to a packet that
 * records one.
 */
#ifndef DETNAT_IP_OPTIONS_H
#define DETNAT_IP_OPTIONS_H

#include "packet/options.h"

/* RFC 791 */
#define IP_OPTION_RECORD_ROUTE 7
#define IP_OPTION_TIMESTAMP    68
#define IP_OPTION_LOOSE_ROUTE  131
#define IP_OPTION_STRICT_ROUTE 137
/* RFC 1393: the address of the originator. */
#define IP_OPTION_TRACEROUTE 82
/* RFC 1385, RFC 1475: more parts of addresses. */
#define IP_OPTION_EXTENDED_PROTOCOL 145
#define IP_OPTION_EXTENDED_ADDRESS  147
/* RFC 1770: receivers. */
#define IP_OPTION_DIRECTED_BROADCAST 149

static const volatile struct option_kinds options_with_addresses = { {
	[0] = OPTION_BIT(IP_OPTION_RECORD_ROUTE),
	[1] = OPTION_BIT(IP_OPTION_TIMESTAMP) | OPTION_BIT(IP_OPTION_TRACEROUTE),
	[2] = OPTION_BIT(IP_OPTION_LOOSE_ROUTE) | OPTION_BIT(IP_OPTION_STRICT_ROUTE) |
	      OPTION_BIT(IP_OPTION_EXTENDED_PROTOCOL) | OPTION_BIT(IP_OPTION_EXTENDED_ADDRESS) |
	      OPTION_BIT(IP_OPTION_DIRECTED_BROADCAST),
} };

static __always_inline int packet_has_options(const struct packet *p)
{
	return p->l4_offset > L3_OFFSET + sizeof(struct iphdr);
}

/*
 * Judges `length` octets of IP options at offset, at most MAX_OPTIONS. Returns the enum reason to drop the packet, or
 * 0.
 */
SUBPROGRAM int options_judge(ctx_t *ctx, __u32 offset, __u32 length)
{
	struct options *o;
	__u8 kind;

	switch (options_find(ctx, offset & 255, length, (const void *)&options_with_addresses, &o)) {
	case OPTIONS_FOUND:
		kind = o->octet[LOAD(o->at) & 63];
		return kind == IP_OPTION_LOOSE_ROUTE || kind == IP_OPTION_STRICT_ROUTE ? REASON_drop_source_route
										       : REASON_drop_address_option;
	case OPTIONS_MALFORMED:
		return REASON_drop_malformed;
	default:
		return 0;
	}
}

/* The reason to drop a packet because of its IP options; 0, which is REASON_in2out_translated: none. */
static __always_inline enum reason options_refusal(ctx_t *ctx, const struct packet *p)
{
	_Static_assert(!REASON_in2out_translated, "no reason to refuse");
	return packet_has_options(p) ? options_judge(ctx, L3_OFFSET + sizeof(struct iphdr),
						     p->l4_offset - L3_OFFSET - sizeof(struct iphdr))
				     : 0;
}

#endif
