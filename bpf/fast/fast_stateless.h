/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Open mappings on the fast path: no slot is read, and the port stays. Subprograms that begin anew, so that packets of
 * sessions do not keep in registers what these need. protocol.h does everything else.
 */
#ifndef DETNAT_FAST_STATELESS_H
#define DETNAT_FAST_STATELESS_H

#include "egress/source.h"
#include "fast/fast_path.h"
#include "subscriber/drain_lookup.h"
#include "subscriber/stateless.h"

/* A packet, and what the tables say of it. */
struct fast_stateless {
	struct fast_packet q;
	struct globals *g;
	const struct mapping *m;
	struct fib_hop *hop;
	__u32 leaf; /* of the mapping */
	__u32 src;
	__u32 dst;
	__u32 now;
};

/* Fills in all but leaf and hop. Returns 1 if the packet may be for the fast path. */
static __always_inline int fast_stateless_begin(ctx_t *ctx, struct mapping_table *t, struct fast_stateless *f)
{
	if (!settings.open_mappings || !settings.redirect || settings.policy_routing || !t || !fast_parse(ctx, &f->q))
		return 0;
	f->g = &t->globals;
	f->src = bpf_ntohl(f->q.ip->saddr);
	f->dst = bpf_ntohl(f->q.ip->daddr);
	f->now = now_ticks();
	return fib_holds(f->g, f->now) && fib_is_for_us(f->q.eth, ctx_ingress(ctx));
}

/* Returns 1 if the mapping of a leaf is open, and the next hop of an address takes the packet. flag: as fib_takes(). */
static __always_inline int fast_stateless_takes(ctx_t *ctx, struct mapping_table *t, struct fast_stateless *f,
						__u32 leaf, __u32 to, __u32 flag)
{
	f->leaf = leaf;
	f->m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];
	f->hop = fib_find(to);
	return leaf && mapping_is_open(f->m) && mapping_is_one_to_one(f->m) &&
	       fib_takes(f->hop, flag, fast_sent_length(ctx, &f->q));
}

/* Counts, rewrites and sends the packet. */
static __always_inline int fast_stateless_send(ctx_t *ctx, const struct fast_stateless *f, int source, __u32 new_addr)
{
	const struct fast_packet *q = &f->q;

	fib_used(f->hop, f->now);
	count_translated(source ? REASON_in2out_translated : REASON_out2in_translated, bpf_ntohs(q->ip->tot_len));
	return fast_send(ctx, q, source, new_addr, bpf_ntohs(source ? q->l4->sport : q->l4->dport), f->hop);
}

/* Returns 1 if the agent's word is enough for a sender inside. No session has shown that it may be there. */
static __always_inline int fast_stateless_sender(ctx_t *ctx, const struct fast_stateless *f)
{
	return source_is_vouched(f->g, f->src, f->now) || source_is_told(fib_find(f->src), ctx_ingress(ctx));
}

/* The same for one outside, and the inside address may not be an exception's, nor the outside one the gateway's. */
static __always_inline int fast_stateless_stranger(const struct fast_stateless *f, __u32 in_addr)
{
	return !settings.outside_filter && source_is_vouched(f->g, f->src, f->now) && !fib_may_be_own(f->dst) &&
	       index_find(&in_index, in_addr) == f->leaf && !source_is_martian(f->src) && !address_is_inside(f->src);
}

/* A packet from inside of a mapping without slots: it is open, or being deleted. A verdict, or TO_SLOW_PATH. */
SUBPROGRAM int fast_stateless_out(ctx_t *ctx)
{
	struct mapping_table *t = mapping_table_get();
	struct fast_stateless f;

	if (!fast_stateless_begin(ctx, t, &f) ||
	    !fast_stateless_takes(ctx, t, &f, fib_find_mapping(&fib.inside, &in_index, f.src), f.dst, FIB_SENDS_OUT) ||
	    !fast_stateless_sender(ctx, &f))
		return TO_SLOW_PATH;
	TRACE_STEP(next_hop, (__u64)f.hop->ifindex << 32 | HOP_OUT, f.hop->mtu);
	TRACE_SUBSCRIBER(f.m, f.src - f.m->geo.in_base);
	return fast_stateless_send(ctx, &f, 1, f.m->geo.out_base + (f.src - f.m->geo.in_base));
}

/* A packet from outside to no block of a mapping, or to one without slots; likewise. */
SUBPROGRAM int fast_stateless_in(ctx_t *ctx)
{
	struct mapping_table *t = mapping_table_get();
	struct fast_stateless f;
	__u32 leaf, in_addr;

	if (!fast_stateless_begin(ctx, t, &f))
		return TO_SLOW_PATH;
	leaf = fib_find_mapping(&fib.outside, &out_index, f.dst);
	in_addr = t->mapping[leaf & (MAX_MAPPINGS - 1)].geo.in_base + f.dst -
		  t->mapping[leaf & (MAX_MAPPINGS - 1)].geo.out_base;
	if (!fast_stateless_takes(ctx, t, &f, leaf, in_addr, FIB_SENDS_IN) || !fast_stateless_stranger(&f, in_addr))
		return TO_SLOW_PATH;
	TRACE_SUBSCRIBER(f.m, in_addr - f.m->geo.in_base);
	TRACE_STEP(egress, (__u64)f.hop->ifindex << 32, f.hop->mtu);
	return fast_stateless_send(ctx, &f, 0, in_addr);
}

#endif
