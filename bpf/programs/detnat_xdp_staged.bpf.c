// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The XDP programs with stages: main programs that are stage 1, and all others as in one stage, except that they
 * redirect by `ports`. Stage 2 is in detnat_stage2.bpf.c.
 */
#define STAGED 1
#include "programs/detnat_xdp.bpf.c"

#include "stage/stage1.h"

SEC("xdp.frags")
int in2out_staged_xdp(struct xdp_md *ctx)
{
	return or_slow(ctx, stage1_in2out(ctx), PROG_in2out);
}

SEC("xdp.frags")
int out2in_staged_xdp(struct xdp_md *ctx)
{
	return or_slow(ctx, stage1_out2in(ctx), PROG_out2in);
}

/* The fast path in one stage. */
static __always_inline int in2out_single(struct xdp_md *ctx)
{
	return or_slow(ctx,
		       fast_in2out(ctx, 1, settings.source_check == SOURCES_STRICT_EACH, settings.open_mappings, 0),
		       PROG_in2out);
}

static __always_inline int out2in_single(struct xdp_md *ctx)
{
	return or_slow(ctx, fast_out2in(ctx, 1, settings.open_mappings, 0, 0), PROG_out2in);
}

PROGRAM(in2out_single, in2out_single)
PROGRAM(out2in_single, out2in_single)
