/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Checks TTL and MTU before a session is opened or refreshed and before a packet is rewritten (at ingress only: at
 * egress the kernel has checked both).
 */
#ifndef DETNAT_EGRESS_CHECK_H
#define DETNAT_EGRESS_CHECK_H

#include "egress/egress_find.h"
#include "egress/tenant.h"
#include "translate/forward.h"
#include "session/quota.h"
#if !HOOK_XDP
#include "packet/offload.h"
#endif

/*
 * Asks the agent to resolve an unresolved next hop on the way to dst (host byte order), at most once per tick and
 * subscriber: a lookup never makes the kernel do so, and a packet that is left to the kernel may end in the host's
 * firewall before its neighbour is asked for. Returns 0.
 */
SUBPROGRAM int egress_ask_neighbour(struct subscriber *s, const struct egress *e, __u32 dst)
{
	__u8 tick = (__u8)now_ticks();

	tick = tick ? tick : 1;
	if (s && e && LOAD(s->resolve_tick) != tick) {
		struct nat_event event = { .type = EVENT_RESOLVE, .ifindex = e->ifindex };

		s->resolve_tick = tick;
		if (e->family == AF_INET) {
			event.in_addr = bpf_ntohl(e->gateway[0]);
			event.limit = event.in_addr != dst;
		} else {
			event.type = EVENT_RESOLVE_IPV6;
			event.limit = 1;
			__builtin_memcpy(event.gateway, e->gateway, sizeof(event.gateway));
		}
		notify(&event);
	}
	return 0;
}

/* Octets of the longest packet that leaves. */
static __always_inline __u32 packet_sent_length(ctx_t *ctx, const struct packet *p)
{
#if HOOK_XDP
	return p->length;
#else
	return segment_length(ctx, p);
#endif
}

#if FORWARDS

/*
 * Outbound packets that the program cannot send go to the kernel unmodified; the kernel sends the ICMP error or
 * fragments them. m, in_addr: the mapping and inside address of the subscriber whose they are; m may be NULL.
 */
static __always_inline int egress_check_out(ctx_t *ctx, const struct packet *p, const struct egress *e,
					    const struct mapping *m, __u32 in_addr)
{
	if (e->state == EGRESS_UNRESOLVED && m)
		egress_ask_neighbour(subscriber_get(m, mapping_subscriber(&m->geo, in_addr)), e, p->dst);
	if (e->state != EGRESS_READY || p->ttl <= 1 || packet_sent_length(ctx, p) > e->longest ||
	    !takes_frame(ctx, e->ifindex))
		return pass_untranslated();
	return CONTINUE;
}

#endif

/*
 * Returns 1 if GRO may have merged the frame from several: it may be longer than any that was sent, and the kernel
 * segments it again.
 */
static __always_inline int is_merged(ctx_t *ctx)
{
	struct device *in = device_get(packet_ingress(ctx));

	return in && in->flags & DEVICE_MERGED;
}

/*
 * Drops a packet and sends its sender an ICMP error, within the rate limit of the record. limit: NULL for
 * no error; mtu: octets, for ICMP_FRAG_NEEDED.
 */
static __always_inline int egress_answer(struct subscriber *limit, enum reason reason, enum reason sent, __u8 type,
					 __u8 code, __u32 mtu)
{
	struct arguments *a = limit ? arguments_get() : 0;

	if (!a || !rate_allows(&limit->icmp_next, REFUSALS_PER_SECOND))
		return drop(reason);
	arguments_set(a, reason, sent, type, code, mtu);
	return TAIL_CALL(PROG_icmp_error);
}

/*
 * Checks TTL and MTU of a packet to a subscriber. limit: the record whose rate limit applies to ICMP errors, or NULL if
 * none may be sent (RFC 1812 section 4.3.2.7). Returns CONTINUE or a verdict.
 */
static __always_inline int egress_check_in(ctx_t *ctx, const struct packet *p, const struct egress *e,
					   struct subscriber *limit, enum direction direction)
{
	if (e->state == EGRESS_NOWHERE)
		return egress_answer(direction == DIRECTION_IN ? limit : 0, REASON_drop_unreachable,
				     REASON_sent_icmp_unreachable, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0);
	if (p->ttl <= 1)
		return egress_answer(limit, REASON_drop_ttl, REASON_sent_icmp_ttl, ICMP_TIME_EXCEEDED, 0, 0);
	/* If a route's MTU is the limit, the kernel sends the ICMP error. */
	if (e->state != EGRESS_READY || packet_sent_length(ctx, p) <= e->mtu || e->longest != e->mtu)
		return CONTINUE;
	/* The agent, which fragments hairpins, takes no GSO frames. */
	if (!p->df)
		return ctx_gso_size(ctx) && direction == DIRECTION_HAIRPIN ? drop(REASON_drop_too_big) : CONTINUE;
	if (!is_merged(ctx))
		return egress_answer(limit, REASON_drop_too_big, REASON_sent_icmp_too_big, ICMP_DEST_UNREACH,
				     ICMP_FRAG_NEEDED, e->mtu);
	return direction == DIRECTION_HAIRPIN ? drop(REASON_drop_too_big) : CONTINUE;
}

SUBPROGRAM int egress_check_answered(ctx_t *ctx, const struct packet *p, const struct egress *e,
				     struct subscriber *limit, __u32 direction)
{
	return p && e && limit ? egress_check_in(ctx, p, e, limit, direction) : drop(REASON_drop_error);
}

static __always_inline int egress_check(ctx_t *ctx, const struct packet *p, const struct egress *e,
					struct subscriber *limit, enum direction direction)
{
	return limit ? verdict_resume(ctx, egress_check_answered(ctx, p, e, limit, direction))
		     : egress_check_in(ctx, p, e, 0, direction);
}

/* Checks the TTL of a packet to a pool address, whose egress is not known yet. Returns CONTINUE or a verdict. */
static __always_inline int egress_check_ttl(ctx_t *ctx, const struct packet *p, struct subscriber *limit)
{
	struct egress *e = egress_get();

	if (!e)
		return drop(REASON_drop_error);
	e->state = EGRESS_KERNEL;
	return egress_check(ctx, p, e, limit, DIRECTION_HAIRPIN);
}

/*
 * Finds and checks the egress towards an inside host: a subscriber of m with record s, or, if m is NULL, a routed host
 * to which the subscriber with record s sends. Returns CONTINUE or a verdict.
 */
static __always_inline int egress_towards(ctx_t *ctx, const struct packet *p, const struct mapping *m,
					  struct subscriber *s, __u32 in_addr, enum direction direction,
					  struct subscriber *limit, struct egress **ret)
{
	struct egress_room *room = egress_room_get();
	__u32 way = way_inwards(m, packet_ingress(ctx));
	struct egress *e;
	int verdict;

	if (!room)
		return drop(REASON_drop_error);
	e = &room->egress;
	*ret = e;
	if (settings.tenants)
		room->vrf = way == packet_ingress(ctx) ? 0 : way;
	if (direction == DIRECTION_HAIRPIN)
		way = way_of_hairpin(m, packet_ingress(ctx), way);
	egress_find_inwards(ctx, p->src, in_addr, way, e);
	if (settings.tenants && tenant_strays(ctx, e, m))
		return drop(REASON_drop_tenant);
	if (!FORWARDS)
		egress_resolve(e);
	else if (direction == DIRECTION_HAIRPIN)
		egress_resolve_bare(e);
	if (direction == DIRECTION_HAIRPIN)
		egress_of_hairpin(e);
	TRACE_EGRESS(e);
	verdict = egress_check(ctx, p, e, limit, direction);
	if (verdict == CONTINUE && e->state == EGRESS_UNRESOLVED &&
	    (settings.redirect || direction == DIRECTION_HAIRPIN))
		egress_ask_neighbour(s, e, in_addr);
	if (verdict != CONTINUE || direction != DIRECTION_HAIRPIN || e->state == EGRESS_READY)
		return verdict;
	return drop(e->state == EGRESS_UNRESOLVED ? REASON_drop_unresolved : REASON_drop_unreachable);
}

#endif
