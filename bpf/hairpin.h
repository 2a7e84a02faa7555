/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The leaf for hairpins (RFC 4787 REQ-9): one subscriber to another, or to itself, by outside addresses. The source
 * becomes the sender's outside endpoint, the destination the receiver's inside endpoint. Never handed to the kernel
 * translated: it drops packets that come from inside with an outside source.
 */
#ifndef DETNAT_HAIRPIN_H
#define DETNAT_HAIRPIN_H

#include "out2in.h"

/* The sender's session: its outside port, or 0 for none yet. */
static __always_inline __u16 hairpin_sender(const struct in2out *io)
{
	__u64 truth;
	struct slot *slot = flow_find(&io->f, &truth);

	if (slot) {
		if (session_reopens(truth, &io->f.p))
			return 0;
		session_hit(slot, truth, &io->f.p, 1, io->f.now, io->f.m, io->f.subscriber);
		return truth_out_port(truth);
	}

	struct subscriber *s = subscriber_get(io->f.m, io->f.subscriber);
	struct overflow_session *o = s && s->overflow ? overflow_find_in(&io->f, s) : 0;

	return o ? truth_out_port(overflow_hit_in(o, &io->f, s)) : 0;
}

/* The receiver's inside port of the session towards the sender's outside endpoint; the packet is applied to it. -1:
 * none. */
static __always_inline int hairpin_receiver(const struct out2in *oi, struct subscriber *s)
{
	const struct packet *p = &oi->p;
	__u64 truth, key;
	struct slot *slot =
		reverse_find(oi->m, oi->subscriber, p->src, p->sport, p->dport, p->proto, oi->now, &truth, &key);

	if (slot) {
		session_hit(slot, truth, p, 0, oi->now, oi->m, oi->subscriber);
		return key_in_port(key);
	}
	if (!s->overflow)
		return -1;

	struct overflow_key in;
	struct overflow_session *o = overflow_find_out(p, oi->m, oi->now, &in);

	if (!o)
		return -1;
	overflow_hit(o, &in, p->dst, s, p, 0, oi->now, oi->m->timeout_ticks);
	return in.port;
}

#define RESOLVES_PER_SECOND 10U

/* Drops a packet to a subscriber and asks the agent to resolve the way, which is not every packet's to do. */
STEP int hairpin_unresolved(struct subscriber *s, const struct way_in *way)
{
	if (s && way && rate_allows(&s->resolve_next, RESOLVES_PER_SECOND)) {
		struct nat_event e = { .type = EVENT_RESOLVE, .in_addr = way->gateway, .ifindex = way->ifindex };

		notify(&e);
	}
	return drop(REASON_drop_unresolved);
}

static __always_inline int hairpin(ctx_t *ctx)
{
	struct in2out io;
	struct out2in oi = {};
	int verdict = in2out_prepare(ctx, &io);

	if (verdict != GO_ON)
		return verdict;

	struct subscriber *sender = subscriber_get(io.f.m, io.f.subscriber);
	struct way_in way = {};

	if (!sender)
		return drop(REASON_drop_no_mapping);
	if (io.f.p.ttl <= 1 && address_is_local(ctx, io.f.p.src, io.f.p.dst))
		return pass_untranslated();
	/* Before anything is opened or refreshed; no next hop is known yet, so this is of the TTL alone. */
	verdict = ttl_and_mtu(ctx, &io.f.p, sender, WAY_IN_KERNEL, &way);
	if (verdict != GO_ON)
		return verdict;
	if (!settings.hairpin && !address_is_local(ctx, io.f.p.src, io.f.p.dst))
		return drop(REASON_drop_no_session);

	__u16 out_port = settings.hairpin ? hairpin_sender(&io) : 0;

	if (!out_port) {
		if (address_is_local(ctx, io.f.p.src, io.f.p.dst))
			return pass_untranslated();
		return leaf_call(ctx, LEAF_open);
	}

	/* From here on it is a packet from outside, as the sender's outside endpoint would send it. */
	oi.p = io.f.p;
	oi.p.src = mapping_out_addr(&io.f.m->geo, io.f.subscriber);
	oi.p.sport = io.f.p.proto == IPPROTO_ICMP ? 0 : out_port;
	oi.now = io.f.now;
	oi.m = mapping_by_outside(oi.p.dst);

	__s64 subscriber = oi.m ? mapping_reverse(&oi.m->geo, oi.p.dst, oi.p.dport) : -1;
	struct subscriber *s = 0;
	int in_port = -1;

	if (subscriber >= 0) {
		oi.subscriber = (__u32)subscriber;
		s = subscriber_get(oi.m, oi.subscriber);
		if (s)
			in_port = hairpin_receiver(&oi, s);
	}
	if (in_port < 0 || !s) {
		if (address_is_local(ctx, io.f.p.src, io.f.p.dst))
			return pass_untranslated();
		return drop(REASON_drop_no_session);
	}

	__u32 in_addr = oi.m->geo.in_base + oi.subscriber;
	enum way_in_verdict way_verdict = hairpin_way(way_in_get(ctx, s, io.f.p.src, in_addr, &way));

	TRACE_WAY_IN(way_verdict, &way);
	if (way_verdict == WAY_IN_UNRESOLVED)
		return hairpin_unresolved(s, &way);
	if (!way_in_ready(ctx, way_verdict, &way))
		return drop(REASON_drop_unreachable);
	verdict = ttl_and_mtu(ctx, &io.f.p, sender, way_verdict, &way);
	if (verdict != GO_ON)
		return verdict;
	if (oi.p.length > way.mtu)
		return drop(REASON_drop_too_big);

	if (io.f.p.fragment) {
		int refused = fragment_begin(ctx, &io.f.p, oi.p.src, in_addr, io.f.p.src);

		if (refused)
			return drop(refused);
	}

	struct rewrite source = { .addr = oi.p.src, .port = out_port, .source = 1 };
	struct rewrite destination = { .addr = in_addr, .port = (__u16)in_port, .source = 0 };

	mss_clamp(ctx, &io.f.p, way.mtu);
	if (rewrite_packet(ctx, &io.f.p, &source, 1) || rewrite_packet(ctx, &oi.p, &destination, 0))
		return drop(REASON_drop_error);
	count_translated(REASON_hairpin_translated, oi.p.length);
	return forward(ctx, &way.mac, way.ifindex);
}

#endif
