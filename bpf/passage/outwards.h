/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All packets of IPv6 that come to an interface, of whichever role: those of subscribers to the NAT64 prefix of their
 * mapping enter, those that forge one, or are not to be there, are dropped, and all others are the kernel's.
 */
#ifndef DETNAT_OUTWARDS_H
#define DETNAT_OUTWARDS_H

#include "session/host6.h"
#include "passage/passage.h"
#include "slow/in2out.h"

/* The range of inside prefixes that an upper half is in; NULL: none. */
static __always_inline const struct range6 *range6_find(__u64 hi)
{
	__u32 zero = 0;
	const struct indices6 *all = bpf_map_lookup_elem(&indices6, &zero);
	const struct index6 *index;
	const struct range6 *r;

	if (!all)
		return 0;
	index = &all->index[LOAD(all->current) & 1];
	barrier_var(index);
	if (likely(range6_has(&index->hint, hi)))
		return LOAD(index->hint.leaf) ? &index->hint : 0;
	r = index6_search(index, hi);
	return range6_has(r, hi) && LOAD(r->leaf) ? r : 0;
}

/*
 * Leaf of the mapping of an upper half, or 0. *ret_virt: virtual address of the subscriber. A subprogram, as the search
 * has many ways.
 */
SUBPROGRAM __u64 six_index(__u64 hi)
{
	const struct range6 *r = range6_find(hi);

	return r ? (__u64)range6_virtual(r, hi) << 32 | LOAD(r->leaf) : 0;
}

/* Returns 1 if an address is in any NAT64 prefix. */
SUBPROGRAM int six_is_prefixed(__u64 hi, __u64 lo)
{
	struct prefix6_key key = { .plen = 128 };

	__builtin_memcpy(key.addr, &hi, sizeof(hi));
	__builtin_memcpy(key.addr + sizeof(hi), &lo, sizeof(lo));
	return !!bpf_map_lookup_elem(&prefixes6, &key);
}

/* Handles a packet whose source is no subscriber's, or whose destination is not in its mapping's prefix. */
static __always_inline int six_other(ctx_t *ctx, const struct device *in, int subscriber, const __u64 src[2],
				     const __u64 dst[2])
{
	__u64 to = six_index(be64_number(dst[0]));
	const struct record6 *r = to ? record6_of((__u32)to) : 0;

	/* Only the gateway sends from the prefix of a subscriber's own mapping to it. */
	if (r && nat64_has(r, src))
		return drop(REASON_drop_spoofed);
	if (subscriber || !six_is_prefixed(dst[0], dst[1]))
		return pass_untranslated();
	return in->roles & DEVICE_INSIDE ? TAIL_CALL(PROG_six_stray) : drop(REASON_drop_martian);
}

/* Notes the subscriber of an address, by what six_index() has found, and the host in *x. Returns 0, or -1. */
static __always_inline int six_note(struct six *x, const struct mapping *m, __u64 found, const __u64 addr[2])
{
	/* The subnet-router anycast address is nobody's. */
	if (!addr[1])
		return -1;
	x->hi = be64_number(addr[0]);
	x->lo = addr[1];
	return six_subscriber(x, m, mapping_subscriber(&m->geo, (__u32)(found >> 32)));
}

/* Returns CONTINUE if the packet is one of a subscriber to its NAT64 prefix, which is noted in *x; or a verdict. */
static __always_inline int six_admit(ctx_t *ctx, struct six *x)
{
	void *data = ctx_data(ctx);
	const struct device *in = device_get(packet_ingress(ctx));
	const struct ethhdr *eth = data;
	const struct ipv6hdr *ip = data + L3_OFFSET;
	struct mapping_table *t = mapping_table_get();
	const struct record6 *r;
	const struct mapping *m;
	__u64 src[2], dst[2], found;

	x->entered = x->is_six = 0;
	x->virt = 0;
	if ((void *)(ip + 1) > ctx_data_end(ctx) || eth->h_proto != bpf_htons(ETH_P_IPV6) || !in || !in->roles ||
	    !frame_is_for(ctx, eth, in))
		return pass_untranslated();
	src[0] = ((__u64 *)&ip->saddr)[0];
	src[1] = ((__u64 *)&ip->saddr)[1];
	dst[0] = ((__u64 *)&ip->daddr)[0];
	dst[1] = ((__u64 *)&ip->daddr)[1];
	found = in->roles & DEVICE_INSIDE ? six_index(be64_number(src[0])) : 0;
	r = found ? record6_of((__u32)found) : 0;
	m = mapping_of_leaf(t, (__u32)found & 0xffff);
	if (!r || !m || !nat64_has(r, dst))
		return six_other(ctx, in, !!r, src, dst);
	x->is_six = 1;
	return six_note(x, m, found, src) ? drop(REASON_drop_martian) : CONTINUE;
}

/* Refuses a packet that does not enter, as often as its subscriber's limit allows. pointer: of RFC 4443 section 3.4. */
static __always_inline int six_refuse(ctx_t *ctx, const struct mapping *m, const struct six *x, __u32 refused,
				      __u32 pointer)
{
	struct subscriber *s = subscriber_get(m, mapping_subscriber(&m->geo, x->virt));

	if (pointer)
		return egress_answer(s, refused, REASON_sent_icmp_parameter, ICMP_PARAMETERPROB, 0, pointer);
	if (refused == REASON_drop_martian || refused == REASON_drop_protocol)
		return egress_answer(s, refused, REASON_sent_icmp_unreachable, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
	return drop((enum reason)refused);
}

/* Has the packet that packet6_read() has read enter. Returns CONTINUE, or a verdict. */
static __always_inline int six_go_in(ctx_t *ctx, struct six *x, const struct mapping *m, __u32 mtu4, __u32 mtu6)
{
	struct packet6 *s = packet6_get();
	const struct record6 *r = record6_of(x->leaf);
	int refused;

	if (!s || !r)
		return drop(REASON_drop_error);
	s->virt = x->virt;
	s->quoted_virt = x->virt;
	s->out_addr = mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, x->virt));
	s->mtu4 = mtu4;
	s->mtu6 = mtu6;
	refused = enter_packet(ctx, r);
	if (refused)
		return six_refuse(ctx, m, x, (__u32)refused, 0);
	x->entered = 1;
	x->is_six = 0;
	host6_find();
	return CONTINUE;
}

/*
 * An error is of the subscriber that it quotes a packet to, by whose outside address it leaves, whichever router has
 * sent it: what a router inside has for an address is nobody's business. Returns CONTINUE if it is noted in *x, or a
 * verdict.
 */
static __always_inline int six_admit_error(ctx_t *ctx, struct six *x)
{
	const struct packet6 *s = packet6_get();
	const struct record6 *r;
	const struct mapping *m;
	__u64 found;

	if (!s)
		return drop(REASON_drop_error);
	found = six_index(be64_number(s->quoted.dst[0]));
	r = found ? record6_of((__u32)found) : 0;
	m = mapping_of_leaf(mapping_table_get(), (__u32)found & 0xffff);
	if (!r || !m || !nat64_has(r, s->whole.dst) || six_note(x, m, found, s->quoted.dst))
		return drop(REASON_drop_no_session);
	/* Other subscribers say nothing of its packets. */
	found = six_index(be64_number(s->whole.src[0]));
	return found && (__u32)(found >> 32) != x->virt ? drop(REASON_drop_no_session) : CONTINUE;
}

/*
 * Returns 1 if the packet that packet6_read() has read has ports, or an identifier. Others have no sessions, and so
 * there is nothing to say which host of the subscriber an answer is for, even where it has an outside address to
 * itself.
 */
static __always_inline int six_has_ports(const struct packet6 *s)
{
	__u8 proto = LOAD(s->whole.proto);

	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMPV6;
}

/* PROG_six_out_slow. */
static __always_inline int six_out_slow(ctx_t *ctx)
{
	const struct packet6 *s = packet6_get();
	const struct mapping *m;
	struct six *x = six_get();
	int verdict = x && s ? six_admit(ctx, x) : drop(REASON_drop_error), refused;

	if (verdict != CONTINUE)
		return verdict_resume(ctx, verdict);
	refused = packet6_read(ctx);
	m = mapping_of_leaf(mapping_table_get(), x->leaf);
	if (!m)
		return drop(REASON_drop_error);
	if (refused)
		return verdict_resume(ctx, six_refuse(ctx, m, x, (__u32)refused, LOAD(s->whole.pointer)));
	if (LOAD(s->is_error))
		return tail_call(ctx, PROG_six_stray);
	verdict = six_has_ports(s) ? six_go_in(ctx, x, m, 0, 0) : six_refuse(ctx, m, x, REASON_drop_protocol, 0);
	return verdict == CONTINUE ? tail_call(ctx, PROG_in2out) : verdict_resume(ctx, verdict);
}

/* MTU of the way to an address outside, octets, for an error to there; 0: not known, or not one that leaves. */
static __always_inline __u32 six_mtu_out(ctx_t *ctx, __u32 src, __u32 dst)
{
	struct egress *e = egress_get();

	if (!e || leaf_outside(dst))
		return 0;
	egress_find(ctx, src, dst, packet_ingress(ctx), e);
	return e->state == EGRESS_READY ? e->longest : 0;
}

/*
 * PROG_six_stray: packets from inside to a NAT64 prefix whose source is not a subscriber's of a mapping with it, or may
 * not be, as they are errors.
 */
static __always_inline int six_stray(ctx_t *ctx)
{
	const struct device *in = device_get(packet_ingress(ctx));
	const struct packet6 *s = packet6_get();
	const struct record6 *r;
	const struct mapping *m;
	struct six *x = six_get();
	int verdict;

	if (!x || !s || !in)
		return drop(REASON_drop_error);
	if (packet6_read(ctx) || !LOAD(s->is_error))
		return drop(REASON_drop_no_mapping);
	x->is_six = 1;
	verdict = six_admit_error(ctx, x);
	if (verdict != CONTINUE)
		return verdict;
	m = mapping_of_leaf(mapping_table_get(), x->leaf);
	r = record6_of(x->leaf);
	if (!m || !r)
		return drop(REASON_drop_error);
	verdict = six_go_in(ctx, x, m, six_mtu_out(ctx, x->virt, nat64_address4(r, s->whole.dst)), in->mtu);
	return verdict == CONTINUE ? tail_call(ctx, PROG_in2out) : verdict_resume(ctx, verdict);
}

#endif
