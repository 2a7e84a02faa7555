/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage 2: finds the session of a frame that stage 1 has marked, or opens it, and sends the frame or drops it. Other
 * frames pass untouched. The order of checks is that of the fast path, which left off before the slot was read.
 *
 * The kernel runs it over up to 16 frames at a time. The index of the interface that a frame came in by is in the
 * entry, because kernels before 6.1.114 and 6.12 leave it undefined here, and the routes cannot be asked.
 */
#ifndef DETNAT_STAGE2_H
#define DETNAT_STAGE2_H

#include "fast/fast_in2out.h"
#include "fast/fast_out2in.h"
#include "slow/portmap_source.h"
#include "egress/stage_list.h"

/* Preferred slot of an entry's session, or NULL. */
static __always_inline struct slot *stage2_slot(const struct stage_entry *e)
{
	__u32 chunk = e->bucket >> BUCKET_CHUNK_SHIFT, within = e->bucket & (BUCKET_CHUNK - 1);
	void *in = bpf_map_lookup_elem(&buckets, &chunk);
	struct bucket *b = in ? bpf_map_lookup_elem(in, &within) : 0;

	return b ? &b->slot[e->port_offset & (BUCKET_SLOTS - 1)] : 0;
}

/* Reads a word of the slots of all entries that are new, so that their cache lines are fetched at the same time. */
static __always_inline void stage2_touch(struct stage_list *list)
{
	__u32 next = list->next, at = list->touched;

	list->touched = next;
	if (next - at > STAGE_ENTRIES)
		at = next - STAGE_ENTRIES;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < STAGE_ENTRIES; i++) {
		const struct slot *s;

		if (at == next)
			return;
		s = stage2_slot(stage_entry_of(list, at++));
		if (s)
			(void)LOAD(s->truth);
	}
}

/*
 * Leaves a frame to another program of stage 2. It gets back the address of this station, which it was sent to, so that
 * it is whole.
 */
static __always_inline int stage2_leave(ctx_t *ctx, struct stage_list *list, const struct stage_entry *e,
					struct ethhdr *eth, enum prog prog)
{
	struct arguments *n = arguments_get();
	const struct device *in = device_get(e->ingress);

	if (!n || !in)
		return drop(REASON_drop_stage2);
	*(volatile __u32 *)&n->ingress = e->ingress;
	*(volatile __u32 *)&list->current = e->sequence;
	__builtin_memcpy(eth->h_dest, in->mac, sizeof(eth->h_dest));
	return tail_call(ctx, prog);
}

static __always_inline int stage2_send(ctx_t *ctx, const struct fast_packet *q, const struct fib_hop *hop)
{
	ether_addresses_set(q->eth, (const struct ether_addresses *)hop->dmac);
	return XDP_PASS;
}

/* Without slots: the mapping is open, or being deleted. The port stays. */
static __always_inline int stage2_open_out(ctx_t *ctx, struct mapping_table *t, const struct stage_entry *e,
					   const struct fast_packet *q, const struct fib_hop *hop)
{
	if (!mapping_is_open(&t->mapping[e->mapping & (MAX_MAPPINGS - 1)]))
		return drop(REASON_drop_no_mapping);
	count_translated(REASON_in2out_translated, bpf_ntohs(q->ip->tot_len));
	fast_rewrite(q, 1, e->new_addr, bpf_ntohs(q->l4->sport));
	return stage2_send(ctx, q, hop);
}

/* The same from outside. No session has shown that the source is one that may be there. */
static __always_inline int stage2_open_in(ctx_t *ctx, const struct mapping_table *t, struct stage_list *list,
					  const struct stage_entry *e, const struct fast_packet *q,
					  const struct fib_hop *hop)
{
	__u32 src = key_ext_addr(e->key);

	if (!mapping_is_open(&t->mapping[e->mapping & (MAX_MAPPINGS - 1)]))
		return drop(REASON_drop_no_session);
	/* The first: an exception has the inside address, see receiver_alone(). */
	if (index_find(&in_index, e->new_addr) != (INDEX_LEAF | e->mapping) || source_is_martian(src) ||
	    address_is_inside(src))
		return stage2_leave(ctx, list, e, q->eth, PROG_out2in_slow);
	if (!portmap_source_is_told(&t->globals, src, e->ingress, e->now))
		return drop(REASON_drop_martian);
	count_translated(REASON_out2in_translated, bpf_ntohs(q->ip->tot_len));
	fast_rewrite(q, 0, e->new_addr, bpf_ntohs(q->l4->dport));
	return stage2_send(ctx, q, hop);
}

static __always_inline int stage2_out(ctx_t *ctx, struct mapping_table *t, struct stage_list *list,
				      const struct stage_entry *e, const struct fast_packet *q,
				      const struct fib_hop *hop)
{
	struct slot *s = stage2_slot(e);
	__u64 word, key = e->key;

	if (unlikely(!s))
		return stage2_open_out(ctx, t, e, q, hop);
	word = LOAD(s->truth);
	if (unlikely((word ^ e->steady) << 16 || LOAD(s->key) != key || LOAD(s->truth) != word)) {
		struct flow f = { .m = &t->mapping[e->mapping & (MAX_MAPPINGS - 1)],
				  .subscriber = e->subscriber,
				  .port_offset = e->port_offset,
				  .now = e->now,
				  .key = key };
		int verdict;

		f.p = fast_parsed(q, bpf_ntohl(q->ip->saddr), key_ext_addr(key), key_in_port(key), key_ext_port(key));
		verdict = fast_session_of(&f, s, &word);
		if (verdict == TO_SLOW_PATH)
			return stage2_leave(ctx, list, e, q->eth, PROG_open);
		if (verdict != CONTINUE)
			return verdict;
	}
	count_translated(REASON_in2out_translated, bpf_ntohs(q->ip->tot_len));
	fast_rewrite(q, 1, e->new_addr, word_out_port(word));
	return stage2_send(ctx, q, hop);
}

static __always_inline int stage2_in(ctx_t *ctx, struct mapping_table *t, struct stage_list *list,
				     const struct stage_entry *e, const struct fast_packet *q,
				     const struct fib_hop *hop)
{
	const struct mapping *m = &t->mapping[e->mapping & (MAX_MAPPINGS - 1)];
	const struct slot *s = stage2_slot(e);
	__u64 word, key;

	if (unlikely(!s))
		return stage2_open_in(ctx, t, list, e, q, hop);
	word = LOAD(s->truth);
	key = LOAD(s->key);
	if (unlikely((word ^ e->steady) >> 32 || (key ^ e->key) >> 16 || LOAD(s->truth) != word ||
		     word_expired(word, e->now, m->timeout_ticks) ||
		     (settings.udp_inbound_refresh && q->proto == IPPROTO_UDP && word_seen(word) != e->now))) {
		struct packet p = fast_parsed(q, key_ext_addr(e->key), bpf_ntohl(q->ip->daddr), key_ext_port(e->key),
					      bpf_ntohs(q->l4->dport));

		if (fast_out2in_session(m, e->subscriber, &p, e->now, &key) != CONTINUE)
			return stage2_leave(ctx, list, e, q->eth, PROG_out2in_slow);
	}
	count_translated(REASON_out2in_translated, bpf_ntohs(q->ip->tot_len));
	fast_rewrite(q, 0, e->new_addr, key_in_port(key));
	return stage2_send(ctx, q, hop);
}

static __always_inline int stage2_run(ctx_t *ctx)
{
	void *data = ctx_data(ctx);
	struct fast_packet q = { .eth = data, .ip = data + L3_OFFSET, .l4 = data + L3_OFFSET + sizeof(struct iphdr) };
	const struct stage_mark *mark = data;
	struct mapping_table *t;
	struct stage_list *list;
	struct stage_entry *e;
	__u32 sequence;

	/* Stage 1 marks no shorter frames. */
	if ((void *)(q.l4 + 1) > ctx_data_end(ctx) || q.eth->h_proto != bpf_htons(STAGE_ETHERTYPE))
		return XDP_PASS;
	t = mapping_table_get();
	list = stage_list_get();
	if (!t || !list)
		return drop(REASON_drop_stage2);
	if (list->touched != list->next)
		stage2_touch(list);
	sequence = mark->sequence[0] | (__u32)mark->sequence[1] << 16;
	e = stage_entry_of(list, sequence);
	if (unlikely(mark->magic != STAGE_MAGIC || e->sequence != sequence || !e->waits))
		return drop(REASON_drop_stage2);
	e->waits = 0;
	q.eth->h_proto = bpf_htons(ETH_P_IP);
	q.proto = q.ip->protocol;
	return e->from_inside ? stage2_out(ctx, t, list, e, &q, &fib.hop[e->hop])
			      : stage2_in(ctx, t, list, e, &q, &fib.hop[e->hop]);
}

#endif
