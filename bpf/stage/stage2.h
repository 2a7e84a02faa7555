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

/* Preferred slot of an entry's session, or NULL. The keys of the maps are in the entry: nothing is copied. */
static __always_inline struct slot *stage2_slot(const struct stage_entry *e)
{
	void *chunk = bpf_map_lookup_elem(&buckets, &e->chunk);
	struct bucket *b = chunk ? bpf_map_lookup_elem(chunk, &e->within) : 0;
	struct slot *s;

	if (!b)
		return 0;
	s = &b->slot[e->port_offset & (BUCKET_SLOTS - 1)];
	barrier_var(s); /* as in fib_hop_at() */
	return s;
}

/*
 * Reads a word of the slots of all entries that are new, so that their cache lines are fetched at the same time: as
 * many as the instructions between two reads leave room for in the processor.
 */
static __always_inline void stage2_touch(struct stage_list *list)
{
	__u32 from = list->touched, n = list->next - from;

	list->touched = list->next;
	if (n > STAGE_ENTRIES) {
		from += n - STAGE_ENTRIES;
		n = STAGE_ENTRIES;
	}
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < n; i++) {
		const struct stage_entry *e = stage_entry_of(list, from + i);
		const struct slot *s;

		barrier_var(e);
		s = stage2_slot(e);
		if (s)
			(void)LOAD(s->truth);
		/* Keeps the loop as it is written, which has the fewest instructions. */
		barrier_var(i);
	}
}

/*
 * Returns 1 if a packet leaves its session in a slot as it is but for last seen, and refreshes it. word: the state word
 * read; differs: 0 if that and the key are what the entry says, so that the session is live; again: by
 * slot_key_after().
 */
static __always_inline int stage2_hit(struct slot *s, const struct stage_entry *e, __u64 word, __u64 differs,
				      const struct slot *again)
{
	__u32 seen = word_seen(word);

	if (unlikely(differs || !word_same(LOAD(again->truth), word) || (__s32)(e->now - seen) > (__s32)e->timeout))
		return 0;
	if (seen != e->now && e->refreshes)
		word_refresh(&s->truth, e->now);
	return 1;
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
	*(volatile __u32 *)&list->current = e->place;
	__builtin_memcpy(eth->h_dest, in->mac, sizeof(eth->h_dest));
	return tail_call(ctx, prog);
}

static __always_inline int stage2_send(ctx_t *ctx, const struct fast_packet *q, const struct fib_hop *hop)
{
	ether_addresses_set(q->eth, (const struct ether_addresses *)hop->dmac);
	return XDP_PASS;
}

/* Without slots: the mapping is open, or being deleted. The port stays. */
static __always_inline int stage2_open_out(ctx_t *ctx, const struct stage_entry *e, const struct fast_packet *q,
					   const struct fib_hop *hop)
{
	const struct mapping_table *t = mapping_table_get();

	if (!t || !mapping_is_open(&t->mapping[e->mapping & (MAX_MAPPINGS - 1)]))
		return drop(REASON_drop_no_mapping);
	count_translated(REASON_in2out_translated, bpf_ntohs(q->ip->tot_len));
	fast_rewrite(q, 1, e->new_addr, bpf_ntohs(q->l4->sport));
	return stage2_send(ctx, q, hop);
}

/* The same from outside. No session has shown that the source is one that may be there. */
static __always_inline int stage2_open_in(ctx_t *ctx, struct stage_list *list, const struct stage_entry *e,
					  const struct fast_packet *q, const struct fib_hop *hop)
{
	const struct mapping_table *t = mapping_table_get();
	__u32 src = key_ext_addr(e->key);

	if (!t || !mapping_is_open(&t->mapping[e->mapping & (MAX_MAPPINGS - 1)]))
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

/* Without a session that stays as it is. Returns CONTINUE with the outside port in *ret_word, or a verdict. */
static __always_inline int stage2_session_out(ctx_t *ctx, struct stage_list *list, const struct stage_entry *e,
					      const struct fast_packet *q, struct slot *s, __u64 *ret_word)
{
	struct mapping_table *t = mapping_table_get();
	__u64 key = e->key;
	struct flow f = { .subscriber = e->subscriber, .port_offset = e->port_offset, .now = e->now, .key = key };
	int verdict;

	if (!t)
		return drop(REASON_drop_stage2);
	f.m = &t->mapping[e->mapping & (MAX_MAPPINGS - 1)];
	f.p = fast_parsed(q, bpf_ntohl(q->ip->saddr), key_ext_addr(key), key_in_port(key), key_ext_port(key),
			  fast_flags(q));
	verdict = fast_session_of(&f, s, ret_word);
	return verdict == TO_SLOW_PATH ? stage2_leave(ctx, list, e, q->eth, PROG_open) : verdict;
}

static __always_inline int stage2_out(ctx_t *ctx, struct stage_list *list, const struct stage_entry *e,
				      const struct fast_packet *q, const struct fib_hop *hop)
{
	struct slot *s = stage2_slot(e);
	const struct slot *again = s;
	__u64 word, key;

	if (unlikely(!s))
		return stage2_open_out(ctx, e, q, hop);
	word = LOAD(s->truth);
	key = slot_key_after(&again, word);
	if (unlikely(!stage2_hit(s, e, word, (((word >> 32) & WORD_KIND) ^ e->steady) | (key ^ e->key), again))) {
		int verdict = stage2_session_out(ctx, list, e, q, s, &word);

		if (verdict != CONTINUE)
			return verdict;
	}
	count_translated(REASON_in2out_translated, bpf_ntohs(q->ip->tot_len));
	fast_rewrite(q, 1, e->new_addr, word_out_port(word));
	return stage2_send(ctx, q, hop);
}

/* As stage2_session_out(), with the inside port in *ret_key, as in a slot's key. */
static __always_inline int stage2_session_in(ctx_t *ctx, struct stage_list *list, const struct stage_entry *e,
					     const struct fast_packet *q, __u64 *ret_key)
{
	struct mapping_table *t = mapping_table_get();
	struct packet p = fast_parsed(q, key_ext_addr(e->key), bpf_ntohl(q->ip->daddr), key_ext_port(e->key),
				      bpf_ntohs(q->l4->dport), fast_flags(q));

	if (!t)
		return drop(REASON_drop_stage2);
	if (fast_out2in_session(&t->mapping[e->mapping & (MAX_MAPPINGS - 1)], e->subscriber, e->new_addr, &p, e->now, 0,
				ret_key) == CONTINUE)
		return CONTINUE;
	return stage2_leave(ctx, list, e, q->eth, PROG_out2in_slow);
}

static __always_inline int stage2_in(ctx_t *ctx, struct stage_list *list, const struct stage_entry *e,
				     const struct fast_packet *q, const struct fib_hop *hop)
{
	struct slot *s = stage2_slot(e);
	const struct slot *again = s;
	__u64 word, key;

	if (unlikely(!s))
		return stage2_open_in(ctx, list, e, q, hop);
	word = LOAD(s->truth);
	key = slot_key_after(&again, word);
	if (unlikely(
		    !stage2_hit(s, e, word, ((word & WORD_OF_PORT) >> 32 ^ e->steady) | (key ^ e->key) >> 16, again))) {
		int verdict = stage2_session_in(ctx, list, e, q, &key);

		if (verdict != CONTINUE)
			return verdict;
	}
	count_translated(REASON_out2in_translated, bpf_ntohs(q->ip->tot_len));
	fast_rewrite(q, 0, e->new_addr, key_in_port(key));
	return stage2_send(ctx, q, hop);
}

static __always_inline int stage2_run(ctx_t *ctx)
{
	void *data = ctx_data(ctx);
	struct fast_packet q = { .eth = data, .ip = data + L3_OFFSET, .l4 = data + L3_OFFSET + sizeof(struct iphdr) };
	struct stage_list *list;
	struct stage_entry *e;
	__u32 sequence;

	/* Stage 1 marks no shorter frames. */
	if ((void *)(q.l4 + 1) > ctx_data_end(ctx) || STAGE_ETHERTYPE_AT(data) != bpf_htons(STAGE_ETHERTYPE))
		return XDP_PASS;
	list = stage_list_get();
	if (!list)
		return drop(REASON_drop_stage2);
	if (list->touched != list->next)
		stage2_touch(list);
	sequence = STAGE_SEQUENCE_AT(data);
	e = stage_entry_of(list, sequence);
	barrier_var(e);
	if (unlikely(STAGE_MAGIC_AT(data) != STAGE_MAGIC || e->place != stage_place(sequence)))
		return drop(REASON_drop_stage2);
	e->place = sequence;
	STAGE_ETHERTYPE_AT(data) = bpf_htons(ETH_P_IP);
	q.proto = q.ip->protocol;
	return e->from_inside ? stage2_out(ctx, list, e, &q, fib_hop_at(e->hop))
			      : stage2_in(ctx, list, e, &q, fib_hop_at(e->hop));
}

#endif
