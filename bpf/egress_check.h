/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a packet may leave by its egress: TTL and MTU, before anything is opened, refreshed or rewritten (XDP alone;
 * at tc the kernel has checked both).
 */
#ifndef DETNAT_EGRESS_CHECK_H
#define DETNAT_EGRESS_CHECK_H

#include "egress_in.h"
#include "forward.h"
#include "quota.h"

/* Outwards the kernel gets what XDP cannot send, as it came: it sends the ICMP error, or the fragments. */
static __always_inline int egress_check_out(ctx_t *ctx, const struct packet *p, const struct egress *e)
{
	if (e->state != EGRESS_READY || p->ttl <= 1 || p->length > e->mtu || !takes_frame(ctx, e->ifindex))
		return pass_untranslated();
	return CONTINUE;
}

/* Whether the frame may be several that GRO has merged: longer than any that was sent, and cut again by the kernel. */
static __always_inline int is_merged(ctx_t *ctx)
{
	struct device *in = device_get(packet_ingress(ctx));

	return in && in->flags & DEVICE_MERGED;
}

/* Drops a packet that cannot go on; its sender gets an ICMP error as often as the record's limit allows. */
static __always_inline int egress_answer(struct subscriber *limit, enum reason reason, enum reason sent, __u8 type,
					 __u8 code, __u32 mtu)
{
	struct arguments *a = limit ? arguments_get() : 0;

	if (!a || !rate_allows(&limit->icmp_next, REFUSALS_PER_SECOND))
		return drop(reason);
	arguments_set(a, reason, sent, type, code, mtu);
	return TAIL_CALL(PROG_icmp_error);
}

/* Drops a packet to a subscriber and asks the agent to resolve its next hop; one packet a tick does. */
SUBPROGRAM int egress_unresolved(struct subscriber *s, const struct egress *e)
{
	__u8 tick = (__u8)now_ticks();

	tick = tick ? tick : 1;
	if (s && e && LOAD(s->resolve_tick) != tick) {
		struct nat_event event = { .type = EVENT_RESOLVE, .ifindex = e->ifindex };

		s->resolve_tick = tick;
		if (e->family == AF_INET) {
			event.in_addr = bpf_ntohl(e->gateway[0]);
		} else {
			event.type = EVENT_RESOLVE_IPV6;
			__builtin_memcpy(event.gateway, e->gateway, sizeof(event.gateway));
		}
		notify(&event);
	}
	return drop(REASON_drop_unresolved);
}

/*
 * TTL and MTU towards a subscriber. limit: the record whose limit an ICMP error counts against, NULL where none may be
 * sent (RFC 1812 section 4.3.2.7).
 */
static __always_inline int egress_check_in(ctx_t *ctx, const struct packet *p, const struct egress *e,
					   struct subscriber *limit, enum direction direction)
{
	if (e->state == EGRESS_NOWHERE)
		return egress_answer(direction == DIRECTION_IN ? limit : 0, REASON_drop_unreachable,
				     REASON_sent_icmp_unreachable, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0);
	if (p->ttl <= 1)
		return egress_answer(limit, REASON_drop_ttl, REASON_sent_icmp_ttl, ICMP_TIME_EXCEEDED, 0, 0);
	/* Where a route limits the length, the kernel says so. */
	if (e->state != EGRESS_READY || p->length <= e->mtu || e->longest != e->mtu || !p->df)
		return CONTINUE;
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

/* The egress of a packet towards a subscriber, whose record is s, in *ret, which is initialised; and the checks of it.
 */
static __always_inline int egress_towards(ctx_t *ctx, const struct packet *p, struct subscriber *s, __u32 in_addr,
					  enum direction direction, struct subscriber *limit, struct egress *ret)
{
	int verdict;

	ret->state = egress_in(ctx, s, p->src, in_addr, ret);
	if (direction == DIRECTION_HAIRPIN)
		egress_of_hairpin(ret);
	TRACE_EGRESS(ret);
	verdict = egress_check(ctx, p, ret, limit, direction);
	if (verdict != CONTINUE || direction != DIRECTION_HAIRPIN || ret->state == EGRESS_READY)
		return verdict;
	return ret->state == EGRESS_UNRESOLVED ? egress_unresolved(s, ret) : drop(REASON_drop_unreachable);
}

#endif
