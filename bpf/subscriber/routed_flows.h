/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows between routed hosts and subscribers, <detnat/routed.h>. While there are none, a packet that might belong to
 * one costs reading one word.
 */
#ifndef DETNAT_ROUTED_FLOWS_H
#define DETNAT_ROUTED_FLOWS_H

#include "subscriber/lookup.h"
#include "packet/parse.h"
#include "base/settings.h"
#include "base/subprogram.h"

static __always_inline __u32 *routed_until_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&routed_until, &zero);
}

/* Returns 1 if the map may hold a flow. */
static __always_inline int routed_flows_exist(void)
{
	const __u32 *until = routed_until_get();
	__u32 last = until ? LOAD(*until) : 0;

	return last && (__s32)(last - now_ticks()) >= 0;
}

/* The flow of a packet from a subscriber of a tenant to a routed host, or of the reply tuple of a quoted one. */
static __always_inline struct routed_flow routed_flow_of(__u32 tenant, const struct packet *p)
{
	return (struct routed_flow){ .in_addr = p->src,
				     .routed_addr = p->dst,
				     .in_port = p->sport,
				     .routed_port = p->dport,
				     .proto = p->proto,
				     .tenant = (__u8)tenant };
}

static __always_inline __u32 routed_ticks(const struct mapping *m, __u8 proto)
{
	return m->timeout_ticks[proto == IPPROTO_TCP	? TIMEOUT_TCP_ESTABLISHED
				: proto == IPPROTO_ICMP ? TIMEOUT_ICMP
							: TIMEOUT_UDP];
}

/* Notes the flow of a packet from a routed host to a subscriber of m. */
SUBPROGRAM int routed_note(const struct mapping *m, const struct routed_flow *of)
{
	__u32 now = now_ticks(), *until = routed_until_get(), *seen, last;
	struct routed_flow flow;

	if (!m || !of || !until)
		return -1;
	flow = *of;
	last = now + routed_ticks(m, flow.proto);
	last = last ? last : 1;
	seen = bpf_map_lookup_elem(&routed_flows, &flow);
	if (!seen)
		bpf_map_update_elem(&routed_flows, &flow, &now, BPF_ANY);
	else if (LOAD(*seen) != now)
		*(volatile __u32 *)seen = now;
	if (!LOAD(*until) || (__s32)(last - LOAD(*until)) > 0)
		*(volatile __u32 *)until = last;
	return 0;
}

/* Returns 1 if a routed host began the flow of a packet of a tenant's subscriber, or of a quoted one. */
SUBPROGRAM int routed_flow_is_noted(__u32 tenant, const struct packet *p)
{
	const struct mapping *m = p ? mapping_by_inside(tenant, p->src) : 0;
	struct routed_flow flow;
	__u32 now = now_ticks(), *seen;

	if (!p || !m)
		return 0;
	flow = routed_flow_of(LOAD(m->tenant), p);
	seen = bpf_map_lookup_elem(&routed_flows, &flow);
	if (!seen || (__s32)(now - LOAD(*seen)) > (__s32)routed_ticks(m, flow.proto))
		return 0;
	/* The subscriber's packets refresh the flow, as they refresh a session. */
	if (LOAD(*seen) != now)
		*(volatile __u32 *)seen = now;
	return 1;
}

#endif
