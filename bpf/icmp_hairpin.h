/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The leaf for ICMP errors about hairpins (RFC 5508 REQ-7, RFC 7857 section 12): the quote came from another
 * subscriber's outside endpoint. Both headers are translated on both sides, so that it reaches that subscriber as if
 * about its own packet.
 */
#ifndef DETNAT_ICMP_HAIRPIN_H
#define DETNAT_ICMP_HAIRPIN_H

#include "hairpin.h"
#include "icmp_out.h"

static __always_inline int icmp_hairpin_refuse(ctx_t *ctx, const struct packet *p, enum reason reason)
{
	return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : drop(reason);
}

static __always_inline int icmp_hairpin(ctx_t *ctx)
{
	struct icmp_from_inside e = {};

	if (!icmp_from_inside_parse(ctx, &e))
		return drop(REASON_drop_malformed);
	if (source_is_martian(e.p.src))
		return drop(REASON_drop_martian);

	enum reason refused = options_refusal(ctx, &e.p);

	if (refused)
		return icmp_hairpin_refuse(ctx, &e.p, refused);
	/* To a pool address it is a stranger like any other. */
	if (icmp_from_inside_is_foreign(&e))
		return tail_call(ctx, PROG_icmp_in);

	__u16 out_port = settings.hairpin ? icmp_from_inside_port(&e) : 0;

	if (!out_port)
		return icmp_hairpin_refuse(ctx, &e.p, icmp_from_inside_reason(&e));

	/* The quoted packet's answer, as from outside. */
	struct packet reply = { .src = mapping_out_addr(&e.f.m->geo, e.f.subscriber),
				.dst = e.f.p.dst,
				.sport = out_port,
				.dport = e.f.p.dport,
				.proto = e.f.p.proto };
	const struct mapping *m = mapping_by_outside(reply.dst);
	__s64 reverse = m ? quote_subscriber(m, &reply) : -1;
	__u32 receiver = (__u32)reverse;
	struct subscriber *s = m && reverse >= 0 ? subscriber_get(m, receiver) : 0;
	int in_port = -1;

	if (m && s)
		in_port = quote_session_from_outside(m, receiver, &reply);

	if (in_port < 0)
		return icmp_hairpin_refuse(ctx, &e.p, REASON_drop_no_session);
	TRACE_SUBSCRIBER(m, receiver);
	refused = quote_options_refusal(ctx, &e.q);
	if (refused)
		return icmp_hairpin_refuse(ctx, &e.p, refused);
	if (e.p.ttl <= 1)
		return drop(REASON_drop_ttl);

	struct rewrite source = { .addr = m->geo.in_base + receiver, .port = (__u16)in_port, .source = 1 };
	struct rewrite destination = { .addr = reply.src, .port = out_port };
	struct egress way = {};
	enum egress_state verdict = hairpin_egress(egress_in(ctx, s, e.p.src, source.addr, &way), &way);
	__u64 sum = 0;

	TRACE_EGRESS(verdict, &way);
	if (verdict == EGRESS_UNRESOLVED)
		return hairpin_unresolved(s, &way);
	if (verdict != EGRESS_READY)
		return drop(REASON_drop_unreachable);
	if (hairpin_too_long(&e.p, &way))
		return drop(REASON_drop_too_big);
	if (!icmp_checksum_holds(ctx, &e.p))
		return drop(REASON_drop_malformed);
	if (quote_rewrite(ctx, &e.q, &destination, &sum) || quote_rewrite(ctx, &e.q, &source, &sum) ||
	    icmp_header_rewrite(ctx, &e.p, icmp_from_inside_source(&e, way.ifindex), source.addr, sum, 1))
		return drop(REASON_drop_error);
	count_translated(REASON_icmp_error_translated, e.p.length);
	return hairpin_forward(ctx, e.p.length, &way);
}

#endif
