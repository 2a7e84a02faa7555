/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packets from inside that neither leave by an outside interface nor go to a pool address. */
#ifndef DETNAT_IN2OUT_ROUTED_H
#define DETNAT_IN2OUT_ROUTED_H

#include "subscriber/classify.h"
#include "subscriber/routed_flows.h"

/*
 * Leaves a packet to the kernel unless it answers a routed host or is an error about such a packet. Later fragments and
 * errors need their own programs to find out.
 */
static __always_inline int in2out_routed(ctx_t *ctx, const struct packet *p, enum packet_kind kind)
{
	if (!routed_flows_exist())
		return pass_untranslated();
	if (kind == PACKET_ICMP_OTHER && is_icmp_error(p))
		return tail_call(ctx, PROG_icmp_routed);
	if (kind == PACKET_FRAGMENT || routed_flow_is_noted(packet_tenant(ctx), p))
		return tail_call(ctx, PROG_routed_out);
	return pass_untranslated();
}

#endif
