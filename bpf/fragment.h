/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams in fragments: what the first one leaves for those that follow, and what is refused of them. Each octet of a
 * datagram passes once, the first time it comes (RFC 1858, RFC 3128): what overlaps is dropped.
 *
 * The two functions that are not inline are verified once each, and not wherever a packet's way ends.
 */
#ifndef DETNAT_FRAGMENT_H
#define DETNAT_FRAGMENT_H

#include "count.h"
#include "lock.h"
#include "lookup.h"
#include "parse.h"
#include "settings.h"

/* A fragment as its header describes it. */
struct fragment_piece {
	struct fragment_key key;
	__u32 start;   /* octets of payload before it */
	__u32 end;     /* and up to its last */
	__u32 more;    /* others are to follow it in the datagram */
	__u32 in_addr; /* the subscriber it counts for */
};

/* What a new entry begins as: it is longer than the stack. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fragment);
} fragment_blank SEC(".maps");

/* 0, or -1 where the packet is not what parse() saw. */
static __always_inline int fragment_piece_get(ctx_t *ctx, const struct packet *p, enum fragment_side side,
					      struct fragment_piece *ret)
{
	struct iphdr *ip = ctx_data(ctx) + L3_OFFSET;
	__u32 field;

	if ((void *)(ip + 1) > ctx_data_end(ctx))
		return -1;
	field = bpf_ntohs(ip->frag_off);
	*ret = (struct fragment_piece){
		.key = { .src = p->src, .dst = p->dst, .id = bpf_ntohs(ip->id), .proto = p->proto, .side = side },
		.start = (field & IP_OFFSET_MASK) << FRAGMENT_UNIT_SHIFT,
		.more = field & IP_FLAG_MF,
	};
	ret->end = ret->start + p->length - (p->l4_offset - L3_OFFSET);
	return 0;
}

/*
 * A word that counts within a second: second 16 | count 16. Admission is 0, or -1 where the limit is reached; a lost
 * race goes uncounted.
 */
static __always_inline __u32 fragment_second(void)
{
	return (__u32)(bpf_jiffies64() / settings.hz) << 16;
}

static __always_inline int fragment_admit(__u32 *word)
{
	__u32 second = fragment_second(), old = LOAD(*word);
	__u32 next = (old ^ second) >> 16 ? second | 1 : old + 1;

	if (!((old ^ second) >> 16) && (old & 0xffff) >= FRAGMENTS_PER_SECOND)
		return -1;
	__sync_val_compare_and_swap(word, old, next);
	return 0;
}

/* Takes one back: the datagram is complete. */
static __always_inline void fragment_complete(__u32 *word)
{
	__u32 old = LOAD(*word);

	if (!((old ^ fragment_second()) >> 16) && old & 0xffff)
		__sync_val_compare_and_swap(word, old, old - 1);
}

static __always_inline struct subscriber *fragment_subscriber(__u32 in_addr)
{
	const struct mapping *m = mapping_by_inside(in_addr);

	return m ? subscriber_get(m, mapping_subscriber(&m->geo, in_addr)) : 0;
}

static __always_inline __u32 fragment_age(const struct fragment *e)
{
	return now_ticks() - LOAD(e->since);
}

static __always_inline __u32 fragment_ticks(__u32 seconds)
{
	return seconds * settings.hz >> TICK_SHIFT;
}

/* Whether the memory still is, and already is, the entry of that key. */
static __always_inline int fragment_is(const struct fragment *e, const struct fragment_key *key)
{
	return LOAD(e->word[0]) == key->word[0] && LOAD(e->word[1]) == key->word[1];
}

/* Units of a datagram that are being marked as passed. */
struct fragment_marks {
	struct fragment *e;
	__u32 first;
	__u32 last;
	__u64 before; /* not 0: some had been marked already */
};

/* Marks those in one word. A function for bpf_loop(), as the verifier would follow each way out of a loop. */
static long fragment_mark(__u32 i, struct fragment_marks *m)
{
	__u32 word = (m->first >> 6) + i;
	__u64 mask = ~0ULL;

	if (!i)
		mask <<= m->first & 63;
	if (word == m->last >> 6)
		mask &= ~0ULL >> (63 - (m->last & 63));
	m->before |= __sync_fetch_and_or(&m->e->seen[word & (FRAGMENT_UNITS / 64 - 1)], mask) & mask;
	return 0;
}

/*
 * Lets a fragment of a datagram pass: 0, or the reason why not. The entry goes with the last octet. Partly overlapping
 * ones take what they covered with them, so that the datagram never becomes complete.
 */
__attribute__((noinline)) int fragment_pass(struct fragment *e, const struct fragment_piece *f)
{
	if (!e || !f)
		return REASON_drop_error;

	struct fragment_marks m = {
		.e = e,
		.first = f->start >> FRAGMENT_UNIT_SHIFT,
		.last = (f->end - 1) >> FRAGMENT_UNIT_SHIFT,
	};
	__u32 total = LOAD(e->total), octets = f->end - f->start;

	if (f->end <= f->start || f->end > FRAGMENT_END_MAX)
		return REASON_drop_fragment_endless;
	/* What is beyond the last fragment, or another last one. */
	if (total && (f->end > total || !f->more))
		return REASON_drop_fragment_overlap;
	bpf_loop((m.last >> 6) - (m.first >> 6) + 1, fragment_mark, &m, 0);
	if (m.before)
		return REASON_drop_fragment_overlap;
	if (!f->more)
		*(volatile __u32 *)&e->total = f->end;
	octets += __sync_fetch_and_add(&e->octets, octets);
	if (octets == LOAD(e->total)) {
		struct fragment_key key = f->key;
		struct subscriber *s = fragment_subscriber(f->in_addr);

		bpf_map_delete_elem(&fragments, &key);
		if (s)
			fragment_complete(&s->fragments);
	}
	return 0;
}

/* Makes the entry of a datagram by its first fragment: 0, or the reason why not. Addresses are the translated ones. */
__attribute__((noinline)) int fragment_remember(const struct fragment_piece *f, __u32 src, __u32 dst)
{
	if (!f)
		return REASON_drop_error;

	struct fragment_key key = f->key;
	struct fragment *e = bpf_map_lookup_elem(&fragments, &key);
	__u32 zero = 0;
	void *blank = bpf_map_lookup_elem(&fragment_blank, &zero);
	struct subscriber *s = fragment_subscriber(f->in_addr);

	if (!blank || !s)
		return REASON_drop_no_mapping;
	if (e) {
		if (fragment_age(e) <= fragment_ticks(FRAGMENT_ID_REST))
			return REASON_drop_fragment_overlap;
		bpf_map_delete_elem(&fragments, &key);
	}
	if (fragment_admit(&s->fragments) || bpf_map_update_elem(&fragments, &key, blank, BPF_NOEXIST))
		return REASON_drop_fragment_limit;
	e = bpf_map_lookup_elem(&fragments, &key);
	if (!e)
		return REASON_drop_fragment_limit;
	*(volatile __u32 *)&e->src = src;
	*(volatile __u32 *)&e->dst = dst;
	*(volatile __u32 *)&e->since = now_ticks();
	order_writes();
	*(volatile __u64 *)&e->word[1] = key.word[1];
	*(volatile __u64 *)&e->word[0] = key.word[0];
	TRACE_STEP(datagram, (__u64)src << 32 | dst, 0);
	return fragment_pass(e, f);
}

/* A first fragment is about to be translated to these addresses: 0, or the reason to drop it. in_addr: who pays. */
static __always_inline int fragment_begin(ctx_t *ctx, const struct packet *p, __u32 src, __u32 dst, __u32 in_addr)
{
	/* From inside, the subscriber is the source. */
	enum fragment_side side = p->src == in_addr ? FRAGMENT_FROM_INSIDE : FRAGMENT_FROM_OUTSIDE;
	struct fragment_piece f;

	if (fragment_piece_get(ctx, p, side, &f))
		return REASON_drop_error;
	f.in_addr = in_addr;
	return fragment_remember(&f, src, dst);
}

/* The entry of a later fragment, with its addresses; NULL where its first one has not come, or is long ago. */
static __always_inline struct fragment *fragment_find(const struct fragment_piece *f, __u32 *ret_src, __u32 *ret_dst)
{
	struct fragment *e = bpf_map_lookup_elem(&fragments, &f->key);

	if (!e || !fragment_is(e, &f->key) || fragment_age(e) > fragment_ticks(FRAGMENT_LIFETIME))
		return 0;
	order_reads();
	*ret_src = LOAD(e->src);
	*ret_dst = LOAD(e->dst);
	order_reads();
	if (!fragment_is(e, &f->key))
		return 0;
	TRACE_STEP(datagram, (__u64)*ret_src << 32 | *ret_dst, 1);
	return e;
}

#endif
