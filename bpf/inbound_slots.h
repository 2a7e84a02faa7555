/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which slots hold sessions that the outside has opened, by endpoint-independent filtering: counted for their limit,
 * and ended when the subscriber needs room for its own. All of it is compiled away while no mapping has it.
 */
#ifndef DETNAT_INBOUND_SLOTS_H
#define DETNAT_INBOUND_SLOTS_H

#include "bind_port.h"
#include "bypass.h"
#include "drain_lookup.h"
#include "quota.h"

/* The octet of a bucket: its slots whose session the outside has opened. */
static __always_inline __u8 *inbound_octet(const struct mapping *m, __u32 subscriber, __u32 bucket)
{
	__u32 at = (__u32)sizeof(struct binding_header) + bucket;
	struct binding_line *line =
		binding_line_at(m, binding_layout_of(m), subscriber, at / sizeof(struct binding_line));

	return line ? (__u8 *)line + (at & (sizeof(*line) - 1)) : 0;
}

/* Under the lock: notes whether the outside has opened the session in the first slot of a mask, see opening_slot(). */
static __always_inline void inbound_mark(const struct flow *f, __u32 mask, int inbound)
{
	struct bucket_pair pair = session_buckets(f->p.dst, f->p.dport, f->p.proto, f->port_offset, f->m->bucket_shift);
	__u32 byte = mask & 0xff ? mask & 0xff : mask >> 8;
	__u8 *octet;

	/* What a mapping without tables has there is another's buckets. */
	if (!LOAD(f->m->bindings.protocols))
		return;
	octet = inbound_octet(f->m, f->subscriber, mask & 0xff ? pair.first : pair.second);
	byte &= -byte;
	if (octet)
		STORE(*octet, (__u8)(inbound ? LOAD(*octet) | byte : LOAD(*octet) & ~byte));
}

/* A look at all sessions that the outside has opened, of one core. */
struct inbound_look {
	__u32 sessions;
	__u32 oldest_age; /* ticks since the subscriber last sent, plus one; 0: there is none */
	__u32 oldest_at;  /* slot */
	__u32 pad;
	__u64 oldest; /* its state word */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct inbound_look);
} inbound_looks SEC(".maps");

static __always_inline struct inbound_look *inbound_look_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&inbound_looks, &zero);
}

static long inbound_look_bucket(__u32 i, struct quota_sweep *q)
{
	struct inbound_look *l = inbound_look_get();
	__u8 *octet = inbound_octet(q->m, q->subscriber, i);
	struct bucket *b;

	if (!l || !octet)
		return 1;
	if (!LOAD(*octet))
		return 0;
	b = quota_bucket(q, i);
	if (!b)
		return 1;
	for (__u32 k = 0; k < BUCKET_SLOTS; k++) {
		__u64 word = LOAD(b->slot[k].truth);
		/* A timestamp may be one tick ahead. */
		__s32 age = (__s32)(q->now - word_seen(word)) + 2;

		if (!(LOAD(*octet) >> k & 1) || !word_is_live(word) || word_expired(word, q->now, q->m->timeout_ticks))
			continue;
		STORE(l->sessions, LOAD(l->sessions) + 1);
		if (age > 0 && (__u32)age > LOAD(l->oldest_age)) {
			STORE(l->oldest_age, (__u32)age);
			STORE(l->oldest_at, i * BUCKET_SLOTS + k);
			STORE(l->oldest, word);
		}
	}
	return 0;
}

/* Returns NULL if this tick's searches are used up. */
static __always_inline struct inbound_look *inbound_look(const struct mapping *m, struct subscriber *s,
							 __u32 subscriber, __u32 now)
{
	struct quota_sweep q = { .m = m, .s = s, .subscriber = subscriber, .now = now };
	struct inbound_look *l = inbound_look_get();

	if (!l || search_begin(s, now))
		return 0;
	STORE(l->sessions, 0);
	STORE(l->oldest_age, 0);
	bpf_loop(1U << m->bucket_shift, inbound_look_bucket, &q, 0);
	search_end(s, BUCKET_SLOTS << m->bucket_shift);
	return l;
}

/*
 * For a packet from inside of a subscriber at its quota: finds the session opened from outside in which the subscriber
 * has been silent for longest. Returns 1 if there is one.
 */
SUBPROGRAM int inbound_find_oldest(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	struct inbound_look *l;

	if (!m || !s || !p)
		return 0;
	l = inbound_look(m, s, mapping_subscriber(&m->geo, p->src), now_ticks());
	return l && LOAD(l->oldest_age);
}

static __always_inline int inbound_gives_way(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	return settings.filtering && LOAD(m->bindings.filtering) && inbound_find_oldest(m, s, p);
}

/* Ends the session that inbound_find_oldest() has found for the same packet, unless it has changed meanwhile. */
SUBPROGRAM int inbound_end_oldest(const struct mapping *m, struct subscriber *s, const struct packet *p)
{
	struct inbound_look *l = inbound_look_get();
	struct slot *slot;

	if (!m || !s || !p || !l)
		return 0;

	struct quota_sweep q = { .m = m, .s = s, .subscriber = mapping_subscriber(&m->geo, p->src) };

	slot = quota_slot(&q, LOAD(l->oldest_at));
	if (slot)
		quota_take_away(&q, slot, LOAD(l->oldest));
	return 0;
}

/* Results of inbound_open() other than an inside port. */
#define INBOUND_NOT   (-1) /* no inside endpoint has the port, or the packet opens nothing */
#define INBOUND_LIMIT (-2) /* the outside has opened as much as it may */
#define INBOUND_BUSY  (-3)

static __always_inline int inbound_filters(const struct mapping *m, __u8 proto)
{
	return settings.filtering && LOAD(m->bindings.filtering) & binding_protocol(proto);
}

/* Returns 1 if the outside may open no more of a subscriber's sessions in this tick. */
static __always_inline int inbound_is_full(const struct mapping *m, const struct subscriber *s, __u32 subscriber,
					   const struct binding_header *h, __u32 now)
{
	__u32 percent = LOAD(m->bindings.inbound);

	return LOAD(s->sessions) + drain_sessions(m->geo.in_base + subscriber) >= m->sessions_per_user ||
	       (LOAD(h->inbound) >= inbound_limit(percent, m->sessions_per_user, m->bucket_shift) &&
		LOAD(h->counted_tick) == now);
}

/* Inside port that holds the port to which a packet from outside to a subscriber of m is sent; INBOUND_NOT: none. */
static __always_inline int inbound_port(const struct mapping *m, __u32 subscriber, const struct packet *p, __u32 now)
{
	__u32 offset = p->dport - mapping_port_lo(&m->geo, subscriber);
	struct binding_line *line = binding_line_get(m, subscriber, p->proto, offset >> PORT_GROUP_SHIFT);
	__u64 entry = line ? LOAD(*line_entry(line, offset)) : 0;

	if (!binding_holds(entry, now, binding_life(m, p->proto)) || binding_flags(entry) & BINDING_STRAYED)
		return INBOUND_NOT;
	return binding_in_port(entry);
}

/* Returns 1 if another mapping has the subscriber's address now, or none. */
static __always_inline int inbound_is_gone(const struct mapping *m, __u32 subscriber)
{
	return settings.drains && mapping_by_inside(m->geo.in_base + subscriber) != m;
}

/*
 * Returns 1 if a packet from outside of no session may open one, as far as is known without the lock: it is of a
 * protocol with endpoint-independent filtering, its port is bound, and TCP begins with a SYN. Answers to a source of
 * `bypass` would leave untranslated.
 */
static __always_inline int inbound_may_open(const struct mapping *m, __u32 subscriber, const struct packet *p,
					    __u32 now)
{
	if (!inbound_filters(m, p->proto) || is_bypassed(p->src) || inbound_is_gone(m, subscriber) ||
	    (p->proto == IPPROTO_TCP && (p->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN))
		return 0;
	return inbound_port(m, subscriber, p, now) >= 0;
}

#endif
