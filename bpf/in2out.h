/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside to outside, up to the point where the packet's subscriber is known; and what follows once its session is.
 * The two hooks differ in how they know that a packet leaves by an outside interface, and in who forwards it.
 */
#ifndef DETNAT_IN2OUT_H
#define DETNAT_IN2OUT_H

#include "classify.h"
#include "forward.h"
#include "fragment.h"
#include "ip_options.h"
#include "mss.h"
#include "nexthop.h"
#include "rewrite.h"
#include "session.h"
#include "source.h"
#if !HOOK_XDP
#include "vlan_tc.h"
#endif

#define GO_ON (-1)

struct in2out {
	struct flow f;
	struct next_hop *nh;
	int hairpin;
};

/* An echo reply opens nothing and belongs to no session of its sender's. Later fragments only follow. */
static __always_inline int packet_may_open(const struct packet *p)
{
	return p->proto != IPPROTO_ICMP || p->icmp_type == ICMP_ECHO || p->fragment == FRAGMENT_LATER;
}

/* What becomes of a packet of a subscriber that is not of the kind that the program is for. */
static __always_inline int in2out_other_kind(ctx_t *ctx, const struct in2out *io, enum packet_kind kind)
{
	if (kind == PACKET_PROTOCOL && mapping_is_one_to_one(io->f.m))
		return tail_call(ctx, PROG_protocol);
	if (kind == PACKET_PROTOCOL)
		return tail_call(ctx, PROG_refuse_protocol);
	return drop(parse_drop_reason(kind));
}

/* A later fragment is of a session, whose first one tells which. */
static __always_inline int is_wanted(enum packet_kind kind, enum packet_kind wanted)
{
	return kind == wanted || (kind == PACKET_FRAGMENT && wanted == PACKET_SESSION);
}

/* Checks the source of a subscriber's packet, which would leave by out_ifindex; 0: not known. */
static __always_inline int in2out_source(ctx_t *ctx, const struct in2out *io, __u32 out_ifindex)
{
	const struct packet *p = &io->f.p;

	return source_check(ctx, subscriber_get(io->f.m, mapping_subscriber(&io->f.m->geo, p->src)), p->src, p->dst,
			    out_ifindex);
}

#if HOOK_XDP

/* GO_ON with *io filled in where the packet is of the kind wanted, or a verdict. Of a later
 * fragment, which is of a session too, the ports are 0. */
static __always_inline int in2out_prepare_kind(ctx_t *ctx, struct in2out *io, enum packet_kind wanted)
{
	struct packet *p = &io->f.p;
	enum packet_kind kind = parse(ctx, p);

	if (kind == PACKET_NOT_IPV4)
		return is_tagged(ctx) ? tail_call(ctx, PROG_vlan) : pass_untranslated();
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	if (address_is_link_local(p->src) || address_is_link_local(p->dst))
		return link_local_is_misplaced(ctx, p->src, p->dst) ? drop(REASON_drop_martian) : pass_untranslated();
	/* Where the kernel forwards, tc translates; only hairpins are forwarded here. */
	if (!settings.redirect && !index_find(&out_index, p->dst))
		return is_martian(p) ? drop(REASON_drop_martian) : pass_untranslated();

	io->f.now = now_ticks();
	io->nh = next_hop_get(ctx, p);
	TRACE_NEXT_HOP(io->nh);

	struct ethhdr *eth = ctx_data(ctx);

	if (!io->nh || (void *)(eth + 1) > ctx_data_end(ctx) || !mac_equal(eth->h_dest, io->nh->in_mac))
		return pass_untranslated();
	if (io->nh->kind > HOP_POOL)
		return is_martian(p) ? drop(REASON_drop_martian) : pass_untranslated();
	io->hairpin = io->nh->kind == HOP_POOL;
	if (kind == PACKET_ICMP_OTHER && is_icmp_error(p))
		return tail_call(ctx, io->hairpin ? PROG_icmp_hairpin : PROG_icmp_out);

	io->f.m = mapping_by_inside(p->src);
	if (!io->f.m) {
		if (source_is_martian(p->src))
			return drop(REASON_drop_martian);
		/* To a pool address it is a stranger like any other. */
		if (io->hairpin && !unmatched_is_dropped(p->src))
			return tail_call(ctx, PROG_out2in);
		return source_unmatched(ctx, p);
	}

	int source = in2out_source(ctx, io, io->hairpin ? 0 : io->nh->out_ifindex);

	if (source != SOURCE_GOOD)
		return source == SOURCE_REFUSED ? drop(REASON_drop_martian) : pass_untranslated();

	enum reason refused = options_refusal(ctx, p);
	int other = !is_wanted(kind, wanted);

	if (!other && wanted == PACKET_SESSION && !packet_may_open(p))
		refused = REASON_drop_no_session;
	if (other || refused) {
		if (io->hairpin && address_is_local(ctx, p->src, p->dst))
			return pass_untranslated();
		return refused ? drop(refused) : in2out_other_kind(ctx, io, kind);
	}
	/* The kernel sends the ICMP error, or the packet in pieces; but for hairpins, which it would only drop. */
	if (!io->hairpin && (io->nh->kind == HOP_OUT_KERNEL || p->ttl <= 1 || p->length > io->nh->mtu ||
			     !takes_frame(ctx, io->nh->out_ifindex)))
		return pass_untranslated();
	flow_from_inside(&io->f);
	return GO_ON;
}

#else

/*
 * Whether a packet goes from outside to a mapped inside address by an outside interface, as the route inside is gone.
 * The header is in reach where there is one, as the kernel has read it.
 */
static __always_inline int turns_back(ctx_t *ctx, const struct device *in, const struct device *out)
{
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;

	if (!in || !out || in->roles != DEVICE_OUTSIDE || out->roles != DEVICE_OUTSIDE)
		return 0;
	return ctx->protocol == bpf_htons(ETH_P_IP) && !ctx->vlan_present && (void *)(ip + 1) <= ctx_data_end(ctx) &&
	       index_find(&in_index, bpf_ntohl(ip->daddr));
}

/* Whether a packet of the gateway's own is ICMP. Its headers are in reach as the kernel has just written them. */
static __always_inline int is_own_icmp(ctx_t *ctx)
{
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;

	return ctx->protocol == bpf_htons(ETH_P_IP) && !ctx->vlan_present && (void *)(ip + 1) <= ctx_data_end(ctx) &&
	       ip->protocol == IPPROTO_ICMP;
}

/* What was forwarded and is not for translation. */
static __always_inline int in2out_other(ctx_t *ctx)
{
	return settings.guard ? tail_call(ctx, PROG_guard) : pass_untranslated();
}

static __always_inline int in2out_prepare_kind(ctx_t *ctx, struct in2out *io, enum packet_kind wanted)
{
	struct packet *p = &io->f.p;
	__u32 headers = L3_OFFSET + 60 + sizeof(struct tcphdr);
	struct device *in = ctx_ingress(ctx) ? device_get(ctx_ingress(ctx)) : 0;
	struct device *out = device_get(ctx->ifindex);

	if (is_tagged_inline(ctx) && vlan_inline_pop(ctx))
		return drop(REASON_drop_error);
	/* The gateway's own traffic, but for its errors, which may quote what was translated. */
	if (!ctx_ingress(ctx) && out && is_own_icmp(ctx))
		return tail_call_or(ctx, PROG_icmp_out, CTX_PASS);
	if (turns_back(ctx, in, out))
		return drop(REASON_drop_unreachable);
	/* What leaves by a VLAN interface above is judged there. */
	if (!ctx_ingress(ctx) || ctx->vlan_present)
		return pass_untranslated();
	/* What other interfaces route. */
	if (!in || !(in->roles & DEVICE_INSIDE) || !out)
		return in2out_other(ctx);
	if (headers > ctx->len)
		headers = ctx->len;
	if (ctx_data(ctx) + headers > ctx_data_end(ctx) && bpf_skb_pull_data(ctx, headers))
		return drop(REASON_drop_error);

	enum packet_kind kind = parse(ctx, p);

	if (kind == PACKET_NOT_IPV4)
		return in2out_other(ctx);
	if (kind == PACKET_BAD_HEADER)
		return drop(REASON_drop_malformed);
	/* NAT on a stick: answers of this program's own, and routing between inside addresses. */
	if (out->roles & DEVICE_INSIDE && (p->src == out->addr || index_find(&in_index, p->dst)))
		return pass_untranslated();
	if (address_is_martian(p->dst) || address_is_link_local(p->dst) || address_is_link_local(p->src))
		return drop(REASON_drop_martian);
	if (is_bypassed(p->dst))
		return source_is_martian(p->src) ? drop(REASON_drop_martian) : pass_untranslated();
	if (kind == PACKET_ICMP_OTHER && is_icmp_error(p))
		return tail_call(ctx, PROG_icmp_out);
	io->f.now = now_ticks();
	io->hairpin = 0;
	io->f.m = mapping_by_inside(p->src);
	if (!io->f.m && source_is_martian(p->src))
		return drop(REASON_drop_martian);
	if (!io->f.m)
		return source_unmatched(ctx, p);
	if (in2out_source(ctx, io, ctx->ifindex) == SOURCE_REFUSED)
		return drop(REASON_drop_martian);

	enum reason refused = options_refusal(ctx, p);

	if (!is_wanted(kind, wanted) || refused)
		return refused ? drop(refused) : in2out_other_kind(ctx, io, kind);
	if (wanted == PACKET_SESSION && !packet_may_open(p))
		return drop(REASON_drop_no_session);
	flow_from_inside(&io->f);
	return GO_ON;
}

#endif

/* The same for a packet that can have a session. */
static __always_inline int in2out_prepare(ctx_t *ctx, struct in2out *io)
{
	return in2out_prepare_kind(ctx, io, PACKET_SESSION);
}

/* MTU of the way that a packet leaves by; 0: not known. */
static __always_inline __u32 in2out_mtu(ctx_t *ctx, const struct in2out *io)
{
#if HOOK_XDP
	return io->nh->mtu;
#else
	struct device *out = device_get(ctx->ifindex);

	return out ? out->mtu : 0;
#endif
}

/* The session is found or opened: rewrites, and sends or leaves that to the kernel. */
static __always_inline int in2out_finish(ctx_t *ctx, const struct in2out *io, __u64 word)
{
	struct rewrite w = {
		.addr = mapping_out_addr(&io->f.m->geo, io->f.subscriber),
		.port = word_out_port(word),
		.source = 1,
	};

	mss_clamp(ctx, &io->f.p, in2out_mtu(ctx, io));
	if (io->f.p.fragment) {
		int refused = fragment_begin(ctx, &io->f.p, w.addr, io->f.p.dst, io->f.p.src);

		if (refused)
			return drop(refused);
	}
	if (rewrite_packet(ctx, &io->f.p, &w, HOOK_XDP))
		return drop(REASON_drop_error);
	count_translated(REASON_in2out_translated, io->f.p.length);
#if HOOK_XDP
	return forward(ctx, &io->nh->mac, io->nh->out_ifindex);
#else
	return CTX_PASS;
#endif
}

/* The program of the hook: sessions in slots, everything else by leaves. */
static __always_inline int in2out(ctx_t *ctx)
{
	struct in2out io;
	__u64 word;
	int verdict = in2out_prepare(ctx, &io);

	if (verdict != GO_ON)
		return verdict;
#if HOOK_XDP
	if (io.hairpin)
		return tail_call(ctx, io.f.p.fragment == FRAGMENT_LATER ? PROG_fragment_hairpin : PROG_hairpin);
#endif
	if (io.f.p.fragment == FRAGMENT_LATER)
		return tail_call(ctx, PROG_fragment);

	struct slot *s = session_lookup_in2out(&io.f, &word);

	if (!s || session_reopens(word, &io.f.p))
		return tail_call(ctx, PROG_open);
	session_hit(s, word, &io.f.p, 1, io.f.now, io.f.m, io.f.subscriber);
	return in2out_finish(ctx, &io, word);
}

#endif
