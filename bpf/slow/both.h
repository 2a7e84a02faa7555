/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One interface for inside and outside (NAT on a stick). */
#ifndef DETNAT_BOTH_H
#define DETNAT_BOTH_H

#include "subscriber/drain_lookup.h"
#include "packet/parse.h"
#include "base/tail_call.h"

/*
 * Calls the program of a packet's direction. Packets come from outside if their source is not an inside address and
 * they are sent to a pool address or straight to an inside address.
 */
static __always_inline int both(ctx_t *ctx)
{
	struct packet p;
	enum packet_kind kind = parse(ctx, &p);

	if (kind == PACKET_NOT_IPV4)
		return is_for_six(ctx) ? tail_call(ctx, PROG_six_out) : tail_call(ctx, PROG_out2in);
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (!address_is_inside(p.src) && (leaf_outside(p.dst) || address_is_inside(p.dst)))
		return tail_call(ctx, PROG_out2in);
	return tail_call(ctx, PROG_in2out);
}

#endif
