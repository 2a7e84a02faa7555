// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs of the tc hook: egress of the outside interfaces, for what the kernel routed. */
#include "ctx_tc.h"

#include "fragment_later.h"
#include "guard.h"
#include "icmp_error.h"
#include "icmp_out.h"
#include "in2out.h"
#include "open_overflow.h"
#include "protocol.h"
#include "refuse.h"

char _license[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int tc_outside(struct __sk_buff *ctx)
{
	TRACE_BEGIN(ctx);
	return TRACED(ctx, in2out(ctx));
}

SEC("tc")
int prog_open_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, open_session(ctx));
}

SEC("tc")
int prog_overflow_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, open_overflow(ctx));
}

SEC("tc")
int prog_refuse_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, refuse_session(ctx));
}

SEC("tc")
int prog_fragment_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, fragment_in2out(ctx));
}

SEC("tc")
int prog_icmp_error_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, icmp_error(ctx));
}

SEC("tc")
int prog_protocol_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, protocol_out(ctx));
}

SEC("tc")
int prog_refuse_protocol_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, refuse_protocol(ctx));
}

SEC("tc")
int prog_icmp_out_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, icmp_out(ctx));
}

SEC("tc")
int prog_guard_tc(struct __sk_buff *ctx)
{
	return TRACED(ctx, guard(ctx));
}
