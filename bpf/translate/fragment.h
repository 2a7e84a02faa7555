/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragmented datagrams: the entry that a first fragment creates for those that follow, and which fragments are refused.
 * Each octet of a datagram passes once, the first time it arrives (RFC 1858, RFC 3128); overlapping fragments are
 * dropped.
 *
 * A datagram counts against the share of its subscriber, separately for each direction; one from outside also against
 * its sender's limit. So the map is never full, and no subscriber displaces another's entries.
 */
#ifndef DETNAT_FRAGMENT_H
#define DETNAT_FRAGMENT_H

#include <detnat/prefix6.h>

#include "base/count.h"
#include "egress/route.h"
#include "subscriber/drain_lookup.h"
#include "base/lock.h"
#include "subscriber/lookup.h"
#include "packet/parse.h"
#include "base/settings.h"

/* A fragment as its header describes it. */
struct fragment_piece {
	struct fragment_key key;
	__u32 start;   /* octets of payload before it */
	__u32 end;     /* octets of payload up to its end */
	__u32 more;    /* not 0: more fragments follow (MF) */
	__u32 in_addr; /* inside address of its subscriber */
};

/* Initial value of an entry, too large for the stack. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fragment);
} fragment_blank SEC(".maps");

/* Reads a fragment's header. Returns 0, or -1 if the packet is not what parse() saw. */
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
	if (settings.tenants && side == FRAGMENT_FROM_INSIDE)
		ret->key.tenant = (__u8)packet_tenant(ctx);
	ret->end = ret->start + p->length - (p->l4_offset - L3_OFFSET);
	return 0;
}

/* log2 of the number of per-second limits, indexed by an address hash, for sources without a record of their own. */
#define FRAGMENT_LIMITS_SHIFT 14U

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1U << FRAGMENT_LIMITS_SHIFT);
	__type(key, __u32);
	__type(value, __u32);
} fragment_limits SEC(".maps");

static __always_inline __u32 *fragment_limit(__u32 from, __u32 to)
{
	__u64 hash = ((__u64)from << 32 | to) * 0x9e3779b97f4a7c15ULL;
	__u32 at = (__u32)(hash >> (64 - FRAGMENT_LIMITS_SHIFT));

	return bpf_map_lookup_elem(&fragment_limits, &at);
}

/*
 * Per-second counters, one word each: second 16 | count 16. fragment_admit() returns 0, or -1 if the limit is reached;
 * a lost race is not counted.
 */
static __always_inline __u32 fragment_second(void)
{
	return (__u32)(bpf_jiffies64() / settings.hz) << 16;
}

static __always_inline int fragment_admit(__u32 *word, __u32 limit)
{
	__u32 second = fragment_second(), old = LOAD(*word);
	__u32 next = (old ^ second) >> 16 ? second | 1 : old + 1;

	if (!((old ^ second) >> 16) && (old & 0xffff) >= limit)
		return -1;
	__sync_val_compare_and_swap(word, old, next);
	return 0;
}

/* Takes one off the count: the datagram is complete. */
static __always_inline void fragment_complete(__u32 *word)
{
	__u32 old = LOAD(*word);

	if (!((old ^ fragment_second()) >> 16) && old & 0xffff)
		__sync_val_compare_and_swap(word, old, old - 1);
}

/* The tenant of a datagram's subscriber. */
static __always_inline __u32 fragment_tenant(const struct fragment_key *key)
{
	const struct mapping *m;

	if (!settings.tenants || key->side == FRAGMENT_FROM_INSIDE)
		return key->tenant;
	m = mapping_by_outside(key->dst);
	return m ? LOAD(m->tenant) : 0;
}

/*
 * The mapping of a datagram's subscriber. src: translated source. Any program may have to do with an IPv6 subscriber's,
 * whose virtual address is in no index: its outside address tells.
 */
static __always_inline const struct mapping *fragment_mapping(const struct fragment_key *key, __u32 in_addr, __u32 src)
{
	const struct mapping *m;

	if (in_addr >> (32 - VIRTUAL_PLEN) != VIRTUAL_BASE >> (32 - VIRTUAL_PLEN))
		return mapping_of_inside(fragment_tenant(key), in_addr);
	m = mapping_by_outside(key->side == FRAGMENT_FROM_OUTSIDE ? key->dst : src);
	return m && LOAD(m->geo.flags) & MAPPING_IPV6 ? m : 0;
}

static __always_inline struct subscriber *fragment_subscriber(const struct fragment_key *key, __u32 in_addr, __u32 src)
{
	const struct mapping *m = fragment_mapping(key, in_addr, src);

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

/* Returns 1 if the memory is the entry for this key: not a new one half written, nor reused for another. */
static __always_inline int fragment_is(const struct fragment *e, const struct fragment_key *key)
{
	return LOAD(e->word[0]) == key->word[0] && LOAD(e->word[1]) == key->word[1];
}

/* Bit position in subscriber.datagrams of the count for a side. */
static __always_inline __u32 datagrams_shift(__u8 side)
{
	return side == FRAGMENT_FROM_OUTSIDE ? 16 : 0;
}

static __always_inline __u32 datagrams_held(const struct subscriber *s, __u8 side)
{
	return LOAD(s->datagrams) >> datagrams_shift(side) & 0xffff;
}

/* Datagrams that a subscriber may hold for one side, with `used` of all entries in use. */
static __always_inline __u64 datagrams_share(__s64 used)
{
	return used < FRAGMENTED_DATAGRAMS
		       ? table_share(FRAGMENTED_DATAGRAMS, (__u64)(FRAGMENTED_DATAGRAMS - used), FRAGMENT_SHARE)
		       : 0;
}

/* Counts one more datagram before its entry exists. Returns 0, or -1 if there is no room. */
static __always_inline int datagram_claim(struct mapping_table *t, struct subscriber *s, __u8 side)
{
	if (datagrams_held(s, side) < datagrams_share(__sync_fetch_and_add(&t->limits.datagrams, 1LL))) {
		__sync_fetch_and_add(&s->datagrams, 1U << datagrams_shift(side));
		return 0;
	}
	__sync_fetch_and_add(&t->limits.datagrams, -1LL);
	return -1;
}

/*
 * Takes a datagram off the counts, never below 0: the record may be of a mapping that was deleted and created again
 * since. Where another core was first, the place is put back.
 */
static __always_inline void datagram_release(struct mapping_table *t, struct subscriber *s, __u8 side)
{
	__u32 one = 1U << datagrams_shift(side);

	__sync_fetch_and_add(&t->limits.datagrams, -1LL);
	if (s && datagrams_held(s, side) &&
	    !(__sync_fetch_and_add(&s->datagrams, -one) >> datagrams_shift(side) & 0xffff))
		__sync_fetch_and_add(&s->datagrams, one);
}

/* Deletes an entry and takes it off the counts; in_addr, src: the entry's. Returns 0, or -1 if it was gone. */
static __always_inline int datagram_delete(struct mapping_table *t, const struct fragment_key *key, __u32 in_addr,
					   __u32 src)
{
	if (bpf_map_delete_elem(&fragments, key))
		return -1;
	datagram_release(t, fragment_subscriber(key, in_addr, src), key->side);
	return 0;
}

/* The same as a subprogram, to save stack. */
SUBPROGRAM int datagram_end(const struct fragment_key *at, __u32 in_addr, __u32 src)
{
	struct mapping_table *t = mapping_table_get();
	struct fragment_key key;

	if (!at || !t)
		return -1;
	key = *at;
	return datagram_delete(t, &key, in_addr, src);
}

/* Returns 1 if a subscriber's older datagrams have to make room for its next ones. */
static __always_inline int datagrams_abound(const struct mapping_table *t, const struct fragment_key *key,
					    __u32 in_addr, __u32 src)
{
	const struct subscriber *s = fragment_subscriber(key, in_addr, src);
	__u32 held = s ? datagrams_held(s, key->side) : 0;

	return held > FRAGMENTS_KEPT && held * 2ULL > datagrams_share(LOAD(t->limits.datagrams));
}

/*
 * Sweeps one entry: deletes it if it is too old or, once older than FRAGMENT_ID_REST, if its subscriber has too many.
 * An entry that is still being created is left alone.
 */
static long datagram_sweep(void *map, const struct fragment_key *at, const struct fragment *e, struct mapping_table **t)
{
	struct fragment_key key = *at;
	__u32 in_addr = LOAD(e->in_addr), src = LOAD(e->src), age = fragment_age(e);

	if (!fragment_is(e, &key) || (__s32)age <= (__s32)fragment_ticks(FRAGMENT_ID_REST))
		return LOOP_ON;
	if (age > fragment_ticks(FRAGMENT_LIFETIME) || datagrams_abound(*t, &key, in_addr, src))
		datagram_delete(*t, &key, in_addr, src);
	return LOOP_ON;
}

#define SWEEP_INTERVAL_NS 1000000000ULL

/* Deletes the entries that can go, before a datagram is refused; at most once a second. */
static __always_inline void datagrams_sweep(struct mapping_table *t)
{
	__u64 now = bpf_ktime_get_ns(), last = LOAD(t->limits.fragments_swept_ns);
	struct mapping_table *context = t;

	if (now - last < SWEEP_INTERVAL_NS ||
	    __sync_val_compare_and_swap(&t->limits.fragments_swept_ns, last, now) != last)
		return;
	bpf_for_each_map_elem(&fragments, datagram_sweep, &context, 0);
}

/* Claims room for one more datagram of a subscriber. Returns 0, or -1. A subprogram, to save stack. */
SUBPROGRAM int datagram_admit(struct subscriber *s, __u32 side)
{
	struct mapping_table *t = mapping_table_get();

	if (!s || !t)
		return -1;
	if (!datagram_claim(t, s, (__u8)side))
		return 0;
	datagrams_sweep(t);
	return datagram_claim(t, s, (__u8)side);
}

/* Units of a datagram that are being marked as passed. */
struct fragment_marks {
	struct fragment *e;
	__u32 first;
	__u32 last;
	__u64 before; /* not 0: some had been marked already */
};

/* Marks the units in one word. A bpf_loop() callback, as the verifier would follow each exit of a loop. */
static long fragment_mark(__u32 i, struct fragment_marks *m)
{
	__u32 word = (m->first >> 6) + i;
	__u64 mask = ~0ULL;

	if (!i)
		mask <<= m->first & 63;
	if (word == m->last >> 6)
		mask &= ~0ULL >> (63 - (m->last & 63));
	m->before |= __sync_fetch_and_or(&m->e->seen[word & (FRAGMENT_UNITS / 64 - 1)], mask) & mask;
	return LOOP_ON;
}

/*
 * Lets a fragment of a datagram pass. Returns 0, or the reason to drop it. The last octet deletes the entry. A partly
 * overlapping fragment is dropped but marks what it covers, so that the datagram never completes.
 */
SUBPROGRAM int fragment_pass(struct fragment *e, const struct fragment_piece *f)
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
	/* Beyond the last fragment, or a second last fragment. */
	if (total && (f->end > total || !f->more))
		return REASON_drop_fragment_overlap;
	bpf_loop((m.last >> 6) - (m.first >> 6) + 1, fragment_mark, &m, 0);
	if (m.before)
		return REASON_drop_fragment_overlap;
	if (!f->more)
		*(volatile __u32 *)&e->total = f->end;
	octets += __sync_fetch_and_add(&e->octets, octets);
	if ((octets & WORD_SEEN) == LOAD(e->total)) {
		__u32 *word = f->key.side == FRAGMENT_FROM_OUTSIDE ? fragment_limit(f->key.src, f->in_addr) : 0;

		datagram_end(&f->key, f->in_addr, LOAD(e->src));
		if (word)
			fragment_complete(word);
	}
	return 0;
}

/* Creates a datagram's entry from its first fragment; src, dst: translated. Returns 0, or the reason to drop it. */
static __always_inline int fragment_remember(const struct fragment_piece *f, __u32 src, __u32 dst)
{
	const struct fragment_key *key = &f->key;
	struct fragment *e = bpf_map_lookup_elem(&fragments, key);
	__u32 zero = 0;
	void *blank = bpf_map_lookup_elem(&fragment_blank, &zero);
	struct subscriber *s = fragment_subscriber(key, f->in_addr, src);
	struct mapping_table *t = mapping_table_get();

	if (!blank || !s || !t)
		return REASON_drop_no_mapping;
	if (e) {
		/* Another core may be writing it: that it is new does not show yet. */
		if (!fragment_is(e, key) || fragment_age(e) <= fragment_ticks(FRAGMENT_ID_REST))
			return REASON_drop_fragment_overlap;
		datagram_end(key, LOAD(e->in_addr), LOAD(e->src));
	}
	if (key->side == FRAGMENT_FROM_OUTSIDE) {
		__u32 *word = fragment_limit(key->src, f->in_addr);

		if (word && fragment_admit(word, FRAGMENTS_PER_PEER))
			return REASON_drop_fragment_limit;
	}
	if (datagram_admit(s, key->side))
		return REASON_drop_fragment_limit;
	if (bpf_map_update_elem(&fragments, key, blank, BPF_NOEXIST)) {
		datagram_release(t, s, key->side);
		return REASON_drop_fragment_limit;
	}
	e = bpf_map_lookup_elem(&fragments, key);
	if (!e)
		return REASON_drop_fragment_limit;
	*(volatile __u32 *)&e->in_addr = f->in_addr;
	*(volatile __u32 *)&e->src = src;
	*(volatile __u32 *)&e->dst = dst;
	*(volatile __u32 *)&e->since = now_ticks();
	*(volatile __u32 *)&e->octets = host6_stamp(0);
	order_writes();
	*(volatile __u64 *)&e->word[1] = key->word[1];
	*(volatile __u64 *)&e->word[0] = key->word[0];
	TRACE_STEP(datagram, (__u64)src << 32 | dst, 0);
	return fragment_pass(e, f);
}

/*
 * Creates the entry before a first fragment is translated to src and dst. in_addr: the subscriber that it counts for.
 * Addresses are in host byte order. Returns 0, or the reason to drop the fragment.
 */
SUBPROGRAM int fragment_begin(ctx_t *ctx, const struct packet *p, __u32 src, __u32 dst, __u32 in_addr)
{
	struct fragment_piece f;

	/* From inside, the subscriber is the source. */
	if (!p || fragment_piece_get(ctx, p, p->src == in_addr ? FRAGMENT_FROM_INSIDE : FRAGMENT_FROM_OUTSIDE, &f))
		return REASON_drop_error;
	f.in_addr = in_addr;
	return fragment_remember(&f, src, dst);
}

/* Finds the entry of a later fragment, with its addresses; NULL if no first fragment came, or too long ago. */
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
