/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finds sessions in the slots of a subscriber: its own, and those of its extent, <detnat/extents.h>. */
#ifndef DETNAT_SLOT_LOOKUP_H
#define DETNAT_SLOT_LOOKUP_H

#include <detnat/extents.h>

#include "base/settings.h"
#include "base/subprogram.h"
#include "packet/parse.h"
#include "subscriber/lookup.h"

/* A subscriber's packet, and the values that its session is looked up by. */
struct flow {
	struct packet p;
	const struct mapping *m;
	__u32 subscriber;  /* number within the mapping */
	__u32 port_offset; /* first choice, or outside port, from the first port of the block */
	__u32 now;
	__u64 key;
};

/* Fills in subscriber, port_offset and key for a packet from inside; p and m are set. */
static __always_inline void flow_complete(struct flow *f)
{
	f->subscriber = mapping_subscriber(&f->m->geo, f->p.src);
	f->port_offset = mapping_first_choice(&f->m->geo, f->p.sport);
	f->key = slot_key(f->p.dst, f->p.dport, f->p.sport);
}

/* The flow of a packet from inside, sent by a subscriber of m. */
static __always_inline struct flow flow_of(const struct mapping *m, const struct packet *p)
{
	struct flow f = { .p = *p, .m = m, .now = now_ticks() };

	flow_complete(&f);
	return f;
}

static __always_inline void flow_from_inside(struct flow *f)
{
	flow_complete(f);
	TRACE_SUBSCRIBER(f->m, f->subscriber);
}

/* The two candidate buckets of a port offset towards an external endpoint. Returns 0, or -1. */
static __always_inline int bucket_choice_get(const struct mapping *m, __u32 subscriber, __u32 ext_addr, __u16 ext_port,
					     __u8 proto, __u32 port_offset, struct bucket_choice *ret)
{
	struct bucket_pair pair = session_buckets(ext_addr, ext_port, proto, port_offset, m->bucket_shift);
	struct bucket_range range;

	if (bucket_range_get(m, subscriber, &range))
		return -1;
	ret->first = bucket_get(&range, pair.first);
	ret->second = bucket_get(&range, pair.second);
	ret->home = home_bit(pair.first);
	return ret->first && ret->second ? 0 : -1;
}

/* bucket_choice_get() for a flow from inside. */
static __always_inline int flow_buckets(const struct flow *f, struct bucket_choice *ret)
{
	return bucket_choice_get(f->m, f->subscriber, f->p.dst, f->p.dport, f->p.proto, f->port_offset, ret);
}

/* bucket_find_in() and bucket_find_out() beyond the preferred slot. port_and_proto: out_port << 8 | proto. */
SUBPROGRAM int bucket_search_in(const struct bucket *b, __u64 key, __u32 proto)
{
	return b ? bucket_find_in(b, key, (__u8)proto) : -1;
}

SUBPROGRAM int bucket_search_out(const struct bucket *b, __u64 key, __u32 port_and_proto)
{
	return b ? bucket_find_out(b, key, (__u16)(port_and_proto >> 8), (__u8)port_and_proto) : -1;
}

/* The offset by which the sessions of a subscriber of m on an outside port are found in its extent. */
static __always_inline __u32 port_offset_of(const struct mapping *m, __u32 subscriber, __u32 out_port)
{
	return growth_offset(&m->geo, settings.growth ? LOAD(m->growth.block) : 0, mapping_port_lo(&m->geo, subscriber),
			     out_port);
}

/* The same of one to which a signpost leads. */
static __always_inline __u32 far_offset_of(const struct mapping *m, __u32 subscriber, __u32 out_port)
{
	return growth_far_offset(&m->geo, settings.growth ? LOAD(m->growth.block) : 0,
				 mapping_port_lo(&m->geo, subscriber), out_port);
}

/* A bucket of any extent, numbered from the first of all. */
static __always_inline struct bucket *extent_bucket(__u32 number)
{
	return bpf_map_lookup_elem(&extents, &number);
}

/* A slot of any extent by its number, as extent_search_in() returns it; NULL for one below 0. */
static __always_inline struct slot *extent_slot(__s64 number)
{
	struct bucket *b = number < 0 ? 0 : extent_bucket((__u32)(number >> BUCKET_SLOTS_SHIFT));

	if (!b)
		return 0;
	barrier_var(b); /* as in mapping_of_leaf() */
	return &b->slot[number & (BUCKET_SLOTS - 1)];
}

static __always_inline __s64 extent_slot_number(__u32 bucket, __u32 at)
{
	return (__s64)bucket << BUCKET_SLOTS_SHIFT | (at & (BUCKET_SLOTS - 1));
}

/* The extent of a subscriber of m; 0: none. */
static __always_inline __u32 extent_get(const struct mapping *m, __u32 subscriber)
{
	const struct subscriber *s = settings.extent_buckets ? subscriber_get(m, subscriber) : 0;

	return s ? subscriber_extent(s) : 0;
}

/* The slot that a session prefers in an extent, which is not 0. */
static __always_inline struct slot *extent_preferred(__u32 extent, __u64 ext, __u8 proto, __u32 port_offset)
{
	return extent_slot(extent_slot_number(extent_pair(extent, ext, proto, port_offset).first, port_offset));
}

/*
 * Number of the slot in which a flow's session is in the two buckets of an extent, expired or not; -1: in none.
 * offset_and_proto: port offset 24 | protocol 8.
 */
SUBPROGRAM __s64 extent_search_in(const struct mapping *m, __u32 extent, __u64 key, __u32 offset_and_proto)
{
	struct bucket_pair pair = extent_pair(extent, key, (__u8)offset_and_proto, offset_and_proto >> 8);

	if (!m || !extent)
		return -1;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2; i++) {
		__u32 number = i ? pair.second : pair.first;
		struct bucket *b = extent_bucket(number);
		int at = b ? bucket_find_in(b, key, (__u8)offset_and_proto) : -1;

		if (at >= 0)
			return extent_slot_number(number, (__u32)at);
	}
	return -1;
}

/* The same of a packet from outside. key: slot_key() with any inside port. */
SUBPROGRAM __s64 extent_search_out(const struct mapping *m, __u32 extent, __u64 key, __u32 port_offset,
				   __u32 port_and_proto)
{
	struct bucket_pair pair = extent_pair(extent, key, (__u8)port_and_proto, port_offset);

	if (!m || !extent)
		return -1;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2; i++) {
		__u32 number = i ? pair.second : pair.first;
		struct bucket *b = extent_bucket(number);
		int at = b ? bucket_find_out(b, key, (__u16)(port_and_proto >> 8), (__u8)port_and_proto) : -1;

		if (at >= 0)
			return extent_slot_number(number, (__u32)at);
	}
	return -1;
}

/* The same at either place of a port whose offset is given: a granted one has two. */
static __always_inline __s64 extent_search_port(const struct mapping *m, __u32 extent, __u64 key, __u32 port_offset,
						__u32 port_and_proto)
{
	__s64 at = extent_search_out(m, extent, key, port_offset, port_and_proto);

	if (at < 0 && settings.growth && LOAD(m->growth.block))
		at = extent_search_out(m, extent, key, growth_far(port_and_proto >> 8), port_and_proto);
	return at;
}

/* Returns 1 if a session that extent_search_in() or extent_search_out() has found has not expired. */
static __always_inline int extent_has(const struct mapping *m, __s64 found)
{
	const struct slot *s = extent_slot(found);

	return s && !word_expired(LOAD(s->truth), now_ticks(), m->timeout_ticks);
}

/* Finds the session of a flow from inside in its subscriber's own slots, or NULL. */
static __always_inline struct slot *own_lookup_in2out(const struct flow *f, __u64 *ret_word)
{
	struct bucket *bucket;
	struct bucket_choice b;
	struct slot *s;
	int at;

	if (flow_buckets(f, &b))
		return 0;
	s = preferred_slot(&b, f->port_offset);
	*ret_word = slot_match_in(s, f->key, f->p.proto, f->now, f->m->timeout_ticks);
	if (*ret_word)
		return s;
	bucket = b.first;
	at = bucket_search_in(bucket, f->key, f->p.proto);
	if (at < 0) {
		bucket = b.second;
		at = bucket_search_in(bucket, f->key, f->p.proto);
	}
	if (at < 0)
		return 0;
	s = &bucket->slot[at & (BUCKET_SLOTS - 1)];
	*ret_word = slot_match_in(s, f->key, f->p.proto, f->now, f->m->timeout_ticks);
	return *ret_word ? s : 0;
}

/* Finds the session of a packet from outside to a subscriber of m in its own slots; *ret_key has the inside port. */
static __always_inline struct slot *own_lookup_out2in(const struct mapping *m, __u32 subscriber, const struct packet *p,
						      __u32 now, __u64 *ret_word, __u64 *ret_key)
{
	__u32 offset = p->dport - mapping_port_lo(&m->geo, subscriber);
	__u32 port_and_proto = (__u32)p->dport << 8 | p->proto;
	__u64 key = slot_key(p->src, p->sport, 0);
	struct bucket *bucket;
	struct bucket_choice b;
	struct slot *s;
	int at;

	if (bucket_choice_get(m, subscriber, p->src, p->sport, p->proto, offset, &b))
		return 0;
	s = preferred_slot(&b, offset);
	*ret_word = slot_match_out(s, key, p->dport, p->proto, now, m->timeout_ticks, ret_key);
	if (*ret_word)
		return s;
	bucket = b.first;
	at = bucket_search_out(bucket, key, port_and_proto);
	if (at < 0) {
		bucket = b.second;
		at = bucket_search_out(bucket, key, port_and_proto);
	}
	if (at < 0)
		return 0;
	s = &bucket->slot[at & (BUCKET_SLOTS - 1)];
	*ret_word = slot_match_out(s, key, p->dport, p->proto, now, m->timeout_ticks, ret_key);
	return *ret_word ? s : 0;
}

/* slot_match_in() for the flow of a slot that may be none. */
static __always_inline struct slot *extent_match_in(struct slot *s, const struct flow *f, __u64 *ret_word)
{
	*ret_word = s ? slot_match_in(s, f->key, f->p.proto, f->now, f->m->timeout_ticks) : 0;
	return *ret_word ? s : 0;
}

/* Finds the session of a flow from inside in an extent, or NULL. extent: 0: there is none. */
static __always_inline struct slot *extent_lookup_in2out(const struct flow *f, __u32 extent, __u64 *ret_word)
{
	__s64 at = extent_search_in(f->m, extent, f->key, f->port_offset << 8 | f->p.proto);

	return extent_match_in(extent_slot(at), f, ret_word);
}

/*
 * The extent that a subscriber has been given in place of `extent`, where a lookup found nothing: the session may have
 * moved there meanwhile. 0: it still has the same one.
 */
static __always_inline __u32 extent_since(const struct mapping *m, __u32 subscriber, __u32 extent)
{
	__u32 now = extent_get(m, subscriber);

	return now == extent ? 0 : now;
}

/* Returns 1 if sessions of a flow on granted ports are in other buckets than those on ports of its subscriber's block.
 */
static __always_inline int flow_is_apart(const struct flow *f)
{
	return settings.growth && growth_is_apart(LOAD(f->m->growth.block), f->port_offset, key_in_port(f->key));
}

/* The offset by which the sessions of a flow on granted ports are found in an extent. */
static __always_inline __u32 granted_offset(const struct flow *f)
{
	return growth_first_choice(LOAD(f->m->growth.block), key_in_port(f->key));
}

/* The outside port to which a signpost of a flow leads in an extent, which is not 0; -1: there is none. */
SUBPROGRAM int extent_search_signpost(__u32 extent, __u64 key, __u32 proto)
{
	struct bucket_pair pair = extent_pair(extent, key, (__u8)proto, signpost_offset(key));
	int out_port = -1;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 2 && out_port < 0; i++) {
		struct bucket *b = extent_bucket(i ? pair.second : pair.first);

		out_port = b ? bucket_find_signpost(b, key, (__u8)proto) : -1;
	}
	return out_port;
}

/*
 * Number of the slot of the session to which a signpost leads in an extent; -1: there is no signpost, or the session is
 * not there any more.
 */
SUBPROGRAM __s64 extent_search_strayed(const struct mapping *m, __u32 subscriber, __u32 extent, __u64 key, __u32 proto)
{
	int out_port = extent ? extent_search_signpost(extent, key, proto) : -1;

	return !m || out_port < 0 ? -1
				  : extent_search_in(m, extent, key,
						     far_offset_of(m, subscriber, (__u32)out_port) << 8 | (__u8)proto);
}

/*
 * Number of the slot of a flow's session in an extent where extent_lookup_in2out() does not look: on a granted port, or
 * one that has strayed. -1: there is none, or no extent.
 */
static __always_inline __s64 extent_search_apart(const struct flow *f, __u32 extent)
{
	__s64 at = -1;

	if (!extent)
		return -1;
	if (flow_is_apart(f))
		at = extent_search_in(f->m, extent, f->key, granted_offset(f) << 8 | f->p.proto);
	return at >= 0 ? at : extent_search_strayed(f->m, f->subscriber, extent, f->key, f->p.proto);
}

/* Finds the session there, or in the extent that has taken its place meanwhile; or NULL. */
static __always_inline struct slot *apart_lookup_in2out(const struct flow *f, __u32 extent, __u64 *ret_word)
{
	__s64 at = extent_search_apart(f, extent);

	if (at < 0)
		at = extent_search_apart(f, extent_since(f->m, f->subscriber, extent));
	return extent_match_in(extent_slot(at), f, ret_word);
}

/*
 * The same in any slot of the subscriber. In an extent the preferred slots come first, on a port of the block and on a
 * granted one: of a subscriber that has one, most of the sessions that are looked for are there.
 */
static __always_inline struct slot *slot_lookup_in2out(const struct flow *f, __u64 *ret_word)
{
	__u32 extent = extent_get(f->m, f->subscriber);
	struct slot *s;

	if (!extent)
		return own_lookup_in2out(f, ret_word);
	s = extent_match_in(extent_preferred(extent, f->key, f->p.proto, f->port_offset), f, ret_word);
	if (!s && flow_is_apart(f))
		s = extent_match_in(extent_preferred(extent, f->key, f->p.proto, granted_offset(f)), f, ret_word);
	if (!s)
		s = own_lookup_in2out(f, ret_word);
	if (!s)
		s = extent_lookup_in2out(f, extent, ret_word);
	if (!s)
		s = extent_lookup_in2out(f, extent_since(f->m, f->subscriber, extent), ret_word);
	return s ? s : apart_lookup_in2out(f, extent, ret_word);
}

static __always_inline struct slot *extent_match_out(struct slot *s, const struct mapping *m, const struct packet *p,
						     __u32 now, __u64 *ret_word, __u64 *ret_key)
{
	*ret_word =
		s ? slot_match_out(s, slot_key(p->src, p->sport, 0), p->dport, p->proto, now, m->timeout_ticks, ret_key)
		  : 0;
	return *ret_word ? s : 0;
}

/* Finds the session of a packet from outside in an extent, or NULL. extent: 0: there is none. */
static __always_inline struct slot *extent_lookup_out2in(const struct mapping *m, __u32 extent, __u32 port_offset,
							 const struct packet *p, __u32 now, __u64 *ret_word,
							 __u64 *ret_key)
{
	__s64 at = extent_search_port(m, extent, slot_key(p->src, p->sport, 0), port_offset,
				      (__u32)p->dport << 8 | p->proto);

	return extent_match_out(extent_slot(at), m, p, now, ret_word, ret_key);
}

static __always_inline struct slot *slot_lookup_out2in(const struct mapping *m, __u32 subscriber,
						       const struct packet *p, __u32 now, __u64 *ret_word,
						       __u64 *ret_key)
{
	__u32 extent = extent_get(m, subscriber), offset;
	__u64 key = slot_key(p->src, p->sport, 0);
	struct slot *s;

	if (!extent)
		return own_lookup_out2in(m, subscriber, p, now, ret_word, ret_key);
	offset = port_offset_of(m, subscriber, p->dport);
	s = extent_match_out(extent_preferred(extent, key, p->proto, offset), m, p, now, ret_word, ret_key);
	if (!s)
		s = own_lookup_out2in(m, subscriber, p, now, ret_word, ret_key);
	if (!s)
		s = extent_lookup_out2in(m, extent, offset, p, now, ret_word, ret_key);
	if (!s)
		s = extent_lookup_out2in(m, extent_since(m, subscriber, extent), offset, p, now, ret_word, ret_key);
	return s;
}

/* The buckets of a subscriber of m with record s: its own, and behind them those of its extent. */
static __always_inline __u32 subscriber_buckets(const struct mapping *m, const struct subscriber *s)
{
	return (1U << m->bucket_shift) + (settings.extent_buckets ? extent_buckets(subscriber_extent(s)) : 0);
}

/* One of them; NULL: there are fewer, or tables are being deleted. */
static __always_inline struct bucket *subscriber_bucket(const struct mapping *m, __u32 subscriber, __u32 bucket)
{
	struct bucket_range range;
	__u32 extent;

	if (!settings.extent_buckets || !(bucket >> m->bucket_shift))
		return bucket_range_get(m, subscriber, &range) ? 0 : bucket_get(&range, bucket);
	bucket -= 1U << m->bucket_shift;
	extent = extent_get(m, subscriber);
	return bucket < extent_buckets(extent) ? extent_bucket(extent_first(extent) + bucket) : 0;
}

#endif
