// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs of the tc hook at the ingress for subscribers that are IPv6 prefixes, where tc routes and sends packets
 * itself: those of detnat_six.bpf.c, with frames as the kernel has them. Loaded while a mapping has such subscribers.
 */
#define FAMILY6	   1
#define AT_INGRESS 1
#define FORWARDS   1
#include "base/ctx_tc.h"

#include "six/state.h"

#include "programs/six_programs.h"

char _license[] SEC("license") = "Dual BSD/GPL";

#define PROGRAM(name, function)                    \
	SEC("tc")                                  \
	int prog_##name##_six_tc(ctx_t *ctx)       \
	{                                          \
		return TRACED(ctx, function(ctx)); \
	}

PROGRAM(six_out, six_out)
SIX_PROGRAMS
PROGRAM(six_turned_error, six_turned_error)
