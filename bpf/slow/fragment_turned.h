/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Later fragments of hairpins, also of those with an IPv6 subscriber on either side, see slow/turned.h. */
#ifndef DETNAT_FRAGMENT_TURNED_H
#define DETNAT_FRAGMENT_TURNED_H

#include "slow/fragment_later.h"
#include "slow/hairpin.h"

/* The sender's half, once the first one has passed. Returns a verdict. */
static __always_inline int fragment_turn(ctx_t *ctx, const struct packet *p, struct fragment *e,
					 const struct fragment_piece *f, const struct rewrite *to)
{
	int refused = fragment_pass(e, f);

	if (refused)
		return drop(refused);
	if (rewrite(ctx, p, PACKET_FRAGMENT, to, 0))
		return drop(REASON_drop_error);
	return hairpin_to_receiver(ctx, p);
}

/* PROG_fragment_hairpin. */
static __always_inline int fragment_hairpin(ctx_t *ctx)
{
	struct egress *egress;
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
	if (hairpin_is_turned(&io.f.p))
		return fragment_turn(ctx, &io.f.p, e, &f, &to);
	verdict = fragment_egress(ctx, &io.f.p, to.dst, DIRECTION_HAIRPIN, &egress);
	if (verdict != CONTINUE)
		return verdict;
	return fragment_translate(ctx, &io.f.p, e, &f, &to, egress, DIRECTION_HAIRPIN);
}

/* PROG_fragment_turned: the receiver's half of a later fragment. Its first one has come as far, or it is lost. */
static __always_inline int fragment_turned(ctx_t *ctx)
{
	struct packet p;
	struct fragment_piece f;
	struct egress *egress;
	struct fragment *e;
	struct rewrite to;
	int verdict;

	if (parse(ctx, &p) != PACKET_FRAGMENT || fragment_piece_get(ctx, &p, FRAGMENT_FROM_OUTSIDE, &f))
		return drop(REASON_drop_error);
	e = fragment_find(&f, &to.src, &to.dst);
	if (!e || fragment_host(p.dst, to.dst, e))
		return drop(REASON_drop_fragment);
	f.in_addr = to.dst;
	verdict = fragment_egress(ctx, &p, to.dst, DIRECTION_HAIRPIN, &egress);
	if (verdict != CONTINUE)
		return verdict;
	return fragment_translate(ctx, &p, e, &f, &to, egress, DIRECTION_HAIRPIN);
}

#endif
