/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs for later fragments, which get the same addresses as their first fragment. No ICMP error is ever sent about
 * them (RFC 1812 section 4.3.2.7).
 */
#ifndef DETNAT_FRAGMENT_LATER_H
#define DETNAT_FRAGMENT_LATER_H

#include "slow/fragment_park.h"
#include "slow/in2out.h"

/* Translates a later fragment whose egress has been checked, unless any of its octets has passed already. */
static __always_inline int fragment_translate(ctx_t *ctx, const struct packet *p, struct fragment *e,
					      const struct fragment_piece *f, const struct rewrite *to,
					      const struct egress *egress, enum direction direction)
{
	int refused = fragment_pass(e, f);

	return refused ? drop(refused) : translate(ctx, p, PACKET_FRAGMENT, to, egress, direction);
}

/*
 * A later fragment from inside: its datagram, and the addresses to write. *e is NULL as long as the first
 * fragment has not passed.
 */
static __always_inline int fragment_of_inside(ctx_t *ctx, struct in2out *io, struct fragment_piece *f,
					      struct rewrite *to, struct fragment **e)
{
	int verdict = in2out_prepare(ctx, io, PACKET_SESSION);

	if (verdict != CONTINUE)
		return verdict;
	if (fragment_piece_get(ctx, &io->f.p, FRAGMENT_FROM_INSIDE, f))
		return drop(REASON_drop_error);
	f->in_addr = io->f.p.src;
	*e = fragment_find(f, &to->src, &to->dst);
	return CONTINUE;
}

/* Inside to outside, at both hooks. */
static __always_inline int fragment_in2out(ctx_t *ctx)
{
	struct fragment_piece f;
	struct rewrite to;
	struct fragment *e;
	struct in2out io;
	int verdict = fragment_of_inside(ctx, &io, &f, &to, &e);

	if (verdict != CONTINUE)
		return verdict;
	if (!e && in2out_is_left_over(&io) && !unmatched_is_dropped(f.in_addr))
		return in2out_unmatched(ctx, &io);
	if (!e)
		return fragment_park(ctx, &f);
	return fragment_translate(ctx, &io.f.p, e, &f, &to, in2out_egress(&io), DIRECTION_OUT);
}

#if AT_INGRESS

/* Finds and checks the egress of a later fragment towards a subscriber. */
static __always_inline int fragment_egress(ctx_t *ctx, const struct packet *p, __u32 in_addr, enum direction direction,
					   struct egress *ret)
{
	struct subscriber *s = fragment_subscriber(in_addr);

	*ret = (struct egress){};
	return s ? egress_towards(ctx, p, s, in_addr, direction, 0, ret) : drop(REASON_drop_no_mapping);
}

static __always_inline int fragment_hairpin(ctx_t *ctx)
{
	struct egress egress;
	struct fragment_piece f;
	struct rewrite to;
	struct fragment *e;
	struct in2out io;
	int verdict = fragment_of_inside(ctx, &io, &f, &to, &e);

	if (verdict != CONTINUE)
		return verdict;
	if (!e) {
		if (address_is_local(ctx, io.f.p.src, io.f.p.dst))
			return pass_untranslated();
		return settings.hairpin ? fragment_park(ctx, &f) : drop(REASON_drop_no_session);
	}
	verdict = fragment_egress(ctx, &io.f.p, to.dst, DIRECTION_HAIRPIN, &egress);
	if (verdict != CONTINUE)
		return verdict;
	return fragment_translate(ctx, &io.f.p, e, &f, &to, &egress, DIRECTION_HAIRPIN);
}

/* Tail-called by out2in_prepare(). */
static __always_inline int fragment_out2in(ctx_t *ctx)
{
	struct egress egress;
	struct fragment_piece f;
	struct rewrite to;
	struct fragment *e;
	struct packet p;
	int verdict;

	if (parse(ctx, &p) != PACKET_FRAGMENT || fragment_piece_get(ctx, &p, FRAGMENT_FROM_OUTSIDE, &f))
		return drop(REASON_drop_error);
	e = fragment_find(&f, &to.src, &to.dst);
	if (!e) {
		if (address_is_local(ctx, p.src, p.dst))
			return pass_untranslated();
		return source_is_martian(p.src) ? drop(REASON_drop_martian) : fragment_park(ctx, &f);
	}
	f.in_addr = to.dst;
	verdict = fragment_egress(ctx, &p, to.dst, DIRECTION_IN, &egress);
	if (verdict != CONTINUE)
		return verdict;
	return fragment_translate(ctx, &p, e, &f, &to, &egress, DIRECTION_IN);
}

#endif
#endif
