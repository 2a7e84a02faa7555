/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Outside to inside (XDP alone): to the subscriber whose session it is, or not at all. */
#ifndef DETNAT_OUT2IN_H
#define DETNAT_OUT2IN_H

#include "in2out.h"
#include "overflow.h"
#include "quota.h"
#include "egress_in.h"

struct out2in {
	struct packet p;
	const struct mapping *m;
	__u32 subscriber;
	__u32 now;
};

/*
 * From outside, straight to an inside address or from one. Only destinations of `bypass` may talk to inside addresses,
 * and nobody outside has an inside address of his own.
 */
static __always_inline int out2in_direct(ctx_t *ctx, const struct packet *p)
{
	int to_inside = !!index_find(&in_index, p->dst), from_inside = !!index_find(&in_index, p->src);

	if (address_is_martian(p->dst) || address_is_local(ctx, p->src, p->dst))
		return pass_untranslated();
	if (to_inside && !from_inside && is_bypassed(p->src) && !source_is_martian(p->src))
		return pass_untranslated();
	return drop(to_inside ? REASON_drop_direct_to_inside : REASON_drop_martian);
}

/*
 * From outside, of no session: in silence, or, where the configuration says so, whole TCP segments by the leaf that
 * answers them.
 */
static __always_inline int out2in_unsolicited(ctx_t *ctx, const struct packet *p)
{
	if (settings.unsolicited_tcp == UNSOLICITED_ANSWER && p->proto == IPPROTO_TCP && !p->fragment)
		return tail_call(ctx, PROG_tcp_reset);
	return drop(REASON_drop_no_session);
}

/* GO_ON with *oi filled in, or a verdict. slow: this is the slow leaf itself. */
static __always_inline int out2in_prepare(ctx_t *ctx, struct out2in *oi, int slow)
{
	struct packet *p = &oi->p;
	enum packet_kind kind = parse(ctx, p);
	struct ethhdr *eth = ctx_data(ctx);
	struct device *in = device_get(packet_ingress(ctx));

	if (is_tagged(ctx))
		return tail_call(ctx, PROG_vlan);
	if ((void *)(eth + 1) > ctx_data_end(ctx) || !in || !in->roles)
		return pass_untranslated();
	if (kind == PACKET_NOT_IPV4) {
		if (settings.answer_arp && eth->h_proto == bpf_htons(ETH_P_ARP))
			return tail_call(ctx, PROG_arp);
		return pass_untranslated();
	}
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (!mac_equal(eth->h_dest, in->mac))
		return pass_untranslated();

	if (link_local_is_misplaced(ctx, p->src, p->dst))
		return drop(REASON_drop_martian);
	oi->m = mapping_by_outside(p->dst);
	if (!oi->m) {
		if (!index_find(&in_index, p->dst) && !index_find(&in_index, p->src))
			return pass_untranslated();
		return slow ? out2in_direct(ctx, p) : tail_call(ctx, PROG_out2in_slow);
	}

	enum reason refused = options_refusal(ctx, p);

	if (kind == PACKET_FRAGMENT && !refused)
		return tail_call(ctx, PROG_fragment_out2in);

	__s64 subscriber = mapping_reverse(&oi->m->geo, p->dst, p->dport);

	if (kind == PACKET_ICMP_OTHER && is_icmp_error(p) && !refused)
		return tail_call(ctx, PROG_icmp_in);
	if (kind != PACKET_SESSION || subscriber < 0 || refused) {
		if (!slow)
			return tail_call(ctx, PROG_out2in_slow);
		if (address_is_local(ctx, p->src, p->dst))
			return pass_untranslated();
		if (refused)
			return drop(refused);
		if (kind == PACKET_PROTOCOL && mapping_is_one_to_one(oi->m))
			return tail_call(ctx, PROG_protocol_in);
		return kind != PACKET_SESSION ? drop(parse_drop_reason(kind)) : out2in_unsolicited(ctx, p);
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
	struct device *in = device_get(packet_ingress(ctx));

	return in && in->flags & DEVICE_MERGED;
}

/* Whether it is longer than the MTU of its way, and may not be cut; where the route limits it the kernel says so. */
static __always_inline int egress_too_big(ctx_t *ctx, enum egress_state verdict, const struct egress *way,
					  const struct packet *p)
{
	return verdict == EGRESS_READY && p->length > way->mtu && way->longest == way->mtu && p->df && !is_merged(ctx);
}

/*
 * GO_ON where a packet may go on, else the verdict of an ICMP error to its sender, as often as the limit of a
 * subscriber, *s, allows.
 */
static __always_inline int ttl_and_mtu(ctx_t *ctx, const struct packet *p, struct subscriber *s,
				       enum egress_state verdict, const struct egress *way)
{
	int nowhere = verdict == EGRESS_NOWHERE, expired = p->ttl <= 1;
	int too_big = egress_too_big(ctx, verdict, way, p);
	enum reason reason = nowhere ? REASON_drop_unreachable : expired ? REASON_drop_ttl : REASON_drop_too_big;
	struct arguments *n;

	if (!nowhere && !expired && !too_big)
		return GO_ON;
	n = arguments_get();
	if (!n || !rate_allows(&s->icmp_next, REFUSALS_PER_SECOND))
		return drop(reason);
	if (nowhere) {
		arguments_set(n, reason, REASON_sent_icmp_unreachable, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0);
		return tail_call(ctx, PROG_icmp_error);
	}
	arguments_set(n, reason, expired ? REASON_sent_icmp_ttl : REASON_sent_icmp_too_big,
		      expired ? ICMP_TIME_EXCEEDED : ICMP_DEST_UNREACH, expired ? 0 : ICMP_FRAG_NEEDED,
		      expired ? 0 : way->mtu);
	return tail_call(ctx, PROG_icmp_error);
}

/* Whether XDP can deliver at all by a way in; hairpins have no other. */
static __always_inline int egress_ready(ctx_t *ctx, enum egress_state verdict, const struct egress *way)
{
	return verdict == EGRESS_READY && takes_frame(ctx, way->ifindex);
}

/*
 * Whether it delivers a packet of so many octets. One longer than the way in allows, without DF, the kernel is to cut
 * up.
 */
static __always_inline int egress_is_direct(ctx_t *ctx, enum egress_state verdict, const struct egress *way,
					    __u32 length)
{
	return settings.redirect && length <= way->longest && egress_ready(ctx, verdict, way);
}

/* The session is known: rewrites the destination and delivers. */
static __always_inline int out2in_finish(ctx_t *ctx, const struct out2in *oi, enum egress_state verdict,
					 const struct egress *way, __u16 in_port)
{
	int direct = egress_is_direct(ctx, verdict, way, oi->p.length);
	struct rewrite w = { .addr = oi->m->geo.in_base + oi->subscriber, .port = in_port, .source = 0 };

	mss_clamp(ctx, &oi->p, verdict == EGRESS_READY ? way->longest : 0);
	if (oi->p.fragment) {
		int refused = fragment_begin(ctx, &oi->p, oi->p.src, w.addr, w.addr);

		if (refused)
			return drop(refused);
	}
	if (rewrite_packet(ctx, &oi->p, &w, direct))
		return drop(REASON_drop_error);
	count_translated(REASON_out2in_translated, oi->p.length);
	return direct ? forward(ctx, &way->mac, way->ifindex) : CTX_PASS;
}

/* The program of the outside: sessions in slots. */
static __always_inline int out2in(ctx_t *ctx)
{
	struct out2in oi;
	__u64 word, key;
	int verdict = out2in_prepare(ctx, &oi, 0);

	if (verdict != GO_ON)
		return verdict;

	struct slot *slot = session_lookup_out2in(oi.m, oi.subscriber, oi.p.src, oi.p.sport, oi.p.dport, oi.p.proto,
						  oi.now, &word, &key);
	struct subscriber *s = slot ? subscriber_get(oi.m, oi.subscriber) : 0;

	if (!s)
		return tail_call(ctx, PROG_out2in_slow);
	/* The peer of a hairpin is a subscriber here, and comes from inside. */
	if (LOAD(s->way_epoch) & SUBSCRIBER_HAIRPINS && index_find(&out_index, oi.p.src))
		return drop(REASON_drop_martian);

	struct egress way = {};
	enum egress_state way_verdict = egress_in(ctx, s, oi.p.src, oi.m->geo.in_base + oi.subscriber, &way);

	TRACE_EGRESS(way_verdict, &way);
	verdict = ttl_and_mtu(ctx, &oi.p, s, way_verdict, &way);
	if (verdict != GO_ON)
		return verdict;
	session_hit(slot, word, &oi.p, 0, oi.now, oi.m, oi.subscriber);
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
		struct egress way = {};
		enum egress_state way_verdict = egress_in(ctx, s, oi.p.src, in.addr, &way);

		TRACE_EGRESS(way_verdict, &way);
		verdict = ttl_and_mtu(ctx, &oi.p, s, way_verdict, &way);
		if (verdict != GO_ON)
			return verdict;
		overflow_hit(o, &in, oi.p.dst, s, &oi.p, 0, oi.now, oi.m->timeout_ticks);
		return out2in_finish(ctx, &oi, way_verdict, &way, in.port);
	}
	if (address_is_local(ctx, oi.p.src, oi.p.dst))
		return pass_untranslated();
	if (source_is_martian(oi.p.src) || index_find(&in_index, oi.p.src))
		return drop(REASON_drop_martian);
	return out2in_unsolicited(ctx, &oi.p);
}

#endif
