// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs of the tc hook at the ingress that route and send packets themselves, by the steps of XDP, with frames as
 * the kernel has them: whole GSO frames, unfinished checksums. The kernel resolves the neighbours of what they send.
 */
#define AT_INGRESS 1
#define FORWARDS   1
#include "base/ctx_tc.h"

#include "programs/ingress_programs.h"
#include "programs/ready.h"
#include "icmp/icmp_turned.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/*
 * The fast path of both directions, for all settings, which are known when the programs are loaded: the verifier leaves
 * out what they do not select.
 */
static __always_inline int in2out_fast(ctx_t *ctx)
{
	if (settings.policy_routing)
		return tail_call(ctx, PROG_in2out_cached);
	return or_slow(ctx,
		       fast_in2out(ctx, 1, settings.source_check == SOURCES_STRICT_EACH, settings.open_mappings, 1),
		       PROG_in2out);
}

static __always_inline int out2in_fast(ctx_t *ctx)
{
	if (settings.policy_routing)
		return tail_call(ctx, PROG_out2in_cached);
	return or_slow(ctx, fast_out2in(ctx, 1, settings.open_mappings, 1, 0), PROG_out2in);
}

/* The main programs that are loaded instead of those if there are IPv6 subscribers. */
static __always_inline int in2out_six_fast(ctx_t *ctx)
{
	return is_for_six(ctx) ? tail_call(ctx, PROG_six_out) : in2out_fast(ctx);
}

static __always_inline int out2in_six_fast(ctx_t *ctx)
{
	if (settings.policy_routing)
		return tail_call(ctx, PROG_out2in_cached);
	return or_slow(ctx, fast_out2in(ctx, 1, settings.open_mappings, 1, 1), PROG_out2in);
}

/* Defines a main program, which the entry programs call. */
#define MAIN(name, function)                                                           \
	SEC("tc")                                                                      \
	int name##_redirect(ctx_t *ctx)                                                \
	{                                                                              \
		int unready = make_ready(ctx);                                         \
                                                                                       \
		TRACE_BEGIN(ctx);                                                      \
		return TRACED(ctx, unready ? drop(REASON_drop_error) : function(ctx)); \
	}

MAIN(in2out, in2out_fast)
MAIN(out2in, out2in_fast)
MAIN(both, both)
MAIN(in2out_six, in2out_six_fast)
MAIN(out2in_six, out2in_six_fast)

/* Defines a tail-called program, implemented by `function`. */
#define PROGRAM(name, function)                    \
	SEC("tc")                                  \
	int prog_##name##_redirect(ctx_t *ctx)     \
	{                                          \
		return TRACED(ctx, function(ctx)); \
	}

INGRESS_PROGRAMS
FORWARDING_PROGRAMS
PROGRAM(turned, hairpin_turned)
PROGRAM(turned_inbound, turned_inbound)
PROGRAM(turned_error, turned_error)
PROGRAM(icmp_turned, icmp_turned)
PROGRAM(fragment_turned, fragment_turned)
