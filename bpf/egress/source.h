/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source validation of subscribers' packets, equivalent to the kernel's fib_validate_source(): the source must not be
 * one of the gateway's own addresses, and, depending on the interface's reverse-path filter (RFC 3704), a route must
 * lead back to it. Checked when a session opens or is refreshed, so at most once per tick and session; for every packet
 * with SOURCES_STRICT_EACH. The kernel decides what cannot be decided here.
 *
 * If no reverse-path filter is on and routes depend only on destinations, only the gateway's own addresses are refused,
 * and the agent vouches for all others (globals.own_sources). Otherwise, and without an agent, a route back to the
 * address must have been found in this epoch, within the last minute.
 */
#ifndef DETNAT_SOURCE_H
#define DETNAT_SOURCE_H

#include "subscriber/classify.h"
#include "egress/egress_find.h"

#define SOURCE_SECONDS 60U

enum source_verdict {
	SOURCE_GOOD,
	SOURCE_REFUSED, /* one of the gateway's own addresses, or unroutable */
	SOURCE_KERNEL,	/* the kernel must decide; at tc it already has */
};

static __always_inline int source_is_vouched(const struct globals *g, __u32 src, __u32 now)
{
	__u32 bit = own_source_bit(src);

	return (__s32)(LOAD(g->sources_until) - now) >= 0 && !address_is_link_local(src) &&
	       !(LOAD(g->own_sources[bit >> 6 & 3]) >> (bit & 63) & 1);
}

/*
 * Returns 1 if the route back to the sender is known and, if the check is strict, leads through the ingress interface.
 */
static __always_inline int source_is_known(const struct subscriber *s, const struct globals *g, __u32 in_ifindex,
					   __u32 now)
{
	if (!subscriber_hop_is_fresh(s, LOAD(g->epoch), now, settings.hz * SOURCE_SECONDS >> TICK_SHIFT))
		return 0;
	return settings.source_check == SOURCES_ROUTED || LOAD(s->way) >> 48 == in_ifindex;
}

/* The same by the agent's copy of the routes, which knows all senders behind a route: see fib_lookup.h. */
static __always_inline int source_is_told(const struct fib_hop *back, __u32 in_ifindex)
{
	return LOAD(back->flags) & FIB_ROUTED &&
	       (settings.source_check == SOURCES_ROUTED || LOAD(back->ifindex) == in_ifindex);
}

/*
 * Checks the source of a packet from src to dst (host byte order) with egress out_ifindex (0: unknown). s: record of
 * the sender, or NULL if it is no subscriber. Returns enum source_verdict.
 */
SUBPROGRAM int source_check(ctx_t *ctx, struct subscriber *s, __u32 src, __u32 dst, __u32 out_ifindex)
{
	struct globals *g = globals_get();
	__u32 in_ifindex = packet_ingress(ctx);
	struct device *in = device_get(in_ifindex);

	if (!g || !in)
		return SOURCE_KERNEL;
	in_ifindex = received_by(in, in_ifindex);
	if (source_is_vouched(g, src, now_ticks()))
		return SOURCE_GOOD;

	const struct fib_hop *back = fib_told(src, FIB_ROUTED);

	if (back ? source_is_told(back, in_ifindex) : s && source_is_known(s, g, in_ifindex, now_ticks()))
		return SOURCE_GOOD;

	struct bpf_fib_lookup fib;
	int strict = LOAD(in->rp_filter) == RP_STRICT, full = LOAD(in->rp_filter) || settings.policy_routing;

	switch (subscriber_route(ctx, s, dst, src, out_ifindex ? out_ifindex : in_ifindex, &fib)) {
	case BPF_FIB_LKUP_RET_NOT_FWDED:
		return SOURCE_REFUSED;
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return strict && fib.ifindex != in_ifindex ? SOURCE_KERNEL : SOURCE_GOOD;
	case BPF_FIB_LKUP_RET_UNSUPP_LWT:
		return strict ? SOURCE_KERNEL : SOURCE_GOOD;
	default:
		return full ? SOURCE_KERNEL : SOURCE_GOOD;
	}
}

/* source_check() for a packet of a subscriber of m. */
static __always_inline int source_of_subscriber(ctx_t *ctx, const struct mapping *m, const struct packet *p,
						__u32 out_ifindex)
{
	return source_check(ctx, subscriber_get(m, mapping_subscriber(&m->geo, p->src)), p->src, p->dst, out_ifindex);
}

/*
 * Interface of the route back to a source outside all mappings; 0: there is no route, or the source is the gateway's
 * own address.
 */
SUBPROGRAM int source_way_back(ctx_t *ctx, __u32 src, __u32 dst)
{
	const struct fib_hop *back = fib_told(src, FIB_ROUTED);
	struct bpf_fib_lookup fib;
	long verdict;

	if (back)
		return back->ifindex;
	verdict = route(ctx, dst, src, packet_received_by(ctx), &fib);
	if (verdict != BPF_FIB_LKUP_RET_SUCCESS && verdict != BPF_FIB_LKUP_RET_NO_NEIGH &&
	    verdict != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 0;
	return (int)fib.ifindex;
}

/*
 * Returns 1 if a packet whose source is in no mapping is dropped (BCP 38): the route back to the source does not lead
 * through the ingress interface.
 */
static __always_inline int source_is_spoofed(ctx_t *ctx, const struct packet *p)
{
	return (__u32)source_way_back(ctx, p->src, p->dst) != packet_received_by(ctx);
}

/* Returns 1 if subscribers may be behind an interface. */
static __always_inline int leads_inside(__u32 ifindex)
{
	const struct device *out = device_get(ifindex);

	if (!ifindex || !out)
		return 0;
	if (out->roles)
		return !!(out->roles & DEVICE_INSIDE);
	return settings.inside_from == INSIDE_ANY || (settings.inside_from != INSIDE_NAMED && ifindex >= MAX_IFINDEX);
}

/*
 * Returns 1 if a packet from inside to a pool address, with a source in no mapping, is dropped: it would be taken for
 * one from outside. The route back must lead inside, whatever `unmatched` says; through the ingress interface if that
 * or the reverse-path filter demands it.
 */
SUBPROGRAM int source_is_forged(ctx_t *ctx, __u32 src, __u32 dst)
{
	__u32 back = (__u32)source_way_back(ctx, src, dst), in_ifindex = packet_ingress(ctx);
	const struct device *in = device_get(in_ifindex);

	if (!in)
		return 1;
	if (settings.unmatched == UNMATCHED_STRICT || LOAD(in->rp_filter) == RP_STRICT)
		return back != received_by(in, in_ifindex);
	return !leads_inside(back);
}

/* Handles a packet from inside with a source in no mapping that leaves through an outside interface. */
static __always_inline int source_unmatched(ctx_t *ctx, const struct packet *p)
{
	/* On a stick, packets from outside to untranslated addresses get here, too. */
	if (unmatched_is_dropped(p->src) && !is_untranslated(p->dst))
		return drop(REASON_drop_no_mapping);
	if (!STAGE2 && settings.unmatched == UNMATCHED_STRICT && source_is_spoofed(ctx, p))
		return drop(REASON_drop_spoofed);
	return pass_untranslated();
}

#endif
