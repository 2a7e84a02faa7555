// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage 2, called by the program in the entries of `ports`, and the programs that it calls in turn. They are in an
 * array of their own, as the kernel allows no other programs there.
 */
#define STAGE2 1
#include "base/ctx_xdp.h"

#include "slow/in2out.h"

#include "answer/icmp_error.h"
#include "slow/open_search.h"
#include "answer/refuse.h"
#include "stage/stage2.h"
#include "stage/stage2_in_slow.h"
#include "stage/stage_drops.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("xdp.frags/devmap")
int stage2(struct xdp_md *ctx)
{
	return stage2_end(stage2_run(ctx));
}

#define PROGRAM(name, function)                      \
	SEC("xdp.frags/devmap")                      \
	int prog_##name##_stage2(struct xdp_md *ctx) \
	{                                            \
		return stage2_end(function(ctx));    \
	}

PROGRAM(open, open_session)
PROGRAM(search, open_search)
PROGRAM(extent, extent_program)
PROGRAM(refuse, refuse_session)
PROGRAM(icmp_error, icmp_error)
PROGRAM(out2in_slow, stage2_in_slow)
