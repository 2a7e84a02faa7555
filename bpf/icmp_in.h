/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The leaf for ICMP errors from outside about a subscriber's packets (RFC 5508 REQ-4): the quote is what left here,
 * from a pool address to an external endpoint. Destination and quoted source become the inside endpoint; the source, a
 * router's as a rule, is kept.
 */
#ifndef DETNAT_ICMP_IN_H
#define DETNAT_ICMP_IN_H

#include "icmp_quote.h"
#include "out2in.h"

/* Not for a subscriber: the gateway's own, where the pool address is also its, or nobody's. */
static __always_inline int icmp_in_refuse(ctx_t *ctx, const struct packet *p, enum reason reason)
{
	return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : drop(reason);
}

static __always_inline int icmp_in(ctx_t *ctx)
{
	struct packet p;
	struct icmp_quote q = {};
	struct device *in = device_get(packet_ingress(ctx));

	if (parse(ctx, &p) != PACKET_ICMP_OTHER || !in)
		return drop(REASON_drop_malformed);

	enum quote_kind kind = quote_parse(ctx, &p, ICMP_ECHO, &q);
	const struct mapping *m = mapping_by_outside(p.dst);

	if (kind == QUOTE_MALFORMED)
		return icmp_in_refuse(ctx, &p, REASON_drop_malformed);
	if (kind == QUOTE_OTHER || !m || q.reply.dst != p.dst)
		return icmp_in_refuse(ctx, &p, REASON_drop_no_session);
	if (source_is_martian(p.src) || index_find(&in_index, p.src))
		return icmp_in_refuse(ctx, &p, REASON_drop_martian);
	/* NAT on a stick: a router inside that is no subscriber, about a hairpin. */
	if (in->roles & DEVICE_INSIDE && index_find(&in_index, q.reply.src))
		return tail_call(ctx, PROG_icmp_hairpin);

	__s64 reverse = quote_subscriber(m, &q.reply);
	__u32 subscriber = (__u32)reverse;
	struct subscriber *s = reverse < 0 ? 0 : subscriber_get(m, subscriber);
	/* Packets of a hairpin do not come by outside routers. */
	int in_port =
		s && !index_find(&out_index, q.reply.src) ? quote_session_from_outside(m, subscriber, &q.reply) : -1;

	if (!s || in_port < 0)
		return icmp_in_refuse(ctx, &p, REASON_drop_no_session);
	TRACE_SUBSCRIBER(m, subscriber);

	enum reason refused = quote_options_refusal(ctx, &q);

	if (refused)
		return icmp_in_refuse(ctx, &p, refused);
	/* No error is answered with another. */
	if (p.ttl <= 1)
		return drop(REASON_drop_ttl);
	if (!icmp_checksum_holds(ctx, &p))
		return drop(REASON_drop_malformed);

	struct rewrite source = { .addr = m->geo.in_base + subscriber, .port = (__u16)in_port, .source = 1 };
	struct egress way = {};
	enum egress_state verdict = egress_in(ctx, s, p.src, source.addr, &way);
	int direct = egress_is_direct(ctx, verdict, &way, p.length);
	__u64 sum = 0;

	TRACE_EGRESS(verdict, &way);
	if (verdict == EGRESS_NOWHERE)
		return drop(REASON_drop_unreachable);
	if (egress_too_big(ctx, verdict, &way, &p))
		return drop(REASON_drop_too_big);
	if (quote_rewrite(ctx, &q, &source, &sum) || icmp_header_rewrite(ctx, &p, p.src, source.addr, sum, direct))
		return drop(REASON_drop_error);
	count_translated(REASON_icmp_error_translated, p.length);
	return direct ? forward(ctx, &way.mac, way.ifindex) : CTX_PASS;
}

#endif
