/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps of in2out.h for tc at the ingress of an interface without XDP. Only hairpins are translated there: the
 * kernel routes everything else, and tc translates it at the egress (in2out_tc.h).
 */
#ifndef DETNAT_IN2OUT_INGRESS_H
#define DETNAT_IN2OUT_INGRESS_H

#include "slow/egress_check.h"
#include "slow/in2out_routed.h"
#include "packet/ether.h"

struct in2out {
	struct flow f;
};

static __always_inline const struct egress *in2out_egress(const struct in2out *io)
{
	return 0;
}

static __always_inline int is_hairpin(const struct in2out *io)
{
	return 1;
}

/* Parses the packet. Returns CONTINUE if it is a hairpin. */
static __always_inline int in2out_admit(ctx_t *ctx, struct in2out *io, enum packet_kind *ret_kind)
{
	struct packet *p = &io->f.p;
	struct device *in = device_get(packet_ingress(ctx));
	enum packet_kind kind;

	if (is_tagged(ctx) || !in || !in->roles)
		return pass_untranslated();
	kind = parse(ctx, p);
	if (kind == PACKET_NOT_IPV4)
		return pass_untranslated();
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (!frame_is_for(ctx, 0, in))
		return pass_untranslated();
	if (address_is_link_local(p->src) || address_is_link_local(p->dst))
		return link_local_is_misplaced(ctx, p->src, p->dst) ? drop(REASON_drop_martian) : pass_untranslated();
	if (!leaf_outside(p->dst))
		return is_martian(p) ? drop(REASON_drop_martian) : in2out_routed(ctx, p, kind);
	*ret_kind = kind;
	return CONTINUE;
}

static __always_inline int in2out_source(ctx_t *ctx, const struct in2out *io)
{
	return source_verdict(ctx, io->f.p.src, io->f.p.dst, 0);
}

static __always_inline int in2out_egress_check(ctx_t *ctx, const struct in2out *io)
{
	return CONTINUE;
}

#endif
