/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors about hairpins with an IPv6 subscriber on either side, see slow/turned.h: of the receiver, and those
 * that its programs make. They quote the packet as it left its sender's outside endpoint.
 */
#ifndef DETNAT_ICMP_TURNED_H
#define DETNAT_ICMP_TURNED_H

#include "icmp/icmp_quote.h"
#include "session/endpoint.h"
#include "slow/egress_check.h"

/* PROG_icmp_turned. */
static __always_inline int icmp_turned(ctx_t *ctx)
{
	struct icmp_quote q = {};
	struct rewrite to, quoted;
	struct receiver r;
	struct egress *e;
	enum reason refused;
	struct packet p;
	int in_port, verdict;

	if (parse(ctx, &p) != PACKET_ICMP_OTHER)
		return drop(REASON_drop_malformed);
	if (quote_parse(ctx, &p, ICMP_ECHO, &q) != QUOTE_SESSION || q.reply.dst != p.dst)
		return drop(REASON_drop_no_session);
	in_port = endpoint_owner(&q.reply, SESSION_QUOTE, &r);
	if (in_port < 0)
		return drop(REASON_drop_no_session);
	TRACE_SUBSCRIBER(r.m, r.number);
	refused = quote_options_refusal(ctx, &q);
	if (refused)
		return drop(refused);
	verdict = egress_towards(ctx, &p, r.m, r.s, r.in_addr, DIRECTION_HAIRPIN, 0, &e);
	if (verdict != CONTINUE)
		return verdict;
	to = rewrite_of(&p);
	quoted = rewrite_of_quote(&q);
	to.dst = quoted.src = r.in_addr;
	quoted.sport = (__u16)in_port;
	return icmp_translate(ctx, &p, &to, &q, &quoted, e, DIRECTION_HAIRPIN, r.m, r.in_addr);
}

#endif
