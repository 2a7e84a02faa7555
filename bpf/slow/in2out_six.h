/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steps of in2out.h for packets of IPv6 subscribers, which have entered: they are IPv4 packets from a virtual
 * address. The kernel has no use for these, so what it would do for an IPv4 subscriber is done here, or refused.
 */
#ifndef DETNAT_IN2OUT_SIX_H
#define DETNAT_IN2OUT_SIX_H

#include "slow/egress_check.h"

struct in2out {
	struct flow f;
	const struct egress *egress; /* of the next hop; a hairpin's is known once its receiver is found */
	int hairpin;
};

static __always_inline const struct egress *in2out_egress(const struct in2out *io)
{
	return io->egress;
}

static __always_inline int is_hairpin(const struct in2out *io)
{
	return io->hairpin;
}

/* Answers a packet that has entered, as often as its subscriber's limit allows: see passage/error6.h. */
static __always_inline int six_answer(const struct packet *p, enum reason reason, enum reason sent, __u8 type,
				      __u8 code, __u32 mtu)
{
	const struct mapping *m = mapping_by_inside(0, p->src);

	return egress_answer(m ? subscriber_get(m, mapping_subscriber(&m->geo, p->src)) : 0, reason, sent, type, code,
			     mtu);
}

/* Handles a packet to where no outside interface leads. Returns a verdict. */
static __always_inline int six_goes_nowhere(ctx_t *ctx, const struct packet *p, const struct egress *e,
					    enum hop_kind to)
{
	if (to == HOP_LOCAL && address_is_local(ctx, p->src, p->dst))
		return six_answer(p, REASON_drop_martian, REASON_sent_icmp_unreachable, ICMP_DEST_UNREACH,
				  ICMP_PROT_UNREACH, 0);
	return six_answer(p, REASON_drop_unreachable, REASON_sent_icmp_unreachable, ICMP_DEST_UNREACH, ICMP_NET_UNREACH,
			  0);
}

/* Parses the packet. Returns CONTINUE if it would leave through an outside interface or is a hairpin. */
static __always_inline int in2out_admit(ctx_t *ctx, struct in2out *io, enum packet_kind *ret_kind)
{
	struct packet *p = &io->f.p;
	enum packet_kind kind = parse(ctx, p);
	struct egress *e = egress_get();
	enum hop_kind to;

	if (kind == PACKET_NOT_IPV4 || kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (!e)
		return drop(REASON_drop_error);
	io->egress = e;
	io->hairpin = !!leaf_outside(p->dst);
	*ret_kind = kind;
	e->state = EGRESS_KERNEL;
	if (io->hairpin)
		return CONTINUE;
	egress_find(ctx, p->src, p->dst, packet_ingress(ctx), e);
	to = hop_kind(e, p->dst);
	TRACE_NEXT_HOP(e, to);
	return to > HOP_POOL ? verdict_resume(ctx, six_goes_nowhere(ctx, p, e, to)) : CONTINUE;
}

static __always_inline int in2out_source(ctx_t *ctx, const struct in2out *io)
{
	return source_verdict(ctx, io->f.p.src, io->f.p.dst, is_hairpin(io) ? 0 : io->egress->ifindex);
}

/* A next hop that is not resolved is asked for, and the packet is lost: its sender sends it again. */
static __always_inline int six_check_out(ctx_t *ctx, const struct in2out *io)
{
	const struct packet *p = &io->f.p;
	const struct egress *e = io->egress;

	if (e->state == EGRESS_UNRESOLVED) {
		egress_ask_neighbour(subscriber_get(io->f.m, mapping_subscriber(&io->f.m->geo, p->src)), e, p->dst);
		return drop(REASON_drop_unresolved);
	}
	if (p->ttl <= 1)
		return six_answer(p, REASON_drop_ttl, REASON_sent_icmp_ttl, ICMP_TIME_EXCEEDED, 0, 0);
	if (e->state != EGRESS_READY || !takes_frame(ctx, e->ifindex))
		return drop(REASON_drop_unreachable);
	if (packet_sent_length(ctx, p) > e->longest)
		return six_answer(p, REASON_drop_too_big, REASON_sent_icmp_too_big, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
				  e->longest);
	return CONTINUE;
}

static __always_inline int in2out_egress_check(ctx_t *ctx, const struct in2out *io)
{
	return is_hairpin(io) ? CONTINUE : verdict_resume(ctx, six_check_out(ctx, io));
}

#endif
