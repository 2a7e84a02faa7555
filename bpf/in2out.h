/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside to outside, up to the point where the packet's subscriber is known; and what follows once its session is.
 * The two hooks differ in how they know that a packet leaves by an outside interface, and in who forwards it.
 */
#ifndef DETNAT_IN2OUT_H
#define DETNAT_IN2OUT_H

#include "classify.h"
#include "forward.h"
#include "nexthop.h"
#include "rewrite.h"
#include "session.h"

#define GO_ON (-1)

struct in2out {
	struct flow f;
	struct next_hop *nh;
	int hairpin;
};

/* An echo reply opens nothing and belongs to no session of its sender's. */
static __always_inline int packet_may_open(const struct packet *p)
{
	return p->proto != IPPROTO_ICMP || p->icmp_type == ICMP_ECHO;
}

#if HOOK_XDP

/* GO_ON with *io filled in, or a verdict. */
static __always_inline int in2out_prepare(ctx_t *ctx, struct in2out *io)
{
	struct packet *p = &io->f.p;
	enum packet_kind kind = parse(ctx, p);

	if (kind == PACKET_NOT_IPV4)
		return pass_untranslated();
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	/* Where the kernel forwards, tc translates; only hairpins are forwarded here. */
	if (!settings.redirect && !index_find(&out_index, p->dst))
		return is_martian(p) ? drop(REASON_drop_martian) : pass_untranslated();

	io->f.now = now_ticks();
	io->nh = next_hop_get(ctx, p, io->f.now);
	TRACE_NEXT_HOP(io->nh);

	struct ethhdr *eth = ctx_data(ctx);

	if (!io->nh || (void *)(eth + 1) > ctx_data_end(ctx) || !mac_equal(eth->h_dest, io->nh->in_mac))
		return pass_untranslated();
	if (io->nh->way > WAY_POOL)
		return is_martian(p) ? drop(REASON_drop_martian) : pass_untranslated();
	io->hairpin = io->nh->way == WAY_POOL;

	io->f.m = mapping_by_inside(p->src);
	if (!io->f.m) {
		if (source_is_martian(p->src))
			return drop(REASON_drop_martian);
		if (unmatched_is_dropped(p->src))
			return drop(REASON_drop_no_mapping);
		/* To a pool address it is a stranger like any other. */
		return io->hairpin ? leaf_call(ctx, LEAF_out2in) : pass_untranslated();
	}
	if (kind != PACKET_SESSION) {
		if (io->hairpin && address_is_local(ctx, p->src, p->dst))
			return pass_untranslated();
		return drop(parse_drop_reason(kind));
	}
	if (!packet_may_open(p))
		return drop(REASON_drop_no_session);
	/* The kernel sends the ICMP error, or the packet in pieces; but for hairpins, which it would only drop. */
	if (!io->hairpin && (io->nh->way == WAY_OUT_KERNEL || p->ttl <= 1 || p->length > io->nh->mtu))
		return pass_untranslated();
	flow_from_inside(&io->f);
	return GO_ON;
}

#else

static __always_inline int in2out_prepare(ctx_t *ctx, struct in2out *io)
{
	struct packet *p = &io->f.p;
	__u32 headers = L3_OFFSET + 60 + sizeof(struct tcphdr);
	struct device *in = ctx_ingress(ctx) ? device_get(ctx_ingress(ctx)) : 0;
	struct device *out = device_get(ctx->ifindex);

	/* The gateway's own traffic, and what other interfaces route. */
	if (!in || !(in->roles & DEVICE_INSIDE) || !out || ctx->vlan_present)
		return pass_untranslated();
	if (headers > ctx->len)
		headers = ctx->len;
	if (ctx_data(ctx) + headers > ctx_data_end(ctx) && bpf_skb_pull_data(ctx, headers))
		return drop(REASON_drop_error);

	enum packet_kind kind = parse(ctx, p);

	if (kind == PACKET_NOT_IPV4)
		return pass_untranslated();
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	/* NAT on a stick: answers of this program's own, and routing between inside addresses. */
	if (out->roles & DEVICE_INSIDE && (p->src == out->addr || index_find(&in_index, p->dst)))
		return pass_untranslated();
	if (address_is_martian(p->dst))
		return drop(REASON_drop_martian);
	io->f.now = now_ticks();
	io->hairpin = 0;
	io->f.m = mapping_by_inside(p->src);
	if (!io->f.m && source_is_martian(p->src))
		return drop(REASON_drop_martian);
	if (!io->f.m)
		return unmatched_is_dropped(p->src) ? drop(REASON_drop_no_mapping) : pass_untranslated();
	if (kind != PACKET_SESSION)
		return drop(parse_drop_reason(kind));
	if (!packet_may_open(p))
		return drop(REASON_drop_no_session);
	flow_from_inside(&io->f);
	return GO_ON;
}

#endif

/* The session is found or opened: rewrites, and sends or leaves that to the kernel. */
static __always_inline int in2out_finish(ctx_t *ctx, const struct in2out *io, __u64 truth)
{
	struct rewrite w = {
		.addr = mapping_out_addr(&io->f.m->geo, io->f.subscriber),
		.port = truth_out_port(truth),
		.source = 1,
	};

	if (rewrite_packet(ctx, &io->f.p, &w, HOOK_XDP))
		return drop(REASON_drop_error);
	count_add(REASON_in2out_translated, 1);
#if HOOK_XDP
	return forward(ctx, &io->nh->mac, io->nh->out_ifindex);
#else
	return CTX_PASS;
#endif
}

/* Lets the verifier follow the ways through in2out_prepare() as one, where much is to come. */
static __always_inline int in2out_forget(struct in2out *io)
{
	struct note *n = note_get();

	if (!n)
		return -1;
	io->f.p.proto = (__u8)forget(n, io->f.p.proto);
	io->f.p.flags = (__u8)forget(n, io->f.p.flags);
	io->f.p.sport = (__u16)forget(n, io->f.p.sport);
	io->f.p.dport = (__u16)forget(n, io->f.p.dport);
	io->f.p.l4_offset = (__u16)forget(n, io->f.p.l4_offset);
	io->f.key = forget(n, io->f.key);
	io->f.port_offset = (__u32)forget(n, io->f.port_offset);
	io->hairpin = (int)forget(n, io->hairpin);
	return 0;
}

/* The program of the hook: sessions in slots, everything else by leaves. */
static __always_inline int in2out(ctx_t *ctx)
{
	struct in2out io;
	__u64 truth;
	int verdict = in2out_prepare(ctx, &io);

	if (verdict != GO_ON)
		return verdict;
#if HOOK_XDP
	if (io.hairpin)
		return leaf_call(ctx, LEAF_hairpin);
#endif

	struct slot *s = flow_find(&io.f, &truth);

	if (!s || session_reopens(truth, &io.f.p))
		return leaf_call(ctx, LEAF_open);
	session_hit(s, truth, &io.f.p, 1, io.f.now, io.f.m, io.f.subscriber);
	return in2out_finish(ctx, &io, truth);
}

#endif
