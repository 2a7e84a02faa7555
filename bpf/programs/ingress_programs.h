/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs of the hooks that see packets as they arrive, XDP and tc at the ingress: the same steps, by the
 * primitives of the hook; and those that only hooks have that route and send packets themselves. The object defines
 * PROGRAM(name, function), a tail-called program.
 */
#ifndef DETNAT_INGRESS_PROGRAMS_H
#define DETNAT_INGRESS_PROGRAMS_H

#include "answer/arp.h"
#include "slow/both.h"
#include "slow/fragment_later.h"
#include "slow/fragment_turned.h"
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
#include "answer/refuse.h"
#include "answer/reset.h"
#include "slow/routed_in.h"
#include "slow/routed_out.h"
#if FORWARDS
#include "icmp/icmp_out.h"
#include "fast/fast_in2out.h"
#include "fast/fast_out2in.h"

/* The main programs call these while no agent keeps the copy of the routes. */
static __always_inline int in2out_cached(ctx_t *ctx)
{
	return or_slow(ctx, fast_in2out(ctx, 0, 0, 0, 1), PROG_in2out);
}

static __always_inline int out2in_cached(ctx_t *ctx)
{
	return or_slow(ctx, fast_out2in(ctx, 0, 0, 1, 1), PROG_out2in);
}

#define FORWARDING_PROGRAMS                   \
	PROGRAM(in2out_cached, in2out_cached) \
	PROGRAM(out2in_cached, out2in_cached) \
	PROGRAM(icmp_out, icmp_out)           \
	PROGRAM(fragment, fragment_in2out)

#endif

#define INGRESS_PROGRAMS                            \
	PROGRAM(both, both)                         \
	PROGRAM(in2out, in2out)                     \
	PROGRAM(out2in, out2in)                     \
	PROGRAM(out2in_slow, out2in_slow)           \
	PROGRAM(inbound, inbound)                   \
	PROGRAM(hairpin_inbound, hairpin_inbound)   \
	PROGRAM(open, open_session)                 \
	PROGRAM(search, open_search)                \
	PROGRAM(extent, extent_program)             \
	PROGRAM(refuse, refuse_session)             \
	PROGRAM(icmp_error, icmp_error)             \
	PROGRAM(refuse_protocol, refuse_protocol)   \
	PROGRAM(icmp_in, icmp_in)                   \
	PROGRAM(icmp_hairpin, icmp_hairpin)         \
	PROGRAM(hairpin, hairpin)                   \
	PROGRAM(routed_in, routed_in)               \
	PROGRAM(routed_inbound, routed_inbound)     \
	PROGRAM(routed_out, routed_out)             \
	PROGRAM(icmp_routed, icmp_routed)           \
	PROGRAM(arp, arp)                           \
	PROGRAM(tcp_reset, tcp_reset)               \
	PROGRAM(protocol, protocol_out)             \
	PROGRAM(protocol_in, protocol_in)           \
	PROGRAM(portmap_in, portmap_in)             \
	PROGRAM(fragment_hairpin, fragment_hairpin) \
	PROGRAM(fragment_out2in, fragment_out2in)

#endif
