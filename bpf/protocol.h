/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The leaf for protocols without ports (GRE, ESP, SCTP, UDP-Lite ...) from subscribers that have an outside address to
 * themselves, that is of mappings with a sharing ratio of 1: the address alone is translated. No session is kept, so
 * nothing is refused for a quota, and what comes from outside is let in: see protocol_in.h.
 */
#ifndef DETNAT_PROTOCOL_H
#define DETNAT_PROTOCOL_H

#include "in2out.h"
#include "protocol_address.h"

#if HOOK_XDP
#include "protocol_in.h"
#endif

static __always_inline int protocol_out(ctx_t *ctx)
{
	struct in2out io;
	int verdict = in2out_prepare_kind(ctx, &io, PACKET_PROTOCOL);

	if (verdict != GO_ON)
		return verdict;
	if (!mapping_is_one_to_one(io.f.m))
		return drop(REASON_drop_protocol);
#if HOOK_XDP
	if (io.hairpin)
		return protocol_hairpin(ctx, &io);
#endif
	if (protocol_address(ctx, &io.f.p, 1, mapping_out_addr(&io.f.m->geo, io.f.subscriber), HOOK_XDP))
		return drop(REASON_drop_malformed);
	count_translated(REASON_in2out_translated, io.f.p.length);
#if HOOK_XDP
	return forward(ctx, &io.nh->mac, io.nh->out_ifindex);
#else
	return CTX_PASS;
#endif
}

#endif
