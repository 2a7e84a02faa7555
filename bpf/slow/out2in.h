/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Outside to inside (at ingress): packets go to the subscriber whose session they belong to, or are dropped. */
#ifndef DETNAT_OUT2IN_H
#define DETNAT_OUT2IN_H

#include "subscriber/classify.h"
#include "slow/egress_check.h"
#include "slow/handled.h"
#include "session/endpoint.h"
#include "session/inbound_slots.h"
#include "subscriber/stranger_count.h"
#include "packet/ip_options.h"
#include "packet/ether.h"
#include "translate/translate.h"

struct out2in {
	struct packet p;
	const struct mapping *m;
	__u32 subscriber;
	__u32 now;
};

/*
 * Handles a packet from outside sent straight to, or from, an inside address. Only `bypass` destinations may reach
 * inside addresses, and no host outside has one.
 */
static __always_inline int out2in_direct(ctx_t *ctx, const struct packet *p, enum packet_kind kind)
{
	int to_inside = address_is_inside(p->dst), from_inside = address_is_inside(p->src);

	if (address_is_martian(p->dst) || address_is_local(ctx, p->src, p->dst))
		return pass_untranslated();
	if (to_inside && !from_inside && is_bypassed(p->src) && !source_is_martian(p->src))
		return pass_untranslated();
	if (to_inside && !from_inside && kind == PACKET_SESSION && is_handled_by_xdp(ctx, p))
		return pass_untranslated();
	return drop(to_inside ? REASON_drop_direct_to_inside : REASON_drop_martian);
}

/*
 * Handles a packet from outside without a session: dropped, or, if configured, an unfragmented TCP segment is answered.
 */
static __always_inline int out2in_unsolicited(ctx_t *ctx, const struct packet *p)
{
	if (settings.attack & STRANGERS_BY_ADDRESS)
		stranger_count(p->dst);
	if (settings.unsolicited_tcp == UNSOLICITED_ANSWER && p->proto == IPPROTO_TCP && !p->fragment)
		return tail_call(ctx, PROG_tcp_reset);
	return drop(REASON_drop_no_session);
}

/* Parses the packet. Returns CONTINUE if it is IPv4 in a frame for this station, else a verdict. */
static __always_inline int out2in_admit(ctx_t *ctx, struct packet *p, enum packet_kind *ret_kind)
{
	enum packet_kind kind = parse(ctx, p);
	struct ethhdr *eth = ctx_data(ctx);
	struct device *in = device_get(packet_ingress(ctx));

	if (is_tagged(ctx))
		return HOOK_XDP ? tail_call(ctx, PROG_vlan) : pass_untranslated();
	if ((void *)(eth + 1) > ctx_data_end(ctx) || !in || !in->roles)
		return pass_untranslated();
	if (kind == PACKET_NOT_IPV4) {
		if (settings.answer_arp && eth->h_proto == bpf_htons(ETH_P_ARP))
			return tail_call(ctx, PROG_arp);
		return is_for_six(ctx) ? tail_call(ctx, PROG_six_out) : pass_untranslated();
	}
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (!frame_is_for(ctx, eth, in))
		return pass_untranslated();
	if (link_local_is_misplaced(ctx, p->src, p->dst))
		return drop(REASON_drop_martian);
	*ret_kind = kind;
	return CONTINUE;
}

/*
 * Handles a packet to a pool address of a kind without sessions, to no subscriber's port, or with a forbidden IP
 * option.
 */
static __always_inline int out2in_other_kind(ctx_t *ctx, const struct out2in *oi, enum packet_kind kind,
					     enum reason refused)
{
	if (kind == PACKET_SESSION && !refused && portmap_of_outside(&oi->p))
		return tail_call(ctx, PROG_portmap_in);
	if (address_is_local(ctx, oi->p.src, oi->p.dst))
		return pass_untranslated();
	if (refused)
		return drop_stranger(oi->p.dst, refused);
	/* Which host of an IPv6 subscriber is meant, nothing says: see six_has_ports(). */
	if (!FAMILY6 && kind == PACKET_PROTOCOL && mapping_is_one_to_one(oi->m))
		return tail_call(ctx, PROG_protocol_in);
	return kind != PACKET_SESSION ? drop_stranger(oi->p.dst, parse_drop_reason(kind))
				      : out2in_unsolicited(ctx, &oi->p);
}

/* Handles a packet of TCP, UDP or ICMP to an outside address of an open mapping. */
static __always_inline int out2in_open(ctx_t *ctx, const struct packet *p, enum reason refused)
{
	if (address_is_local(ctx, p->src, p->dst))
		return pass_untranslated();
	return refused ? drop(refused) : tail_call(ctx, PROG_protocol_in);
}

/*
 * Fills in *oi for a packet to a subscriber. slow: handles unusual packets, too, which other callers leave to
 * PROG_out2in_slow. Returns CONTINUE or a verdict.
 */
static __always_inline int out2in_prepare(ctx_t *ctx, struct out2in *oi, int slow)
{
	struct packet *p = &oi->p;
	enum packet_kind kind;
	enum reason refused;
	__s64 subscriber;
	int verdict = out2in_admit(ctx, p, &kind);

	if (verdict != CONTINUE)
		return verdict;
	oi->m = mapping_by_outside(p->dst);
	if (!oi->m) {
		if (!address_is_inside(p->dst) && !address_is_inside(p->src))
			return pass_untranslated();
		return slow ? out2in_direct(ctx, p, kind) : tail_call(ctx, PROG_out2in_slow);
	}
	if (mapping_is_six(oi->m))
		return tail_call(ctx, PROG_six_in);
	refused = options_refusal(ctx, p);
	if (kind == PACKET_ICMP_OTHER && is_icmp_error(p) && !refused)
		return tail_call(ctx, PROG_icmp_in);
	if (mapping_is_open(oi->m) && kind_passes_open(kind))
		return out2in_open(ctx, p, refused);
	if (kind == PACKET_FRAGMENT && !refused)
		return tail_call(ctx, PROG_fragment_out2in);
	/*
	 * In slots, those of extents among them, may be sessions on granted ports. Where a program redirects, its fast
	 * path has asked for a grant, and nearly all packets that come here in spite of one are for PROG_out2in_slow.
	 */
	subscriber = slow || (settings.extent_buckets && !(FORWARDS && settings.redirect))
			     ? port_owner(oi->m, p->dst, p->dport)
			     : mapping_reverse(&oi->m->geo, p->dst, p->dport);
	if (kind != PACKET_SESSION || subscriber < 0 || refused)
		return slow ? out2in_other_kind(ctx, oi, kind, refused) : tail_call(ctx, PROG_out2in_slow);
	oi->subscriber = (__u32)subscriber;
	if (six_begin_inwards(oi->m, oi->subscriber))
		return drop(REASON_drop_error);
	TRACE_SUBSCRIBER(oi->m, oi->subscriber);
	oi->now = now_ticks();
	return CONTINUE;
}

/* Translates and sends a packet whose session and egress are known. */
static __always_inline int out2in_finish(ctx_t *ctx, const struct out2in *oi, const struct egress *e, __u16 in_port)
{
	struct rewrite to = rewrite_of(&oi->p);

	to.dst = oi->m->geo.in_base + oi->subscriber;
	to.dport = in_port;
	return translate_session(ctx, &oi->p, &to, e, DIRECTION_IN, to.dst);
}

/* The program for sessions in slots. */
static __always_inline int out2in(ctx_t *ctx)
{
	struct egress *e;
	struct subscriber *s;
	struct slot *slot;
	struct out2in oi;
	__u64 word, key;
	int verdict = out2in_prepare(ctx, &oi, 0);

	if (verdict != CONTINUE)
		return verdict;
	slot = slot_lookup_out2in(oi.m, oi.subscriber, &oi.p, oi.now, &word, &key);
	s = slot ? subscriber_get(oi.m, oi.subscriber) : 0;
	if (!s)
		return tail_call(ctx, PROG_out2in_slow);
	/* A hairpin's peer is a subscriber of this gateway, whose packets come from inside. */
	if (LOAD(s->hairpins) & HAIRPINS_SEEN && leaf_outside(oi.p.src))
		return drop(REASON_drop_martian);
	verdict = egress_towards(ctx, &oi.p, oi.m, s, oi.m->geo.in_base + oi.subscriber, DIRECTION_IN, s, &e);
	if (verdict != CONTINUE)
		return verdict;
	session_hit(slot, word, oi.p.flags, oi.m, oi.subscriber);
	return out2in_finish(ctx, &oi, e, key_in_port(key));
}

/* Handles a packet to a subscriber's port that belongs to no session. */
static __always_inline int out2in_stranger(ctx_t *ctx, const struct out2in *oi)
{
	const struct packet *p = &oi->p;

	if (portmap_of_outside(p))
		return tail_call(ctx, PROG_portmap_in);
	if (address_is_local(ctx, p->src, p->dst))
		return pass_untranslated();
	if (source_is_martian(p->src) || address_is_inside(p->src))
		return drop_stranger(p->dst, REASON_drop_martian);
	if (inbound_may_open(oi->m, oi->subscriber, p, oi->now))
		return tail_call(ctx, PROG_inbound);
	stranger_met(oi->m, oi->subscriber);
	return out2in_unsolicited(ctx, p);
}

/* The program for packets without a slot: of sessions that have moved, to the gateway's own addresses, unsolicited. */
static __always_inline int out2in_slow(ctx_t *ctx)
{
	struct egress *e;
	struct subscriber *s;
	struct out2in oi;
	int verdict = out2in_prepare(ctx, &oi, 1), in_port = -1;

	if (verdict != CONTINUE)
		return verdict;
	s = subscriber_get(oi.m, oi.subscriber);
	/* As in out2in(): a source in the pool is a hairpin's peer, whose packets come from inside. */
	if (s && settings.extent_buckets && subscriber_extent(s) && !leaf_outside(oi.p.src))
		in_port = session_seek_out2in(oi.m, oi.subscriber, &oi.p);
	if (in_port < 0)
		return out2in_stranger(ctx, &oi);
	verdict = egress_towards(ctx, &oi.p, oi.m, s, oi.m->geo.in_base + oi.subscriber, DIRECTION_IN, s, &e);
	if (verdict != CONTINUE)
		return verdict;
	session_packet_out2in(oi.m, oi.subscriber, &oi.p);
	return out2in_finish(ctx, &oi, e, (__u16)in_port);
}

#endif
