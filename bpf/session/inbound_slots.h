/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Marks and counts the slots of sessions that the outside opened through endpoint-independent filtering. quota.h ends
 * them when the subscriber needs room for its own. Compiled away while no mapping has such filtering.
 */
#ifndef DETNAT_INBOUND_SLOTS_H
#define DETNAT_INBOUND_SLOTS_H

#include "session/bind_port.h"
#include "subscriber/bypass.h"
#include "session/quota.h"

/* Under the lock: notes whether the outside has opened the session in the first slot of a mask, see opening_slot(). */
static __always_inline void inbound_mark(const struct flow *f, __u32 mask, int inbound)
{
	struct bucket_pair pair = session_buckets(f->p.dst, f->p.dport, f->p.proto, f->port_offset, f->m->bucket_shift);
	__u32 byte = mask & 0xff ? mask & 0xff : mask >> 8;
	__u8 *octet;

	/* Without tables of its own, these are the buckets of another mapping. */
	if (!LOAD(f->m->bindings.protocols))
		return;
	octet = inbound_octet(f->m, f->subscriber, mask & 0xff ? pair.first : pair.second);
	byte &= -byte;
	if (octet)
		STORE(*octet, (__u8)(inbound ? LOAD(*octet) | byte : LOAD(*octet) & ~byte));
}

/* The outside's sessions that a walk through all slots has counted, one value per core. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} inbound_looks SEC(".maps");

static __always_inline __u32 *inbound_look_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&inbound_looks, &zero);
}

/* Counts those of a bucket that count towards the quota. */
static long inbound_look_bucket(__u32 i, struct quota_walk *w)
{
	const struct bucket *b = subscriber_bucket(w->m, w->subscriber, i);
	__u32 *sessions = inbound_look_get(), inbound;

	if (!sessions || !b)
		return LOOP_END;
	inbound = quota_inbound(w->m, w->subscriber, i, b);
	if (!inbound)
		return LOOP_ON;
	for (__u32 k = 0; k < BUCKET_SLOTS; k++) {
		__u64 word = LOAD(b->slot[k].truth);

		if (inbound >> k & 1 && word_is_live(word) && word_state(word) != SESSION_TIME_WAIT &&
		    !word_expired(word, w->now, w->m->timeout_ticks))
			STORE(*sessions, LOAD(*sessions) + 1);
	}
	return LOOP_ON;
}

/* Counts the sessions that the outside has opened. Returns -1 if this tick's searches are used up. */
static __always_inline int inbound_look(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 now)
{
	struct quota_walk w = { .m = m, .s = s, .subscriber = subscriber, .now = now };
	__u32 *sessions = inbound_look_get();

	if (!sessions || search_begin(s, now))
		return -1;
	STORE(*sessions, 0);
	bpf_loop(subscriber_buckets(m, s), inbound_look_bucket, &w, 0);
	search_end(s, BUCKET_SLOTS * subscriber_buckets(m, s));
	return (int)LOAD(*sessions);
}

/* Of a place where sessions open: another core has opened it meanwhile. */
#define INBOUND_IS_THERE 1

/* Results of inbound_open() other than an inside port. */
#define INBOUND_NOT   (-1) /* no inside endpoint has the port, or the packet opens nothing */
#define INBOUND_LIMIT (-2) /* the outside has opened as much as it may */
#define INBOUND_QUOTA (-3) /* the subscriber is at its quota */
#define INBOUND_SLOTS (-4) /* no slot is left for the session */
#define INBOUND_BUSY  (-5)
#define INBOUND_GROWS (-6) /* once the subscriber has a larger extent: PROG_extent */

static __always_inline int inbound_filters(const struct mapping *m, __u8 proto)
{
	return settings.filtering && LOAD(m->bindings.filtering) & binding_protocol(proto);
}

/* Returns 0, or INBOUND_… if the outside may not open another session of a subscriber in this tick. */
static __always_inline int inbound_full(const struct mapping *m, const struct subscriber *s, __u32 subscriber,
					const struct binding_header *h, __u32 now)
{
	__u32 percent = LOAD(m->bindings.inbound);

	if (LOAD(s->sessions) + drain_sessions(m, m->geo.in_base + subscriber) >= m->sessions_per_user)
		return INBOUND_QUOTA;
	return LOAD(h->inbound) >= inbound_limit(percent, m->sessions_per_user, m->bucket_shift) &&
			       LOAD(h->counted_tick) == now
		       ? INBOUND_LIMIT
		       : 0;
}

/* The binding of the port to which a packet from outside to a subscriber of m is sent; 0: none that anyone may use. */
static __always_inline __u64 inbound_binding(const struct mapping *m, __u32 subscriber, const struct packet *p,
					     __u32 now)
{
	__u32 offset = p->dport - mapping_port_lo(&m->geo, subscriber);
	struct binding_line *line;
	__u64 entry;

	if (settings.growth && offset >= m->geo.ports_per_host) {
		entry = grant_binding_to(m, subscriber, p);
	} else {
		line = binding_line_get(m, subscriber, p->proto, offset >> PORT_GROUP_SHIFT);
		entry = line ? LOAD(*line_entry(line, offset)) : 0;
	}
	return binding_holds(entry, now, binding_life(m, p->proto)) && !(binding_flags(entry) & BINDING_STRAYED) ? entry
														 : 0;
}

/*
 * When a session that the outside opens was last refreshed: when its port was. So it ends with the binding, whose life
 * it does not lengthen, unless the inside answers (RFC 4787 REQ-6).
 */
static __always_inline __u32 inbound_seen(__u64 binding, __u8 proto, __u32 now)
{
	return packet_refreshes(proto, 0) ? now : binding_seen(binding);
}

/* Returns 1 if another mapping has the subscriber's address now, or none. */
static __always_inline int inbound_is_gone(const struct mapping *m, __u32 subscriber)
{
	return settings.drains && mapping_by_inside(LOAD(m->tenant), m->geo.in_base + subscriber) != m;
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
	return !!inbound_binding(m, subscriber, p, now);
}

#endif
