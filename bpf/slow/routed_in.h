/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets from a routed host, <detnat/routed.h>, to a pool address. They reach the same endpoints as packets from
 * outside, and their flow is noted for the answers. They are hairpins in which one side keeps its address.
 * in2out_unmatched() has checked the source.
 */
#ifndef DETNAT_ROUTED_IN_H
#define DETNAT_ROUTED_IN_H

#include "slow/fragment_later.h"
#include "slow/inbound.h"
#include "slow/out2in.h"
#include "subscriber/routed_flows.h"

/* The flow of a packet to a subscriber's inside endpoint, as the subscriber sees it. */
static __always_inline struct routed_flow routed_flow_to(const struct packet *p, const struct receiver *r,
							 __u16 in_port)
{
	return (struct routed_flow){ .in_addr = r->in_addr,
				     .routed_addr = p->src,
				     .in_port = in_port,
				     .routed_port = p->sport,
				     .proto = p->proto,
				     .tenant = LOAD(r->m->tenant) };
}

/* A later fragment, which follows its first one; of an open mapping, by its address. */
static __always_inline int routed_in_fragment(ctx_t *ctx, const struct packet *p)
{
	struct fragment_piece f;
	struct egress *egress;
	struct fragment *e;
	struct rewrite to;
	int verdict;

	if (fragment_piece_get(ctx, p, FRAGMENT_FROM_OUTSIDE, &f))
		return drop(REASON_drop_error);
	e = fragment_find(&f, &to.src, &to.dst);
	if (!e)
		return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : fragment_park(ctx, &f);
	f.in_addr = to.dst;
	verdict = fragment_egress(ctx, p, to.dst, DIRECTION_HAIRPIN, &egress);
	if (verdict != CONTINUE)
		return verdict;
	return fragment_translate(ctx, p, e, &f, &to, egress, DIRECTION_HAIRPIN);
}

/* Handles a packet that no session, portmap or open mapping takes. */
static __always_inline int routed_in_stranger(ctx_t *ctx, const struct packet *p, enum packet_kind kind)
{
	struct receiver r;

	if (address_is_local(ctx, p->src, p->dst))
		return pass_untranslated();
	if (kind != PACKET_SESSION)
		return drop(kind == PACKET_ICMP_OTHER ? REASON_drop_no_session : parse_drop_reason(kind));
	if (settings.filtering && !receiver_get(p, &r) && inbound_may_open(r.m, r.number, p, now_ticks()))
		return tail_call(ctx, PROG_routed_inbound);
	return out2in_unsolicited(ctx, p);
}

/* Returns 1 for a packet that needs only its address: in an open mapping, or of a protocol without ports. */
static __always_inline int routed_in_is_stateless(const struct receiver *r, enum packet_kind kind)
{
	return kind == PACKET_PROTOCOL || (mapping_is_open(r->m) && kind_passes_open(kind));
}

/* Translates and sends a packet whose receiver is known. */
static __always_inline int routed_in_finish(ctx_t *ctx, const struct packet *p, enum packet_kind kind,
					    const struct receiver *r, __u16 in_port)
{
	struct routed_flow flow = routed_flow_to(p, r, in_port);
	struct egress *e;
	struct rewrite to;
	int verdict;

	if (!endpoint_takes_from(r, p, p->src, p->sport))
		return drop(REASON_drop_portmap_filter);
	verdict = egress_towards(ctx, p, r->m, r->s, r->in_addr, DIRECTION_HAIRPIN, r->s, &e);
	if (verdict != CONTINUE)
		return verdict;
	endpoint_count(r);
	if (kind != PACKET_FRAGMENT)
		routed_note(r->m, &flow);
	to = rewrite_of(p);
	to.dst = r->in_addr;
	if (!routed_in_is_stateless(r, kind)) {
		to.dport = in_port;
		return translate_session(ctx, p, &to, e, DIRECTION_HAIRPIN, r->in_addr);
	}
	mss_clamp(ctx, p, egress_mss_mtu(ctx, e, DIRECTION_HAIRPIN));
	return translate(ctx, p, PACKET_PROTOCOL, &to, e, DIRECTION_HAIRPIN);
}

/* PROG_routed_in. */
static __always_inline int routed_in(ctx_t *ctx)
{
	struct receiver r;
	struct packet p;
	enum packet_kind kind = parse(ctx, &p);
	enum reason refused = options_refusal(ctx, &p);
	const struct mapping *m = mapping_by_outside(p.dst);
	int in_port;

	if (!m || refused || !settings.hairpin)
		return refuse_to_pool(ctx, &p, refused ? refused : REASON_drop_no_session);
	if (tenant_intrudes(ctx, m))
		return refuse_to_pool(ctx, &p, REASON_drop_tenant);
	if (kind == PACKET_FRAGMENT && !mapping_is_open(m))
		return routed_in_fragment(ctx, &p);
	if (kind != PACKET_PROTOCOL && !kind_passes_open(kind))
		return routed_in_stranger(ctx, &p, kind);
	if (address_is_local(ctx, p.src, p.dst) && (mapping_is_open(m) || kind == PACKET_PROTOCOL))
		return pass_untranslated();
	in_port = endpoint_owner(&p, SESSION_PACKET, &r);
	if (in_port < 0)
		return routed_in_stranger(ctx, &p, kind);
	TRACE_SUBSCRIBER(r.m, r.number);
	return routed_in_finish(ctx, &p, kind, &r, (__u16)in_port);
}

/*
 * PROG_routed_inbound: opens the receiver's session of a packet to a bound port with endpoint-independent filtering,
 * then calls PROG_routed_in.
 */
static __always_inline int routed_inbound(ctx_t *ctx)
{
	return inbound_open_towards(ctx, PROG_routed_in, PROG_routed_inbound);
}

#endif
