// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs of the tc hook at the egress of outside interfaces, for packets that the kernel has routed. For interfaces
 * whose packets have no Ethernet header, they are loaded a second time, with the l3_offset 0.
 */
#include "base/ctx_tc.h"

#include "egress/sent_mark.h"
#include "fast/fast_in2out_tc.h"
#include "slow/fragment_later.h"
#include "slow/guard_tc.h"
#include "answer/icmp_error.h"
#include "icmp/icmp_out.h"
#include "slow/in2out.h"
#include "slow/open_search.h"
#include "slow/protocol.h"
#include "answer/refuse.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* The slow path, for packets that the fast path has left alone. Without it, only the gateway's own leave. */
static __always_inline int slow_path(struct __sk_buff *ctx)
{
	return tail_call_or(ctx, PROG_in2out, ctx_ingress(ctx) ? CTX_DROP : CTX_PASS);
}

static __always_inline int fast_or_slow(struct __sk_buff *ctx, __u32 l3)
{
	int verdict = fast_in2out_tc(ctx, l3);

	return FINAL(verdict) ? verdict : slow_path(ctx);
}

/* The verifier leaves out the branch that l3_offset does not select. */
SEC("tc")
int tc_outside(struct __sk_buff *ctx)
{
	/* What tc at the ingress has sent. */
	if (sent_mark_take(ctx))
		return CTX_PASS;
	TRACE_BEGIN(ctx);
	return TRACED(ctx, l3_offset ? fast_or_slow(ctx, ETH_HLEN) : fast_or_slow(ctx, 0));
}

/* Defines a tail-called program, implemented by `function`. */
#define PROGRAM(name, function)                     \
	SEC("tc")                                   \
	int prog_##name##_tc(struct __sk_buff *ctx) \
	{                                           \
		return TRACED(ctx, function(ctx));  \
	}

PROGRAM(in2out, in2out)
PROGRAM(open, open_session)
PROGRAM(search, open_search)
PROGRAM(extent, extent_program)
PROGRAM(refuse, refuse_session)
PROGRAM(fragment, fragment_in2out)
PROGRAM(icmp_error, icmp_error)
PROGRAM(protocol, protocol_out)
PROGRAM(refuse_protocol, refuse_protocol)
PROGRAM(icmp_out, icmp_out)
PROGRAM(guard, guard)
