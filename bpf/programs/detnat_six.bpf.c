// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs of the XDP hook for subscribers that are IPv6 prefixes, loaded while a mapping has such. */
#define FAMILY6 1
#include "base/ctx_xdp.h"

#include "six/state.h"

#include "programs/six_programs.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define PROGRAM(name, function)                    \
	SEC("xdp.frags")                           \
	int prog_##name##_six(struct xdp_md *ctx)  \
	{                                          \
		return TRACED(ctx, function(ctx)); \
	}

/* Packets of IPv6 are known here first: what the main programs have noted of one says only that it is of IPv6. */
SEC("xdp.frags")
int prog_six_out_six(struct xdp_md *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, six_out(ctx));
}

SIX_PROGRAMS

/* As session_held() of detnat_xdp.bpf.c, which knows nothing of these sessions. */
SEC("syscall")
int session_held_six(struct session_question *q)
{
	return session_is_held(q);
}
