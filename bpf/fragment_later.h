/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The leaves for fragments behind the first: only their addresses change, to what those of the first one became. None
 * of them is ever answered with an ICMP error (RFC 1812 section 4.3.2.7).
 */
#ifndef DETNAT_FRAGMENT_LATER_H
#define DETNAT_FRAGMENT_LATER_H

#include "fragment_park.h"
#include "in2out.h"
#if HOOK_XDP
#include "hairpin.h"
#endif

/* 0, or -1 with nothing changed. lower_ttl: XDP forwards it by itself. */
static __always_inline int fragment_rewrite(ctx_t *ctx, __u32 src, __u32 dst, int lower_ttl)
{
#if HOOK_XDP
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;
	__be32 src_be = bpf_htonl(src), dst_be = bpf_htonl(dst);

	if ((void *)(ip + 1) > ctx_data_end(ctx))
		return -1;

	__u64 sum = csum_change32(csum_change32(0, ip->saddr, src_be), ip->daddr, dst_be);

	ip->check = csum_update(ip->check, lower_ttl ? rewrite_ttl(ip, sum) : sum);
	ip->saddr = src_be;
	ip->daddr = dst_be;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
#else
	/* At egress only the source changes. */
	__be32 new_addr = bpf_htonl(src), old_addr;

	if (bpf_skb_load_bytes(ctx, L3_OFFSET + offsetof(struct iphdr, saddr), &old_addr, sizeof(old_addr)) ||
	    bpf_l3_csum_replace(ctx, L3_OFFSET + offsetof(struct iphdr, check), old_addr, new_addr, 4))
		return -1;
	if (bpf_skb_store_bytes(ctx, L3_OFFSET + offsetof(struct iphdr, saddr), &new_addr, sizeof(new_addr), 0))
		return -1;
	TRACE_LOOK(ctx, rewritten, 0, 0);
	return 0;
#endif
}

/* From inside to outside, at both hooks. */
static __always_inline int fragment_in2out(ctx_t *ctx)
{
	struct in2out io;
	struct fragment_piece f;
	__u32 src, dst;
	int verdict = in2out_prepare(ctx, &io);

	if (verdict != GO_ON)
		return verdict;
	if (fragment_piece_get(ctx, &io.f.p, FRAGMENT_FROM_INSIDE, &f))
		return drop(REASON_drop_error);
	f.in_addr = io.f.p.src;

	struct fragment *e = fragment_find(&f, &src, &dst);

	if (!e)
		return fragment_park(ctx, &f);

	int refused = fragment_pass(e, &f);

	if (refused)
		return drop(refused);
	if (fragment_rewrite(ctx, src, dst, HOOK_XDP))
		return drop(REASON_drop_error);
	count_translated(REASON_in2out_translated, io.f.p.length);
#if HOOK_XDP
	return forward(ctx, &io.nh->mac, io.nh->out_ifindex);
#else
	return CTX_PASS;
#endif
}

#if HOOK_XDP

/* The way to the subscriber that a fragment goes to. */
struct fragment_way {
	struct egress way;
	enum egress_state verdict;
};

/* 0, or -1 where the mapping has gone since the first fragment. */
static __always_inline int fragment_way_get(ctx_t *ctx, __u32 src, __u32 in_addr, struct fragment_way *ret)
{
	struct subscriber *s = fragment_subscriber(in_addr);

	if (!s)
		return -1;
	__builtin_memset(ret, 0, sizeof(*ret));
	ret->verdict = egress_in(ctx, s, src, in_addr, &ret->way);
	TRACE_EGRESS(ret->verdict, &ret->way);
	return 0;
}

static __always_inline int fragment_hairpin(ctx_t *ctx)
{
	struct in2out io;
	struct fragment_piece f;
	struct fragment_way w;
	__u32 src, dst;
	int verdict = in2out_prepare(ctx, &io);

	if (verdict != GO_ON)
		return verdict;
	if (fragment_piece_get(ctx, &io.f.p, FRAGMENT_FROM_INSIDE, &f))
		return drop(REASON_drop_error);
	f.in_addr = io.f.p.src;

	struct fragment *e = fragment_find(&f, &src, &dst);

	if (!e) {
		if (address_is_local(ctx, io.f.p.src, io.f.p.dst))
			return pass_untranslated();
		return settings.hairpin ? fragment_park(ctx, &f) : drop(REASON_drop_no_session);
	}
	if (io.f.p.ttl <= 1)
		return drop(REASON_drop_ttl);
	if (fragment_way_get(ctx, io.f.p.src, dst, &w))
		return drop(REASON_drop_no_mapping);
	w.verdict = hairpin_egress(w.verdict, &w.way);
	if (w.verdict == EGRESS_UNRESOLVED)
		return hairpin_unresolved(fragment_subscriber(dst), &w.way);
	if (w.verdict != EGRESS_READY)
		return drop(REASON_drop_unreachable);
	if (hairpin_too_long(&io.f.p, &w.way))
		return drop(REASON_drop_too_big);

	int refused = fragment_pass(e, &f);

	if (refused)
		return drop(refused);
	if (fragment_rewrite(ctx, src, dst, 1))
		return drop(REASON_drop_error);
	count_translated(REASON_hairpin_translated, io.f.p.length);
	return hairpin_forward(ctx, io.f.p.length, &w.way);
}

/* out2in_prepare() has sent it here. */
static __always_inline int fragment_out2in(ctx_t *ctx)
{
	struct packet p;
	struct fragment_piece f;
	struct fragment_way w;
	__u32 src, dst;

	if (parse(ctx, &p) != PACKET_FRAGMENT || fragment_piece_get(ctx, &p, FRAGMENT_FROM_OUTSIDE, &f))
		return drop(REASON_drop_error);

	struct fragment *e = fragment_find(&f, &src, &dst);

	if (!e) {
		if (address_is_local(ctx, p.src, p.dst))
			return pass_untranslated();
		return source_is_martian(p.src) ? drop(REASON_drop_martian) : fragment_park(ctx, &f);
	}
	f.in_addr = dst;
	if (fragment_way_get(ctx, p.src, dst, &w))
		return drop(REASON_drop_no_mapping);
	if (w.verdict == EGRESS_NOWHERE)
		return drop(REASON_drop_unreachable);
	if (p.ttl <= 1)
		return drop(REASON_drop_ttl);
	if (egress_too_big(ctx, w.verdict, &w.way, &p))
		return drop(REASON_drop_too_big);

	int refused = fragment_pass(e, &f);

	if (refused)
		return drop(refused);

	int direct = egress_is_direct(ctx, w.verdict, &w.way, p.length);

	if (fragment_rewrite(ctx, src, dst, direct))
		return drop(REASON_drop_error);
	count_translated(REASON_out2in_translated, p.length);
	return direct ? forward(ctx, &w.way.mac, w.way.ifindex) : CTX_PASS;
}

#endif
#endif
