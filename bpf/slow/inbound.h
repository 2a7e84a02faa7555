/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoint-independent filtering: a packet from outside to a bound port opens a session if it has none. The sessions
 * that the outside has opened are kept in the subscriber's own slots only, unless the port is a granted one; they are
 * limited to a share of the quota, and give way to the subscriber's own at the quota. All of it is compiled away while
 * no mapping uses it.
 */
#ifndef DETNAT_INBOUND_H
#define DETNAT_INBOUND_H

#include "slow/egress_check.h"
#include "slow/extent_program.h"
#include "slow/open_grant.h"

/*
 * Sessions that the outside has opened, of a subscriber's number in m; -1 if this tick's searches are used up. A
 * subprogram, for the stack: its caller's frame lies beneath that of the search for a slot, too.
 */
SUBPROGRAM int inbound_count(const struct mapping *m, struct subscriber *s, __u32 subscriber, __u32 now)
{
	if (!m || !s)
		return -1;
	return inbound_look(m, s, subscriber, now);
}

/*
 * Under the lock. Returns 0 if one more session may be opened from outside, else INBOUND_… Those that have ended are
 * found by a count, one in a tick at most: it would be work for every packet of a flood.
 */
static __always_inline int inbound_admit(const struct flow *f, struct subscriber *s, struct binding_header *h)
{
	__u32 percent = LOAD(f->m->bindings.inbound);
	__u32 limit = inbound_limit(percent, f->m->sessions_per_user, f->m->bucket_shift);
	int sessions;

	if (LOAD(h->inbound) < limit)
		return 0;
	if (LOAD(h->counted_tick) == f->now)
		return INBOUND_LIMIT;
	sessions = inbound_count(f->m, s, f->subscriber, f->now);
	if (sessions < 0)
		return INBOUND_BUSY;
	STORE(h->inbound, (__u32)sessions);
	STORE(h->counted_tick, f->now);
	return (__u32)sessions < limit ? 0 : INBOUND_LIMIT;
}

static __always_inline __u64 inbound_word(const struct flow *f, __u16 out_port, __u64 binding)
{
	return state_word(out_port, f->p.proto, f->p.proto == IPPROTO_TCP ? SESSION_SYN_RECEIVED : SESSION_UDP,
			  inbound_seen(binding, f->p.proto, f->now));
}

static __always_inline void inbound_count_one(struct binding_header *h)
{
	STORE(h->inbound, LOAD(h->inbound) + 1);
	count_add(REASON_sessions_inbound, 1);
}

/*
 * Under the lock: opens a session on a bound port in a slot of the subscriber's own. f: as from inside. Returns 0, or
 * INBOUND_…
 */
static __always_inline int inbound_in_slot(const struct flow *f, struct subscriber *s, __u64 word)
{
	__u32 offset = word_out_port(word) - mapping_port_lo(&f->m->geo, f->subscriber), room;
	struct bucket_choice b;
	struct opening *o = open_scan(f, s, f->port_offset, &b);
	struct slot *slot;

	if (!o)
		return INBOUND_BUSY;
	/* Another core has opened it meanwhile; or it has another port, from before there were bindings. */
	if (LOAD(o->existing)) {
		slot = opening_slot_of(o, &b, LOAD(o->existing));
		return slot && word_out_port(LOAD(slot->truth)) == word_out_port(word) ? INBOUND_IS_THERE : INBOUND_NOT;
	}
	/* Another inside port's, from before there were bindings; see open_bound_port(). */
	if (open_bound_port(o, offset) < 0)
		return INBOUND_NOT;
	room = opening_room(LOAD(o->room) & OPENING_OWN, LOAD(o->port_offset),
			    slots_crowded(LOAD(s->sessions), f->m->bucket_shift));
	if (!room)
		room = LOAD(o->time_wait) & OPENING_OWN;
	if (!room)
		return INBOUND_SLOTS;
	slot = opening_slot(&b, room);
	if (offset != f->port_offset || room != preferred_bit(f->port_offset))
		displace(s, b.home);
	switch (open_claim(f, s, slot, LOAD(slot->truth), word, &word)) {
	case OPENED:
		inbound_mark(f, room, 1);
		return 0;
	case OPEN_AT_QUOTA:
	case OPEN_AT_LIMIT:
		return INBOUND_QUOTA;
	default:
		return INBOUND_BUSY;
	}
}

/* The same on a granted port, where sessions from inside have theirs. */
static __always_inline int inbound_on_grant(const struct flow *f, struct subscriber *s, __u64 word)
{
	/* On another port, from before there were bindings. */
	if (open_exists(f, s))
		return INBOUND_NOT;
	switch (open_on_bound_grant(f, s, word | WORD_INBOUND, &word)) {
	case OPENED:
		return 0;
	case OPEN_AT_QUOTA:
	case OPEN_AT_LIMIT:
		return INBOUND_QUOTA;
	case OPEN_GROWS:
		return INBOUND_GROWS;
	case OPEN_NO_ROOM:
		return INBOUND_SLOTS;
	case OPEN_LOST:
		return INBOUND_BUSY;
	default:
		return INBOUND_NOT;
	}
}

typedef int (*inbound_place)(const struct flow *f, struct subscriber *s, __u64 word);

/* Under the lock: opens p's session on a bound port. f: as from inside. Returns 0, or INBOUND_… */
static __always_inline int inbound_open_locked(inbound_place place, const struct flow *f, struct subscriber *s,
					       const struct packet *p)
{
	struct binding_header *h = binding_header_get(f->m, f->subscriber);
	__u64 binding;
	int full;

	if (!h)
		return INBOUND_NOT;
	full = inbound_full(f->m, s, f->subscriber, h, f->now);
	if (!full)
		full = inbound_admit(f, s, h);
	if (full)
		return full;
	/* Another inside port may have got it before the lock was taken. */
	binding = inbound_binding(f->m, f->subscriber, p, f->now);
	if (!binding_is_of(binding, f->p.sport))
		return INBOUND_NOT;
	full = place(f, s, inbound_word(f, p->dport, binding));
	if (!full) {
		inbound_count_one(h);
		/* It gives way, so what was in vain in this tick is so no more. */
		searches_anew(f->m, s, f->subscriber, f->p.proto);
	}
	return full == INBOUND_IS_THERE ? 0 : full;
}

/* The reason for which a packet is dropped that inbound_open() has opened nothing for. */
static __always_inline enum reason inbound_refusal(int why)
{
	switch (why) {
	case INBOUND_LIMIT:
		return REASON_drop_inbound_limit;
	case INBOUND_QUOTA:
		return REASON_drop_inbound_quota;
	case INBOUND_SLOTS:
		return REASON_drop_inbound_slots;
	case INBOUND_BUSY:
		return REASON_drop_busy;
	default:
		return REASON_drop_no_session;
	}
}

/* inbound_open() by one of the places. */
static __always_inline int inbound_open_in(inbound_place place, const struct mapping *m, __u32 subscriber,
					   const struct packet *p)
{
	const struct binding_header *h;
	struct subscriber *s;
	struct flow f;
	__u64 binding;
	int in_port, r;

	if (!m || !p)
		return INBOUND_NOT;
	s = subscriber_get(m, subscriber);
	h = binding_header_get(m, subscriber);
	if (!s || !h)
		return INBOUND_NOT;
	f.m = m;
	f.now = now_ticks();
	binding = inbound_binding(m, subscriber, p, f.now);
	in_port = binding_in_port(binding);
	/* An exception may have taken the address out of the mapping since the port was bound. */
	if (!binding || index_find_inside(LOAD(m->tenant), m->geo.in_base + subscriber) != leaf_outside(p->dst))
		return INBOUND_NOT;
	/* A flood beyond the limit does not get as far as the lock. */
	r = inbound_full(m, s, subscriber, h, f.now);
	if (!r && settings.limits && limit_refuses(m, subscriber, p->proto))
		r = INBOUND_QUOTA;
	if (r)
		return r;
	/* The flow as seen from inside. */
	f.p = *p;
	f.p.src = m->geo.in_base + subscriber;
	f.p.dst = p->src;
	f.p.sport = (__u16)in_port;
	f.p.dport = p->sport;
	flow_complete(&f);
	if (open_lock(s))
		return INBOUND_BUSY;
	r = inbound_open_locked(place, &f, s, p);
	open_unlock(s);
	/* A hairpin's peer is a subscriber, see out2in(). */
	if (!r && leaf_outside(p->src))
		hairpins_note(s);
	return r ? r : in_port;
}

SUBPROGRAM int inbound_open_in_slot(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	return inbound_open_in(inbound_in_slot, m, subscriber, p);
}

SUBPROGRAM int inbound_open_on_grant(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	return inbound_open_in(inbound_on_grant, m, subscriber, p);
}

/*
 * Opens the session of a packet from outside to a bound port of a subscriber of m, for which inbound_may_open() holds.
 * Returns its inside port, or INBOUND_…
 */
static __always_inline int inbound_open(const struct mapping *m, __u32 subscriber, const struct packet *p)
{
	int granted = settings.growth && p->dport - mapping_port_lo(&m->geo, subscriber) >= m->geo.ports_per_host;

	return granted ? inbound_open_on_grant(m, subscriber, p) : inbound_open_in_slot(m, subscriber, p);
}

/*
 * Opens the receiver's session of a packet that comes from inside, with a source that the receiver can answer. Goes on
 * with `next`, or begins again, with `self`, once the receiver has a larger extent. Returns a verdict.
 */
static __always_inline int inbound_open_towards(ctx_t *ctx, enum prog next, enum prog self)
{
	struct receiver r;
	struct packet p;
	int in_port, verdict;

	if (parse(ctx, &p) != PACKET_SESSION || receiver_get(&p, &r))
		return drop(REASON_drop_no_session);
	/* Before anything is opened. */
	verdict = egress_check_ttl(ctx, &p, r.s);
	if (verdict != CONTINUE)
		return verdict;
	in_port = inbound_open(r.m, r.number, &p);
	if (in_port >= 0)
		return tail_call(ctx, next);
	return in_port == INBOUND_GROWS ? extent_wait(ctx, r.m, r.in_addr, self) : drop(inbound_refusal(in_port));
}

#endif
