/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps of in2out.h for the programs that stage 2 calls: stage 1 has found the egress and checked the source, the
 * TTL and the length.
 */
#ifndef DETNAT_IN2OUT_STAGE2_H
#define DETNAT_IN2OUT_STAGE2_H

#include "egress/stage2_egress.h"

struct in2out {
	struct flow f;
	const struct egress *egress;
};

static __always_inline const struct egress *in2out_egress(const struct in2out *io)
{
	return io->egress;
}

static __always_inline int is_hairpin(const struct in2out *io)
{
	return 0;
}

static __always_inline int in2out_admit(ctx_t *ctx, struct in2out *io, enum packet_kind *ret_kind)
{
	*ret_kind = parse(ctx, &io->f.p);
	io->egress = stage2_egress();
	return *ret_kind == PACKET_SESSION && io->egress ? CONTINUE : drop(REASON_drop_stage2);
}

static __always_inline int in2out_source(ctx_t *ctx, const struct in2out *io)
{
	return CONTINUE;
}

static __always_inline int in2out_egress_check(ctx_t *ctx, const struct in2out *io)
{
	return CONTINUE;
}

#endif
