/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The leaf for hairpins (RFC 4787 REQ-9): one subscriber to another, or to itself, by outside addresses. The source
 * becomes the sender's outside endpoint, the destination the receiver's inside endpoint. Never handed to the kernel
 * translated: it drops packets that come from inside with an outside source.
 */
#ifndef DETNAT_HAIRPIN_H
#define DETNAT_HAIRPIN_H

#include "out2in.h"

/* The sender's session, of a packet whose source m maps: its outside port, or 0 for none yet. */
SUBPROGRAM int hairpin_sender(const struct mapping *m, const struct packet *p)
{
	struct overflow_session *o;
	struct subscriber *s;
	struct slot *slot;
	struct flow f;
	__u64 word;

	if (!m || !p)
		return 0;
	f = (struct flow){ .p = *p, .m = m, .now = now_ticks() };
	flow_complete(&f);
	slot = session_lookup_in2out(&f, &word);
	if (slot) {
		if (session_reopens(word, &f.p))
			return 0;
		session_hit(slot, word, &f.p, 1, f.now, m, f.subscriber);
		return word_out_port(word);
	}
	s = subscriber_get(m, f.subscriber);
	o = s && s->overflow ? overflow_find_in(&f, s) : 0;
	return o ? word_out_port(overflow_hit_in(o, &f, s)) : 0;
}

/*
 * The inside port of the session of a receiver, subscriber of m, towards the sender's outside endpoint; the packet, as
 * from there, is applied to it. -1: none.
 */
static __always_inline int hairpin_receiver(const struct packet *p, const struct mapping *m, __u32 subscriber,
					    struct subscriber *s, __u32 now)
{
	__u64 word, key;
	struct slot *slot =
		session_lookup_out2in(m, subscriber, p->src, p->sport, p->dport, p->proto, now, &word, &key);

	if (slot) {
		session_hit(slot, word, p, 0, now, m, subscriber);
		return key_in_port(key);
	}
	if (!s->overflow)
		return -1;

	struct overflow_key in;
	struct overflow_session *o = overflow_find_out(p, m, now, &in);

	if (!o)
		return -1;
	overflow_hit(o, &in, p->dst, s, p, 0, now, m->timeout_ticks);
	return in.port;
}

/* Drops a packet to a subscriber and asks the agent to resolve the way, which one packet a tick does. */
SUBPROGRAM int hairpin_unresolved(struct subscriber *s, const struct egress *way)
{
	__u8 tick = (__u8)now_ticks();

	tick = tick ? tick : 1;
	if (s && way && LOAD(s->resolve_tick) != tick) {
		struct nat_event e = { .type = EVENT_RESOLVE, .ifindex = way->ifindex };

		s->resolve_tick = tick;
		if (way->family == AF_INET) {
			e.in_addr = bpf_ntohl(way->gateway[0]);
		} else {
			e.type = EVENT_RESOLVE_IPV6;
			__builtin_memcpy(e.gateway, way->gateway, sizeof(e.gateway));
		}
		notify(&e);
	}
	return drop(REASON_drop_unresolved);
}

/* Whether a packet can go no further: longer than its way allows, and not to be fragmented. */
static __always_inline int hairpin_too_long(const struct packet *p, const struct egress *way)
{
	return p->length > way->mtu && p->df;
}

/*
 * A hairpin that is translated, an IP packet of so many octets, goes its way. There is no kernel behind it to cut it
 * into fragments (RFC 791 section 3.2), or to send what the interface takes none of from XDP: the agent does.
 */
SUBPROGRAM int hairpin_forward(ctx_t *ctx, __u32 length, const struct egress *way)
{
	struct ethhdr *eth = ctx_data(ctx);

	if (!way)
		return XDP_ABORTED;
	if (length <= way->mtu && takes_frame(ctx, way->ifindex))
		return forward(ctx, &way->mac, way->ifindex);
	if ((void *)(eth + 1) > ctx_data_end(ctx))
		return XDP_ABORTED;
	ether_addresses_set(eth, &way->mac);
	TRACE_STEP(redirect, way->ifindex, 0);
	return transmit(ctx, way->ifindex, way->mtu);
}

static __always_inline int hairpin(ctx_t *ctx)
{
	struct in2out io;
	int verdict = in2out_prepare(ctx, &io);

	if (verdict != GO_ON)
		return verdict;

	struct subscriber *sender = subscriber_get(io.f.m, io.f.subscriber);
	struct egress way = {};

	if (!sender)
		return drop(REASON_drop_no_mapping);
	if (io.f.p.ttl <= 1 && address_is_local(ctx, io.f.p.src, io.f.p.dst))
		return pass_untranslated();
	/* Before anything is opened or refreshed; no next hop is known yet, so this is of the TTL alone. */
	verdict = ttl_and_mtu(ctx, &io.f.p, sender, EGRESS_KERNEL, &way);
	if (verdict != GO_ON)
		return verdict;
	if (!settings.hairpin && !address_is_local(ctx, io.f.p.src, io.f.p.dst))
		return drop(REASON_drop_no_session);

	__u16 out_port = settings.hairpin ? (__u16)hairpin_sender(io.f.m, &io.f.p) : 0;

	if (!out_port) {
		if (address_is_local(ctx, io.f.p.src, io.f.p.dst))
			return pass_untranslated();
		return tail_call(ctx, PROG_open);
	}

	/* From here on it is a packet from outside, as the sender's outside endpoint would send it. */
	struct packet *p = &io.f.p;
	__u32 sender_addr = p->src;

	p->src = mapping_out_addr(&io.f.m->geo, io.f.subscriber);
	p->sport = p->proto == IPPROTO_ICMP ? 0 : out_port;

	const struct mapping *m = mapping_by_outside(p->dst);
	__s64 receiver = m ? mapping_reverse(&m->geo, p->dst, p->dport) : -1;
	struct subscriber *s = receiver >= 0 ? subscriber_get(m, (__u32)receiver) : 0;
	int in_port = s ? hairpin_receiver(p, m, (__u32)receiver, s, io.f.now) : -1;

	if (in_port < 0 || !s) {
		if (address_is_local(ctx, sender_addr, p->dst))
			return pass_untranslated();
		return drop(REASON_drop_no_session);
	}

	struct rewrite source = { .addr = p->src, .port = out_port, .source = 1 };
	struct rewrite destination = { .addr = m->geo.in_base + (__u32)receiver, .port = (__u16)in_port };
	enum egress_state way_verdict = hairpin_egress(egress_in(ctx, s, sender_addr, destination.addr, &way), &way);

	TRACE_EGRESS(way_verdict, &way);
	if (way_verdict == EGRESS_UNRESOLVED)
		return hairpin_unresolved(s, &way);
	if (way_verdict != EGRESS_READY)
		return drop(REASON_drop_unreachable);
	p->src = sender_addr;
	verdict = ttl_and_mtu(ctx, p, sender, way_verdict, &way);
	if (verdict != GO_ON)
		return verdict;
	if (hairpin_too_long(p, &way))
		return drop(REASON_drop_too_big);

	if (p->fragment) {
		int refused = fragment_begin(ctx, p, source.addr, destination.addr, sender_addr);

		if (refused)
			return drop(refused);
	}
	mss_clamp(ctx, p, way.mtu);
	if (rewrite_packet(ctx, p, &source, 1) || rewrite_packet(ctx, p, &destination, 0))
		return drop(REASON_drop_error);
	count_translated(REASON_hairpin_translated, p->length);
	return hairpin_forward(ctx, p->length, &way);
}

#endif
