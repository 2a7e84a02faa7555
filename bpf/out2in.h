/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Outside to inside (XDP alone): to the subscriber whose session it is, or not at all. */
#ifndef DETNAT_OUT2IN_H
#define DETNAT_OUT2IN_H

#include "in2out.h"
#include "overflow.h"
#include "quota.h"
#include "wayin.h"

struct out2in {
	struct packet p;
	const struct mapping *m;
	__u32 subscriber;
	__u32 now;
};

/* GO_ON with *oi filled in, or a verdict. slow: this is the slow leaf itself. */
static __always_inline int out2in_prepare(ctx_t *ctx, struct out2in *oi, int slow)
{
	struct packet *p = &oi->p;
	enum packet_kind kind = parse(ctx, p);
	struct ethhdr *eth = ctx_data(ctx);
	struct device *in = device_get(ctx_ingress(ctx));

	if ((void *)(eth + 1) > ctx_data_end(ctx) || !in || !in->roles)
		return pass_untranslated();
	if (kind == PACKET_NOT_IPV4) {
		if (settings.answer_arp && eth->h_proto == bpf_htons(ETH_P_ARP))
			return leaf_call(ctx, LEAF_arp);
		return pass_untranslated();
	}
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (!mac_equal(eth->h_dest, in->mac))
		return pass_untranslated();

	oi->m = mapping_by_outside(p->dst);
	if (!oi->m) {
		if (!index_find(&in_index, p->dst))
			return pass_untranslated();
		if (!slow)
			return leaf_call(ctx, LEAF_out2in_slow);
		return address_is_local(ctx, p->src, p->dst) ? pass_untranslated() : drop(REASON_drop_direct_to_inside);
	}

	__s64 subscriber = mapping_reverse(&oi->m->geo, p->dst, p->dport);

	if (kind != PACKET_SESSION || subscriber < 0) {
		if (!slow)
			return leaf_call(ctx, LEAF_out2in_slow);
		if (address_is_local(ctx, p->src, p->dst))
			return pass_untranslated();
		return drop(kind != PACKET_SESSION ? parse_drop_reason(kind) : REASON_drop_no_session);
	}
	oi->subscriber = (__u32)subscriber;
	TRACE_SUBSCRIBER(oi->m, oi->subscriber);
	oi->now = now_ticks();
	return GO_ON;
}

/* Whether the packet may be several that GRO has merged: longer than any that was sent, and for the kernel to cut
 * again. */
static __always_inline int is_merged(ctx_t *ctx)
{
	struct device *in = device_get(ctx_ingress(ctx));

	return in && in->flags & DEVICE_MERGED;
}

/*
 * GO_ON where a packet may go on, else the verdict of an ICMP error to its sender, as often as the limit of a
 * subscriber, *s, allows.
 */
static __always_inline int ttl_and_mtu(ctx_t *ctx, const struct packet *p, struct subscriber *s,
				       enum way_in_verdict verdict, const struct way_in *way)
{
	int expired = p->ttl <= 1;
	int too_big = verdict == WAY_IN_READY && p->length > way->mtu && p->df && !is_merged(ctx);
	enum reason reason = expired ? REASON_drop_ttl : REASON_drop_too_big;
	struct note *n;

	TRACE_STEP(way_in, (__u64)way->ifindex << 32 | verdict, way->mtu);
	if (!expired && !too_big)
		return GO_ON;
	n = note_get();
	if (!n || !rate_allows(&s->icmp_next, REFUSALS_PER_SECOND))
		return drop(reason);
	note_set(n, reason, expired ? REASON_sent_icmp_ttl : REASON_sent_icmp_too_big,
		 expired ? ICMP_TIME_EXCEEDED : ICMP_DEST_UNREACH, expired ? 0 : ICMP_FRAG_NEEDED,
		 expired ? 0 : way->mtu);
	return leaf_call(ctx, LEAF_icmp_error);
}

/* The session is known: rewrites the destination and delivers. */
static __always_inline int out2in_finish(ctx_t *ctx, const struct out2in *oi, enum way_in_verdict verdict,
					 const struct way_in *way, __u16 in_port)
{
	/* Longer than the way in allows, and DF is not set: the kernel cuts it up. */
	int direct = settings.redirect && verdict == WAY_IN_READY && oi->p.length <= way->mtu;
	struct rewrite w = { .addr = oi->m->geo.in_base + oi->subscriber, .port = in_port, .source = 0 };

	if (rewrite_packet(ctx, &oi->p, &w, direct))
		return drop(REASON_drop_error);
	count_add(REASON_out2in_translated, 1);
	return direct ? forward(ctx, &way->mac, way->ifindex) : CTX_PASS;
}

/* The program of the outside: sessions in slots. */
static __always_inline int out2in(ctx_t *ctx)
{
	struct out2in oi;
	__u64 truth, key;
	int verdict = out2in_prepare(ctx, &oi, 0);

	if (verdict != GO_ON)
		return verdict;

	struct slot *slot =
		reverse_find(oi.m, oi.subscriber, oi.p.src, oi.p.sport, oi.p.dport, oi.p.proto, oi.now, &truth, &key);
	struct subscriber *s = slot ? subscriber_get(oi.m, oi.subscriber) : 0;

	if (!s)
		return leaf_call(ctx, LEAF_out2in_slow);
	/* The peer of a hairpin is a subscriber here, and comes from inside. */
	if (s->hairpins && index_find(&out_index, oi.p.src))
		return drop(REASON_drop_martian);

	struct way_in way = {};
	enum way_in_verdict way_verdict = way_in_get(ctx, s, oi.p.src, oi.m->geo.in_base + oi.subscriber, oi.now, &way);

	verdict = ttl_and_mtu(ctx, &oi.p, s, way_verdict, &way);
	if (verdict != GO_ON)
		return verdict;
	session_hit(slot, truth, &oi.p, 0, oi.now, oi.m, oi.subscriber);
	return out2in_finish(ctx, &oi, way_verdict, &way, key_in_port(key));
}

/* The leaf for what is in no slot: overflow sessions, the gateway's own addresses, strangers. */
static __always_inline int out2in_slow(ctx_t *ctx)
{
	struct out2in oi;
	int verdict = out2in_prepare(ctx, &oi, 1);

	if (verdict != GO_ON)
		return verdict;

	struct subscriber *s = subscriber_get(oi.m, oi.subscriber);
	struct overflow_key in;
	struct overflow_session *o = 0;

	/* As in out2in(): a pool address as source is a hairpin's peer, and those come from inside. */
	if (s && s->overflow && !index_find(&out_index, oi.p.src))
		o = overflow_find_out(&oi.p, oi.m, oi.now, &in);
	if (o) {
		struct way_in way = {};
		enum way_in_verdict way_verdict = way_in_get(ctx, s, oi.p.src, in.addr, oi.now, &way);

		verdict = ttl_and_mtu(ctx, &oi.p, s, way_verdict, &way);
		if (verdict != GO_ON)
			return verdict;
		overflow_hit(o, &in, oi.p.dst, s, &oi.p, 0, oi.now, oi.m->timeout_ticks);
		return out2in_finish(ctx, &oi, way_verdict, &way, in.port);
	}
	if (address_is_local(ctx, oi.p.src, oi.p.dst))
		return pass_untranslated();
	return drop(source_is_martian(oi.p.src) ? REASON_drop_martian : REASON_drop_no_session);
}

#endif
