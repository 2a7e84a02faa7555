// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs of the tc hook at the ingress of interfaces without XDP. They do what the XDP programs do where the kernel
 * forwards, with frames as the kernel has them: whole GSO frames, unfinished checksums.
 */
#define AT_INGRESS 1
#include "base/ctx_tc.h"

#include "answer/arp.h"
#include "egress/route.h"
#include "slow/both.h"
#include "slow/fragment_later.h"
#include "slow/hairpin.h"
#include "slow/hairpin_inbound.h"
#include "answer/icmp_error.h"
#include "icmp/icmp_hairpin.h"
#include "icmp/icmp_in.h"
#include "icmp/icmp_routed.h"
#include "slow/in2out.h"
#include "slow/inbound_in.h"
#include "slow/open_search.h"
#include "slow/out2in.h"
#include "slow/portmap_in.h"
#include "slow/protocol.h"
#include "programs/ready.h"
#include "answer/refuse.h"
#include "answer/reset.h"
#include "slow/routed_in.h"
#include "slow/routed_out.h"

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

PROGRAM(both, both)
PROGRAM(in2out, in2out)
PROGRAM(out2in, out2in)
PROGRAM(out2in_slow, out2in_slow)
PROGRAM(portmap_in, portmap_in)
PROGRAM(inbound, inbound)
PROGRAM(hairpin_inbound, hairpin_inbound)
PROGRAM(open, open_session)
PROGRAM(search, open_search)
PROGRAM(extent, extent_program)
PROGRAM(refuse, refuse_session)
PROGRAM(icmp_error, icmp_error)
PROGRAM(refuse_protocol, refuse_protocol)
PROGRAM(icmp_in, icmp_in)
PROGRAM(icmp_hairpin, icmp_hairpin)
PROGRAM(hairpin, hairpin)
PROGRAM(routed_in, routed_in)
PROGRAM(routed_inbound, routed_inbound)
PROGRAM(routed_out, routed_out)
PROGRAM(icmp_routed, icmp_routed)
PROGRAM(arp, arp)
PROGRAM(tcp_reset, tcp_reset)
PROGRAM(protocol, protocol_out)
PROGRAM(protocol_in, protocol_in)
PROGRAM(fragment_hairpin, fragment_hairpin)
PROGRAM(fragment_out2in, fragment_out2in)
