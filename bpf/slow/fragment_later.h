/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs for later fragments, which get the same addresses as their first fragment. No ICMP error is ever sent about
 * them (RFC 1812 section 4.3.2.7).
 *
 * A fragment may arrive before its first one (RFC 4787 REQ-14): its frame goes to the agent, which sends it through the
 * datapath again once the first one has passed. Until then, or until the agent gives up, it is counted under no reason.
 * Without an agent it is dropped at once.
 */
#ifndef DETNAT_FRAGMENT_LATER_H
#define DETNAT_FRAGMENT_LATER_H

#include "base/subprogram.h"
#include "base/tail_call.h"
#include "translate/fragment.h"
#include "slow/in2out.h"
#include "subscriber/stranger_count.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct early_fragment);
} fragment_copies SEC(".maps");

/*
 * Limits fragments from inside per source, and those from outside, whose subscriber is still unknown, per outside
 * address.
 */
static __always_inline int fragment_park_admit(const struct fragment_piece *f)
{
	int inside = f->key.side == FRAGMENT_FROM_INSIDE;
	__u32 *word = fragment_limit(inside ? f->key.src : 0, inside ? 0 : f->key.dst);

	return word ? fragment_admit(word, FRAGMENTS_PER_SECOND) : -1;
}

/* Copies a frame of so many octets; a packet without an Ethernet header gets one. Returns 0, or -errno. */
static __always_inline long fragment_copy(ctx_t *ctx, __u8 *to, __u64 length)
{
	struct ethhdr *eth = (void *)to;

	if (!BARE)
		return ctx_load(ctx, 0, to, length);
	if (length <= ETH_HLEN)
		return -1;
	__builtin_memset(eth, 0, sizeof(*eth));
	eth->h_proto = bpf_htons(ETH_P_IP);
	return ctx_load(ctx, 0, to + ETH_HLEN, length - ETH_HLEN);
}

/* Drops a fragment of a datagram whose first one has not passed. */
static __always_inline int fragment_refuse(const struct fragment_piece *f, enum reason reason)
{
	if (AT_INGRESS && f->key.side == FRAGMENT_FROM_OUTSIDE)
		return drop_stranger(f->key.dst, reason);
	return drop(reason);
}

static __always_inline int fragment_park(ctx_t *ctx, const struct fragment_piece *f)
{
	const struct globals *g = globals_get();
	__u32 until = g ? LOAD(g->fragments_until) : 0, zero = 0;
	struct early_fragment *copy = bpf_map_lookup_elem(&fragment_copies, &zero);
	__u64 length;

	/* It comes again as what it was. */
	if (six_restore(ctx))
		return drop(REASON_drop_error);
	length = ctx_length(ctx) + (ETH_HLEN - L3_OFFSET);

	if (!copy || !until || (__s32)(until - now_ticks()) < 0 || length < ETH_HLEN || length > FRAGMENT_FRAME_MAX)
		return fragment_refuse(f, REASON_drop_fragment);
	if (fragment_park_admit(f))
		return fragment_refuse(f, REASON_drop_fragment_limit);
	barrier_var(length);
	if (OUTSIDE(length, ETH_HLEN, FRAGMENT_FRAME_MAX) || fragment_copy(ctx, copy->frame, length))
		return drop(REASON_drop_error);
	copy->time_ns = bpf_ktime_get_ns();
	copy->key = f->key;
	copy->ifindex = packet_ingress(ctx);
	copy->length = (__u16)length;
	copy->hook = AT_INGRESS ? FRAGMENT_AT_XDP : FRAGMENT_AT_TC;
	if (bpf_ringbuf_output(&early_fragments, copy, sizeof(*copy) - FRAGMENT_FRAME_MAX + length, 0))
		return fragment_refuse(f, REASON_drop_fragment_limit);
	return finish(CTX_DROP, REASON_fragments_parked);
}

/* Translates a later fragment whose egress has been checked, unless any of its octets has passed already. */
static __always_inline int fragment_translate(ctx_t *ctx, const struct packet *p, struct fragment *e,
					      const struct fragment_piece *f, const struct rewrite *to,
					      const struct egress *egress, enum direction direction)
{
	int refused = fragment_pass(e, f);

	return refused ? drop(refused) : translate(ctx, p, PACKET_FRAGMENT, to, egress, direction);
}

/*
 * A later fragment from inside: its datagram, and the new addresses. *e is NULL until the first fragment has passed.
 */
static __always_inline int fragment_of_inside(ctx_t *ctx, struct in2out *io, struct fragment_piece *f,
					      struct rewrite *to, struct fragment **e)
{
	int verdict = in2out_prepare(ctx, io, PACKET_SESSION);

	if (verdict != CONTINUE)
		return verdict;
	if (fragment_piece_get(ctx, &io->f.p, FRAGMENT_FROM_INSIDE, f))
		return drop(REASON_drop_error);
	f->in_addr = io->f.p.src;
	*e = fragment_find(f, &to->src, &to->dst);
	return CONTINUE;
}

/* Inside to outside, at both hooks. */
static __always_inline int fragment_in2out(ctx_t *ctx)
{
	struct fragment_piece f;
	struct rewrite to;
	struct fragment *e;
	struct in2out io;
	int verdict = fragment_of_inside(ctx, &io, &f, &to, &e);

	if (verdict != CONTINUE)
		return verdict;
	if (!e && in2out_is_left_over(ctx, &io) && !unmatched_is_dropped(packet_tenant(ctx), f.in_addr))
		return in2out_unmatched(ctx, &io);
	if (!e)
		return fragment_park(ctx, &f);
	return fragment_translate(ctx, &io.f.p, e, &f, &to, in2out_egress(&io), DIRECTION_OUT);
}

#if AT_INGRESS

/* Finds and checks the egress of a later fragment towards a subscriber. */
static __always_inline int fragment_egress(ctx_t *ctx, const struct packet *p, __u32 in_addr, enum direction direction,
					   struct egress **ret)
{
	/* Its outside address says whose inside address it is. */
	const struct mapping *of = mapping_by_outside(p->dst),
			     *m = of ? mapping_of_inside(LOAD(of->tenant), in_addr) : 0;
	struct subscriber *s = m ? subscriber_get(m, mapping_subscriber(&m->geo, in_addr)) : 0;

	return s ? egress_towards(ctx, p, m, s, in_addr, direction, 0, ret) : drop(REASON_drop_no_mapping);
}

/* The host of an IPv6 subscriber that a later fragment from outside goes to is its first one's. Returns 0, or -1. */
static __always_inline int fragment_host(__u32 out_addr, __u32 in_addr, const struct fragment *e)
{
#if FAMILY6
	const struct mapping *m = mapping_by_outside(out_addr);

	if (!m || six_begin_inwards(m, mapping_subscriber(&m->geo, in_addr)))
		return -1;
	host6_note((__u64)LOAD(e->octets));
#endif
	return 0;
}

/* Tail-called by out2in_prepare(). */
static __always_inline int fragment_out2in(ctx_t *ctx)
{
	struct egress *egress;
	struct fragment_piece f;
	struct rewrite to;
	struct fragment *e;
	struct packet p;
	int verdict;

	if (parse(ctx, &p) != PACKET_FRAGMENT || fragment_piece_get(ctx, &p, FRAGMENT_FROM_OUTSIDE, &f))
		return drop(REASON_drop_error);
	e = fragment_find(&f, &to.src, &to.dst);
	if (!e) {
		if (address_is_local(ctx, p.src, p.dst))
			return pass_untranslated();
		return source_is_martian(p.src) ? drop_stranger(p.dst, REASON_drop_martian) : fragment_park(ctx, &f);
	}
	f.in_addr = to.dst;
	if (fragment_host(p.dst, to.dst, e))
		return drop(REASON_drop_error);
	verdict = fragment_egress(ctx, &p, to.dst, DIRECTION_IN, &egress);
	if (verdict != CONTINUE)
		return verdict;
	return fragment_translate(ctx, &p, e, &f, &to, egress, DIRECTION_IN);
}

#endif
#endif
