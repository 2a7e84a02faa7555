// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs of the tc hook at the ingress of interfaces without XDP. They do what the XDP programs do where the kernel
 * forwards, with frames as the kernel has them: whole GSO frames, unfinished checksums.
 */
#define AT_INGRESS 1
#include "base/ctx_tc.h"

#include "programs/ingress_programs.h"
#include "programs/ready.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* Calls the program for a packet. */
static __always_inline int begin(ctx_t *ctx, int unready, enum prog prog)
{
	return unready ? drop(REASON_drop_error) : tail_call(ctx, prog);
}

/* Defines a main program, which the entry programs call. */
#define MAIN(name, prog)                                       \
	SEC("tc")                                              \
	int name##_ingress(ctx_t *ctx)                         \
	{                                                      \
		int unready = make_ready(ctx);                 \
                                                               \
		TRACE_BEGIN(ctx);                              \
		return TRACED(ctx, begin(ctx, unready, prog)); \
	}

MAIN(in2out, PROG_in2out)
MAIN(out2in, PROG_out2in)
MAIN(both, PROG_both)

/* Defines a tail-called program, implemented by `function`. */
#define PROGRAM(name, function)                    \
	SEC("tc")                                  \
	int prog_##name##_ingress(ctx_t *ctx)      \
	{                                          \
		return TRACED(ctx, function(ctx)); \
	}

INGRESS_PROGRAMS
