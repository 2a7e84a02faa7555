/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 1: the fast path as far as the place of the session, for packets that the agent's copy of the routes sends by
 * XDP. Whatever may have to reach the kernel stays in one stage: stage 2 could only drop it.
 */
#ifndef DETNAT_STAGE1_H
#define DETNAT_STAGE1_H

#include "fast/fast_in2out.h"
#include "fast/fast_out2in.h"
#include "stage/stage_control.h"
#include "egress/stage_list.h"

/* A frame that has waited so long, in ticks, got lost on the way to stage 2. */
#define STAGE_LOST 2U

const volatile __u32 stage_generation; /* of this set of programs */

/* Returns this core's list if frames may be marked, or NULL. */
static __always_inline struct stage_list *stage1_list(void)
{
	__u32 zero = 0;
	const struct stage_control *c = bpf_map_lookup_elem(&stage_control, &zero);

	return c && LOAD(c->generation) == stage_generation ? stage_list_get() : 0;
}

/*
 * The entry for the next frame; NULL if too many are waiting. Lost frames keep theirs for STAGE_LOST ticks.
 */
static __always_inline struct stage_entry *stage1_entry(struct stage_list *list, __u32 now)
{
	__u32 sequence = list->next;
	struct stage_entry *e = stage_entry_of(list, sequence);

	barrier_var(e); /* as in fib_hop_at() */
	if (likely(!stage_place_waits(e->place, sequence)))
		return e;
	if (now - e->now < STAGE_LOST) {
		list->next = sequence + 1;
		return 0;
	}
	e->place = sequence;
	return e;
}

/* A packet's session, by which stage 2 finds it. */
struct stage1_flow {
	const struct mapping *m;
	__u32 leaf;
	__u32 subscriber;
	__u32 port_offset;
	__u32 ext_addr;
	__u16 ext_port;
};

/* How a session ages whose state the packet leaves as it is: fast_packet.steady. */
static __always_inline void stage1_note_age(struct stage_entry *e, const struct mapping *m, __u8 proto)
{
	if (likely(proto == IPPROTO_UDP)) {
		e->timeout = m->timeout_ticks[session_timeout(SESSION_UDP)];
		e->refreshes = e->from_inside | settings.udp_inbound_refresh;
	} else {
		e->timeout = m->timeout_ticks[session_timeout(SESSION_ESTABLISHED)];
		e->refreshes = e->from_inside;
	}
}

/*
 * Fills in what an entry has in both directions, but for key and next hop. That is done before the route is looked up,
 * whether or not the frame gets to stage 2: what has been written needs no register any more.
 */
static __always_inline void stage1_note(ctx_t *ctx, struct stage_entry *e, const struct stage1_flow *f,
					const struct fast_packet *q, __u32 now)
{
	__u32 bucket = f->m->first_bucket + (f->subscriber << f->m->bucket_shift) +
		       session_buckets(f->ext_addr, f->ext_port, q->proto, f->port_offset, f->m->bucket_shift).first;

	e->now = now;
	e->chunk = bucket >> BUCKET_CHUNK_SHIFT;
	e->within = bucket & (BUCKET_CHUNK - 1);
	stage1_note_age(e, f->m, q->proto);
	e->subscriber = f->subscriber;
	e->ingress = ctx_ingress(ctx);
	e->mapping = f->leaf & (MAX_MAPPINGS - 1);
	e->port_offset = (__u16)f->port_offset;
}

/* Sends a frame whose entry is filled in to stage 2. Returns a verdict, or TO_SLOW_PATH with nothing changed. */
static __always_inline int stage1_send(struct stage_list *list, struct stage_entry *e, const struct fast_packet *q,
				       __u32 number, const struct fib_hop *hop)
{
	int verdict = (int)bpf_redirect_map(&ports, hop->ifindex, XDP_ABORTED);
	__u32 sequence;

	if (unlikely(verdict != XDP_REDIRECT))
		return TO_SLOW_PATH;
	sequence = list->next;
	list->next = sequence + 1;
	e->hop = (__u16)number;
	e->place = stage_place(sequence);
	stage_mark_set(q->eth, sequence);
	return verdict;
}

/* Returns 1 if the source of a packet may open and refresh sessions, so that stage 2 need not ask. */
static __always_inline int stage1_source_is_good(ctx_t *ctx, const struct globals *g, __u32 src, __u32 now)
{
	if (settings.source_check != SOURCES_STRICT_EACH && likely(source_is_vouched(g, src, now)))
		return 1;
	return source_is_told(fib_find(src), ctx_ingress(ctx));
}

static __always_inline const struct mapping *stage1_mapping(const struct mapping_table *t, __u32 leaf)
{
	const struct mapping *m = &t->mapping[leaf & (MAX_MAPPINGS - 1)];

	barrier_var(m); /* as in fib_hop_at() */
	return m;
}

/* Fills in an entry for a packet from inside. Returns 0, or -1 if no mapping has its source. */
static __always_inline int stage1_note_out(ctx_t *ctx, const struct mapping_table *t, const struct fast_packet *q,
					   struct stage_entry *e, __u32 now)
{
	__u32 src = bpf_ntohl(q->ip->saddr), dst = bpf_ntohl(q->ip->daddr);
	__u32 leaf = fib_find_mapping(&fib.inside, &in_index, src);

	if (unlikely(!leaf))
		return -1;

	const struct mapping *m = stage1_mapping(t, leaf);
	__u16 sport = bpf_ntohs(q->l4->sport), dport = bpf_ntohs(q->l4->dport);
	struct stage1_flow f = { .m = m,
				 .leaf = leaf,
				 .subscriber = mapping_subscriber(&m->geo, src),
				 .port_offset = mapping_first_choice(&m->geo, sport),
				 .ext_addr = dst,
				 .ext_port = dport };

	e->key = slot_key(dst, dport, sport);
	e->steady = q->steady;
	e->new_addr = mapping_out_addr(&m->geo, f.subscriber);
	e->from_inside = 1;
	stage1_note(ctx, e, &f, q, now);
	return 0;
}

/*
 * Returns a verdict, or TO_SLOW_PATH with nothing changed. Packets that have to stay in one stage for a reason that the
 * fast path does not share go to its program.
 */
static __always_inline int stage1_in2out(ctx_t *ctx)
{
	const __u32 mask = EACH_PACKET(redirect, 0xff) | EACH_PACKET(policy_routing, 0xff);
	const struct mapping_table *t = mapping_table_get();
	struct stage_list *list = stage1_list();
	struct stage_entry *e;
	struct fast_packet q;
	int verdict;

	if (unlikely(!list))
		return tail_call(ctx, PROG_in2out_single);
	if ((settings.each_packet & mask) != EACH_PACKET(redirect, 1) || !t || !fast_parse(ctx, &q))
		return TO_SLOW_PATH;

	__u32 now = now_ticks();

	if (unlikely(!fib_holds(&t->globals, now)))
		return tail_call(ctx, PROG_in2out_cached);

	e = stage1_entry(list, now);
	if (unlikely(!e))
		return tail_call(ctx, PROG_in2out_single);
	if (unlikely(stage1_note_out(ctx, t, &q, e, now)))
		return TO_SLOW_PATH;

	__u32 number = fib_find_number(bpf_ntohl(q.ip->daddr));
	struct fib_hop *hop = fib_hop_at(number);

	if (unlikely(!fib_takes(hop, FIB_FAST_OUT, bpf_ntohs(q.ip->tot_len)) ||
		     !fib_is_for_us(q.eth, ctx_ingress(ctx))))
		return TO_SLOW_PATH;
	if (unlikely(!stage1_source_is_good(ctx, &t->globals, bpf_ntohl(q.ip->saddr), now)))
		return tail_call(ctx, PROG_in2out_single);
	fib_used(hop, now);
	verdict = stage1_send(list, e, &q, number, hop);
	return likely(FINAL(verdict)) ? verdict : tail_call(ctx, PROG_in2out_single);
}

/*
 * Returns 1 if the kernel has to be asked whether the route back to the source of a packet that needs no session leads
 * out, see portmap_source_is_told(): a strict reverse-path filter is on, and the copy does not know the route.
 */
static __always_inline int stage1_source_is_unknown(const struct fast_packet *q)
{
	return settings.outside_filter && (settings.portmaps || settings.filtering || settings.open_mappings) &&
	       !(LOAD(fib_find(bpf_ntohl(q->ip->saddr))->flags) & FIB_ROUTED);
}

/* Returns 1 if a packet without a session could be for the gateway itself, or has to be answered in one stage. */
static __always_inline int stage1_in_is_single(const struct fast_packet *q, __u32 dst)
{
	return (settings.unsolicited_tcp == UNSOLICITED_ANSWER && q->proto == IPPROTO_TCP) || fib_may_be_own(dst) ||
	       stage1_source_is_unknown(q);
}

/*
 * Fills in an entry for a packet from outside to an outside address of a mapping, which leaf is of. Returns the
 * receiver's address, or -1 if no subscriber has the port.
 */
static __always_inline __s64 stage1_note_in(ctx_t *ctx, const struct mapping_table *t, const struct fast_packet *q,
					    struct stage_entry *e, __u32 leaf, __u32 now)
{
	const struct mapping *m = stage1_mapping(t, leaf);
	__u32 src = bpf_ntohl(q->ip->saddr);
	__u16 sport = bpf_ntohs(q->l4->sport), dport = bpf_ntohs(q->l4->dport);
	__u32 port_offset;
	__s64 reverse = mapping_reverse_at(&m->geo, bpf_ntohl(q->ip->daddr), dport, &port_offset);

	if (unlikely(reverse < 0))
		return -1;

	struct stage1_flow f = { .m = m,
				 .leaf = leaf,
				 .subscriber = (__u32)reverse,
				 .port_offset = port_offset,
				 .ext_addr = src,
				 .ext_port = sport };
	__u32 in_addr = m->geo.in_base + f.subscriber;

	e->key = slot_key(src, sport, 0);
	e->steady = (__u32)dport << 16 | q->steady;
	e->new_addr = in_addr;
	e->from_inside = 0;
	stage1_note(ctx, e, &f, q, now);
	return in_addr;
}

/* The rest of the way of a packet from outside. */
static __always_inline int stage1_out2in_to(ctx_t *ctx, const struct mapping_table *t, const struct fast_packet *q,
					    struct stage_list *list, __u32 leaf, __u32 now)
{
	struct stage_entry *e = stage1_entry(list, now);
	__s64 in_addr;

	if (unlikely(!e))
		return TO_SLOW_PATH;
	in_addr = stage1_note_in(ctx, t, q, e, leaf, now);
	if (unlikely(in_addr < 0))
		return TO_SLOW_PATH;

	__u32 number = fib_find_number((__u32)in_addr);
	struct fib_hop *hop = fib_hop_at(number);

	if (unlikely(!fib_takes(hop, FIB_FAST_IN, bpf_ntohs(q->ip->tot_len)) ||
		     source_is_in_pool(&t->globals, bpf_ntohl(q->ip->saddr))))
		return TO_SLOW_PATH;
	fib_used(hop, now);
	return stage1_send(list, e, q, number, hop);
}

/* As stage1_in2out(). */
static __always_inline int stage1_out2in(ctx_t *ctx)
{
	const __u32 mask =
		EACH_PACKET(redirect, 0xff) | EACH_PACKET(policy_routing, 0xff) | EACH_PACKET(outside_strict, 0xff);
	const struct mapping_table *t = mapping_table_get();
	struct stage_list *list = stage1_list();
	struct fast_packet q;
	int verdict;

	if (unlikely(!list))
		return tail_call(ctx, PROG_out2in_single);
	if ((settings.each_packet & mask) != EACH_PACKET(redirect, 1) || !t || !fast_parse(ctx, &q))
		return TO_SLOW_PATH;

	if (unlikely(!fib_is_for_us(q.eth, ctx_ingress(ctx))))
		return TO_SLOW_PATH;

	__u32 now = now_ticks(), dst = bpf_ntohl(q.ip->daddr);

	if (unlikely(!fib_holds(&t->globals, now)))
		return tail_call(ctx, PROG_out2in_cached);

	__u32 leaf = fib_find_mapping(&fib.outside, &out_index, dst);

	if (unlikely(!leaf))
		return TO_SLOW_PATH;
	if (unlikely(stage1_in_is_single(&q, dst)))
		return tail_call(ctx, PROG_out2in_single);
	verdict = stage1_out2in_to(ctx, t, &q, list, leaf, now);
	return likely(FINAL(verdict)) ? verdict : tail_call(ctx, PROG_out2in_single);
}

#endif
