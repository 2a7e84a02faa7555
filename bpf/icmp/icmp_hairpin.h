/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about hairpins (RFC 5508 REQ-7, RFC 7857 section 12): the quoted packet came from another subscriber's
 * outside endpoint. Both headers are translated on both sides, so that the error reaches that subscriber as if it were
 * about its own packet.
 */
#ifndef DETNAT_ICMP_HAIRPIN_H
#define DETNAT_ICMP_HAIRPIN_H

#include "slow/hairpin.h"
#include "icmp/icmp_out.h"

/* Checks the sender of an error, as of any packet to a pool address. Returns CONTINUE or a verdict. */
static __always_inline int icmp_hairpin_source(ctx_t *ctx, const struct icmp_from_inside *i)
{
	if (icmp_from_inside_is_foreign(i))
		return source_is_forged(ctx, i->p.src, i->p.dst) ? refuse_to_pool(ctx, &i->p, REASON_drop_spoofed)
								 : CONTINUE;
	return source_verdict(ctx, i->p.src, i->p.dst, 0);
}

/* The sender's half of an error, see slow/turned.h. quoted: the quote's new endpoints. Returns a verdict. */
static __always_inline int icmp_hairpin_turn(ctx_t *ctx, const struct icmp_from_inside *i, const struct rewrite *quoted)
{
	struct rewrite to = { .src = icmp_from_inside_source(i, 0), .dst = i->p.dst };
	enum reason refused = quote_options_refusal(ctx, &i->q);
	__u64 sum = 0;

	if (refused)
		return drop(refused);
	/* Its receiver's family has no errors in fragments: see icmp_begin(). */
	if (i->p.fragment)
		return drop(REASON_drop_fragment);
	if (!icmp_checksum_holds(ctx, &i->p))
		return drop(REASON_drop_malformed);
	if (quote_rewrite(ctx, &i->q, quoted, &sum) || icmp_header_rewrite(ctx, &i->p, &to, sum, 0))
		return drop(REASON_drop_error);
	return hairpin_to_receiver(ctx, &i->p);
}

/* PROG_icmp_hairpin. */
static __always_inline int icmp_hairpin(ctx_t *ctx)
{
	struct icmp_from_inside i = {};
	struct egress *e;
	struct rewrite to, quoted;
	struct receiver r;
	enum reason refused;
	int in_port, out_port, verdict;

	if (!icmp_from_inside_parse(ctx, &i))
		return drop(REASON_drop_malformed);
	if (source_is_martian(i.p.src))
		return drop(REASON_drop_martian);
	if ((i.sender && tenant_differs(ctx, i.sender)) || (i.f.m && tenant_differs(ctx, i.f.m)))
		return drop(REASON_drop_tenant);
	verdict = icmp_hairpin_source(ctx, &i);
	if (verdict != CONTINUE)
		return verdict;
	refused = options_refusal(ctx, &i.p);
	if (refused)
		return refuse_to_pool(ctx, &i.p, refused);
	/*
	 * An error to a pool address is unsolicited, like any packet from outside. But PROG_icmp_in leaves errors that
	 * quote an inside address to this program: here that address drains and has no session.
	 */
	if (icmp_from_inside_is_foreign(&i))
		return address_is_inside(i.q.reply.src) ? refuse_to_pool(ctx, &i.p, REASON_drop_no_session)
							: tail_call(ctx, PROG_icmp_in);
	quoted = rewrite_of_quote(&i.q);
	out_port = settings.hairpin ? icmp_from_inside_port(&i) : 0;
	quoted.dport = (__u16)out_port;
	if (!out_port)
		return refuse_to_pool(ctx, &i.p, icmp_from_inside_reason(&i));
	quoted.dst = mapping_out_addr(&i.f.m->geo, i.f.subscriber);
	if (hairpin_is_turned(&i.p))
		return icmp_hairpin_turn(ctx, &i, &quoted);
	/* The reply to the quoted packet, as it would arrive from outside. */
	i.q.reply.src = quoted.dst;
	i.q.reply.sport = quoted.dport;
	in_port = endpoint_owner(&i.q.reply, SESSION_QUOTE, &r);
	if (in_port < 0)
		return refuse_to_pool(ctx, &i.p, REASON_drop_no_session);
	TRACE_SUBSCRIBER(r.m, r.number);
	refused = quote_options_refusal(ctx, &i.q);
	if (refused)
		return refuse_to_pool(ctx, &i.p, refused);
	verdict = egress_towards(ctx, &i.p, r.m, r.s, r.in_addr, DIRECTION_HAIRPIN, 0, &e);
	if (verdict != CONTINUE)
		return verdict;
	to = (struct rewrite){ .src = icmp_from_inside_source(&i, e->ifindex), .dst = r.in_addr };
	quoted.src = r.in_addr;
	quoted.sport = (__u16)in_port;
	return icmp_translate(ctx, &i.p, &to, &i.q, &quoted, e, DIRECTION_HAIRPIN, i.sender, i.p.src);
}

#endif
