// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs of the tc hook at the egress of outside interfaces, for packets that the kernel has routed. */
#include "base/ctx_tc.h"

#include "slow/fragment_later.h"
#include "slow/guard_tc.h"
#include "answer/icmp_error.h"
#include "icmp/icmp_out.h"
#include "slow/in2out.h"
#include "slow/open_overflow.h"
#include "slow/protocol.h"
#include "answer/refuse.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int tc_outside(struct __sk_buff *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, in2out(ctx));
}

/* Defines a tail-called program, implemented by `function`. */
#define PROGRAM(name, function)                     \
	SEC("tc")                                   \
	int prog_##name##_tc(struct __sk_buff *ctx) \
	{                                           \
		return TRACED(ctx, function(ctx));  \
	}

PROGRAM(open, open_session)
PROGRAM(overflow, open_overflow)
PROGRAM(refuse, refuse_session)
PROGRAM(fragment, fragment_in2out)
PROGRAM(icmp_error, icmp_error)
PROGRAM(protocol, protocol_out)
PROGRAM(refuse_protocol, refuse_protocol)
PROGRAM(icmp_out, icmp_out)
PROGRAM(guard, guard)
