/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Hairpins with an IPv6 subscriber on either side. As words of sessions of the two families differ, each side is
 * handled by programs of its own: those of the sender give the packet its outside source, and those of the receiver
 * find the session then, as of a packet from outside.
 */
#ifndef DETNAT_TURNED_H
#define DETNAT_TURNED_H

#include "session/endpoint.h"
#include "session/inbound_slots.h"
#include "slow/egress_check.h"
#include "translate/translate.h"

/* Has the programs of its receiver's family go on with a packet to a pool address, or an error. Returns a verdict. */
static __always_inline int hairpin_to_receiver(ctx_t *ctx, const struct packet *p)
{
	const struct mapping *m = mapping_by_outside(p->dst);

	if (!m)
		return drop(REASON_drop_error);
	return tail_call(ctx, LOAD(m->geo.flags) & MAPPING_IPV6 ? PROG_six_turned : PROG_turned);
}

/* At tc the sender of a hairpin gets an error about what it has sent: see error_returned(). */
static __always_inline void hairpin_note_sender(const struct packet *p)
{
	volatile struct arguments *n = HOOK_XDP ? 0 : arguments_get();

	if (!n)
		return;
	n->sender = p->src;
	n->sender_port = p->sport;
}

/*
 * The sender's half, given its outside endpoint: its receiver is of another family, or both are IPv6 subscribers.
 * Returns a verdict.
 */
static __always_inline int hairpin_turn(ctx_t *ctx, const struct packet *p, const struct rewrite *to)
{
	int refused = p->fragment ? fragment_begin(ctx, p, to->src, p->dst, p->src) : 0;

	if (refused)
		return drop(refused);
	hairpin_note_sender(p);
	if (rewrite(ctx, p, PACKET_SESSION, to, 0))
		return drop(REASON_drop_error);
	return hairpin_to_receiver(ctx, p);
}

/*
 * Begins with the receiver's half. Returns 1 if the sender's programs are others, to which an error goes that is made
 * here, as if it came from outside. Else an IPv6 subscriber has sent the packet, and can be restored.
 */
static __always_inline int hairpin_has_crossed(const struct packet *p)
{
	const struct mapping *m = mapping_by_outside(p->src);
	int crossed = !FAMILY6 || !m || !(LOAD(m->geo.flags) & MAPPING_IPV6);

	if (crossed)
		six_begin_crossed();
	return crossed;
}

/* Returns 1 if a hairpin without a session of its receiver may open one. */
static __always_inline int inbound_may_open_hairpin(const struct packet *p)
{
	struct receiver r;

	return settings.filtering && !receiver_get(p, &r) && inbound_may_open(r.m, r.number, p, now_ticks());
}

/* PROG_turned and PROG_six_turned: the receiver's half. */
static __always_inline int hairpin_turned(ctx_t *ctx)
{
	struct receiver r;
	struct rewrite to;
	struct egress *e;
	struct packet p;
	enum packet_kind kind = parse(ctx, &p);
	int in_port, verdict, crossed = hairpin_has_crossed(&p);

	if (kind == PACKET_ICMP_OTHER && is_icmp_error(&p))
		return tail_call(ctx, PROG_icmp_turned);
	if (kind == PACKET_FRAGMENT)
		return tail_call(ctx, PROG_fragment_turned);
	in_port = kind == PACKET_SESSION ? endpoint_owner(&p, SESSION_PACKET, &r) : -1;
	/* No port of an IPv6 subscriber is bound. */
	if (!FAMILY6 && in_port < 0 && kind == PACKET_SESSION && inbound_may_open_hairpin(&p))
		return tail_call(ctx, PROG_turned_inbound);
	if (in_port < 0)
		return drop(REASON_drop_no_session);
	if (!endpoint_takes_from(&r, &p, p.src, p.sport))
		return drop(REASON_drop_portmap_filter);
	arguments_crossed((__u8)crossed);
	verdict = egress_towards(ctx, &p, r.m, r.s, r.in_addr, DIRECTION_HAIRPIN, r.s, &e);
	arguments_crossed(0);
	if (verdict != CONTINUE)
		return verdict;
	endpoint_count(&r);
	to = rewrite_of(&p);
	to.dst = r.in_addr;
	to.dport = (__u16)in_port;
	return translate_session(ctx, &p, &to, e, DIRECTION_HAIRPIN, to.dst);
}

#endif
