/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Opens a session in a slot, under the opener's lock, by the rules of <detnat/session.h>. */
#ifndef DETNAT_OPEN_H
#define DETNAT_OPEN_H

#include "session/drain.h"
#include "session/extent_grow.h"
#include "slow/in2out.h"
#include "session/fast_open.h"
#include "session/inbound_slots.h"
#include "session/opening.h"
#include "session/portmap.h"
#include "session/quota.h"
#include "session/session_lookup.h"
#include "slow/extent_program.h"
#include "slow/grow.h"
#include "slow/open_place.h"
#if FAMILY6
#include "session/host6.h"
#endif

/* Handles a flow that already has a session, perhaps one in time-wait that a SYN reopens. */
static __always_inline enum opened open_existing(const struct flow *f, struct subscriber *s, struct slot *slot,
						 __u32 existing, __u64 *ret_word)
{
	__u64 word = slot ? LOAD(slot->truth) : 0, after;
	int reopens = session_reopens(word, &f->p);

	if (!slot || !word_is_live(word))
		return OPEN_LOST;
	/* It may not have its port any more: the session ends, and the opening is tried again. */
	if (reopens && port_is_withheld(f->m, s, &f->p, word_out_port(word))) {
		if (slot_change(slot, word, 0))
			slot_closed(f->m, f->subscriber, f->key, word);
		return OPEN_LOST;
	}
	if (reopens) {
		enum opened taken = quota_take(f->m, s, f->subscriber, f->p.proto);

		if (taken != OPENED)
			return taken;
	}
	after = session_after(word, f->p.flags, 1, f->now, f->m);
	/* The subscriber opens this one, even if the outside had opened the one before. */
	if (reopens)
		after &= ~WORD_INBOUND;
	after = session_apply(&slot->truth, &word, after, f->p.flags, 1, f->now, f->m);
	if (reopens && word_state(after) == SESSION_TIME_WAIT) {
		/* Sessions are reopened only under the lock, so the slot was swept meanwhile. */
		quota_leave(f->m, s, f->subscriber, f->p.proto);
		return OPEN_LOST;
	}
	if (reopens) {
		slot_closed(f->m, f->subscriber, f->key, word);
		session_notify(f, word_out_port(after));
		if (settings.filtering && existing & OPENING_OWN)
			inbound_mark(f, existing, 0);
	} else if (entered_time_wait(word, after)) {
		limit_ended(f->m, f->subscriber, f->p.proto, 1);
		__sync_fetch_and_add(&s->sessions, -1U);
	}
	*ret_word = after;
	return OPENED;
}

/* Claims the slot, whose state word is `from`, for the flow's session, which begins with `word`. */
static __always_inline enum opened open_claim(const struct flow *f, struct subscriber *s, struct slot *slot, __u64 from,
					      __u64 word, __u64 *ret_word)
{
	enum opened opened = opening_claim(f->m, s, f->subscriber, slot, from, f->key, word, f->now);

	if (opened != OPENED)
		return opened;
	count_add(REASON_sessions_opened, 1);
	session_notify(f, word_out_port(word));
	*ret_word = word;
	return OPENED;
}

/*
 * Argument `bound` of the next functions: a port offset plus one; 0: the flow may have any port. For subprograms, a
 * flag in it says that the flow has a place in the quota, which they take or give back.
 */
#define BOUND_TO(offset) ((__u32)(offset) + 1)
#define PLACE_RESERVED	 0x80000000U

/* Under the lock: whether an opening has a place in the quota already. It is the subscriber's own. */
static __always_inline void place_reserve(__u32 bound)
{
	struct opening *o = opening_record();

	if (!o)
		return;
	STORE(o->reserved, bound / PLACE_RESERVED);
	if (settings.limits)
		STORE(o->rated, 1);
}

/* Under the lock: gives back a place that the opening has not taken. */
static __always_inline void place_release(struct subscriber *s)
{
	struct opening *o = opening_record();

	if (o && settings.limits)
		STORE(o->rated, 0);
	if (!o || !LOAD(o->reserved))
		return;
	STORE(o->reserved, 0);
	quota_give_back(s);
}

/* Returns 1 if a bound port is a granted one, beyond the block. */
static __always_inline int bound_is_granted(const struct mapping *m, __u32 bound)
{
	return settings.growth && bound > m->geo.ports_per_host;
}

/* Returns 1 if a port is in another group than the flow's first choice, so that slots cannot hold its sessions. */
static __always_inline int bound_has_strayed(const struct flow *f, __u32 bound)
{
	return bound &&
	       ((bound - 1) >> PORT_GROUP_SHIFT != f->port_offset >> PORT_GROUP_SHIFT || bound_is_granted(f->m, bound));
}

/* Under the lock: ends a session that an RST has closed. Returns the bit of its slot; 0: there is none. */
static __always_inline __u32 open_reset(const struct opening *o, const struct bucket_choice *b, const struct flow *f,
					struct subscriber *s)
{
	__u32 reset = LOAD(o->reset);
	struct slot *slot = reset ? opening_slot_of(o, b, reset) : 0;

	return slot && slot_gives_way(f->m, s, slot, f->subscriber, PORT_OF_RESET) ? reset & -reset : 0;
}

/* Under the lock: finds or opens the session in the flow's buckets. */
static __always_inline enum opened open_in_bucket(const struct flow *f, struct subscriber *s, __u32 bound,
						  __u64 *ret_word)
{
	struct bucket_choice b;
	struct opening *o = open_scan(f, s, f->port_offset, &b);
	struct slot *apart;

	if (!o)
		return OPEN_LOST;
	if (LOAD(o->existing))
		return open_existing(f, s, opening_slot_of(o, &b, LOAD(o->existing)), LOAD(o->existing), ret_word);

	apart = extent_slot(open_search_apart(f, s));
	if (apart)
		return open_existing(f, s, apart, 0, ret_word);
	if (settings.bindings && bound_has_strayed(f, bound))
		return OPEN_NO_ROOM;

	__s32 offset = settings.bindings && bound ? open_bound_port(o, bound - 1) : opening_port(o, f, s);
	__u32 room = open_room(o, f, s);

	struct slot *slot;
	enum opened opened;
	__u64 from;

	if (settings.bindings && bound && offset < 0)
		return OPEN_NO_PORT;
	if (offset < 0 && LOAD(o->time_wait_port)) {
		room = LOAD(o->time_wait_port);
		slot = opening_slot_of(o, &b, room);
		if (!slot)
			return OPEN_LOST;
		from = LOAD(slot->truth);
		offset = (__s32)(word_out_port(from) - LOAD(o->port_lo));
		/* It may have been swept since the scan. */
		if (word_state(from) != SESSION_TIME_WAIT ||
		    (__u32)offset >> PORT_GROUP_SHIFT != f->port_offset >> PORT_GROUP_SHIFT)
			return OPEN_LOST;
		if (port_is_withheld(f->m, s, &f->p, word_out_port(from)))
			return OPEN_NO_ROOM;
	} else {
		if (offset >= 0 && extent_may_grow(o, f) && extent_is_due(o, s, room))
			return OPEN_GROWS;
		if (!room)
			room = LOAD(o->time_wait);
		if (!room && offset >= 0)
			room = open_reset(o, &b, f, s);
		if (offset < 0 || !room)
			return OPEN_NO_ROOM;
		slot = opening_slot_of(o, &b, room);
		if (!slot)
			return OPEN_LOST;
		from = LOAD(slot->truth);
	}
	if ((__u32)offset != f->port_offset || room != preferred_bit(f->port_offset))
		displace(s, b.home);
	/* Before it is there: a search for sessions of the outside, without the lock, would take it for one. */
	if (settings.filtering && room & OPENING_OWN)
		inbound_mark(f, room, 0);
	opened = open_claim(f, s, slot, from, open_word(f, LOAD(o->port_lo) + (__u32)offset), ret_word);
	if (opened == OPENED && !(room & OPENING_OWN))
		count_add(REASON_sessions_overflowed, 1);
	return opened;
}

/* Takes the lock and the place that `bound` says is reserved; 0, or -1 with that place given back. */
static __always_inline int open_begin(struct subscriber *s, __u32 bound)
{
	if (open_lock(s)) {
		if (bound & PLACE_RESERVED)
			quota_give_back(s);
		return -1;
	}
	place_reserve(bound);
	return 0;
}

/* Under the lock: the host of an IPv6 subscriber's packet gets its number, if it has none. Returns 0, or -1. */
static __always_inline int open_host(const struct mapping *m, struct subscriber *s, __u32 subscriber)
{
#if FAMILY6
	return host6_take(m, s, subscriber);
#else
	return 0;
#endif
}

static __always_inline void open_end(struct subscriber *s)
{
	place_release(s);
	open_unlock(s);
}

/*
 * Opens a flow's session under the lock; open_in_bucket() or another. bound: without PLACE_RESERVED. Sets *ret_word to
 * its state word.
 */
typedef enum opened (*open_locked)(const struct flow *f, struct subscriber *s, __u32 bound, __u64 *ret_word);

/*
 * What openings of a packet from inside have around them: takes the lock for one of them, which is inlined. Returns
 * enum opened; OPEN_LOST also if the lock is held for too long.
 */
static __always_inline int open_under_lock(open_locked open, const struct mapping *m, struct subscriber *s,
					   const struct packet *p, __u32 bound, __u64 *ret_word)
{
	enum opened opened;
	struct flow f;

	if (!m || !s || !p || !ret_word)
		return OPEN_LOST;
	f = flow_of(m, p);
	if (open_begin(s, bound))
		return OPEN_LOST;
	opened = open_host(m, s, f.subscriber) ? OPEN_NO_HOST : open(&f, s, bound & ~PLACE_RESERVED, ret_word);
	open_end(s);
	return opened;
}

/* Under the lock: cheap checks before an opening that searches for a port, which is inlined. */
static __always_inline enum opened open_by_search(open_locked search, const struct flow *f, struct subscriber *s,
						  __u32 bound, __u64 *ret_word)
{
	if (quota_is_reached(f->m, s))
		return OPEN_AT_QUOTA;
	if (search_begin(s, f->now))
		return OPEN_LOST;
	return search(f, s, bound, ret_word);
}

/*
 * Finds or opens the session of a packet from inside in a slot of its subscriber, under the lock. Returns enum opened.
 */
SUBPROGRAM int open_in_slot(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 bound,
			    __u64 *ret_word)
{
	return open_under_lock(open_in_bucket, m, s, p, bound, ret_word);
}

/* Continues with a packet whose session now exists; the hairpin program finds it again. */
static __always_inline int open_finish(ctx_t *ctx, const struct in2out *io, __u16 out_port)
{
	return is_hairpin(io) ? tail_call(ctx, PROG_hairpin) : in2out_finish(ctx, io, out_port);
}

/* Prepares both opening programs: the packet's flow and its subscriber's record. */
static __always_inline int open_prepare(ctx_t *ctx, struct in2out *io, struct subscriber **ret_s)
{
	int verdict = in2out_prepare(ctx, io, PACKET_SESSION);
	struct subscriber *s;

	if (verdict != CONTINUE)
		return verdict;
	s = subscriber_get(io->f.m, io->f.subscriber);
	if (!s)
		return drop(REASON_drop_no_mapping);
	*ret_s = s;
	return CONTINUE;
}

/*
 * The port that a flow's session must have, for open_in_slot(): the one that its inside endpoint is bound to. Or
 * BINDING_NONE, BINDING_BUSY.
 */
static __always_inline int open_bind(const struct flow *f, struct subscriber *s)
{
	int offset;

	if (!binding_maps(f->m, f->p.proto))
		return 0;
	offset = binding_take(f->m, s, &f->p);
	return offset < 0 ? offset : (int)BOUND_TO(offset);
}

/* Refuses a flow whose inside endpoint cannot be bound. */
static __always_inline int open_unbound(ctx_t *ctx, const struct flow *f, struct subscriber *s, int why)
{
	return why == BINDING_NONE ? open_grow(ctx, f, s) : drop(REASON_drop_busy);
}

/* Continues with a packet that found no room in its slots, with the port that is bound for its session. */
static __always_inline int open_elsewhere(ctx_t *ctx, const struct flow *f, int bound)
{
	struct arguments *n = settings.bindings ? arguments_get() : 0;

	if (n) {
		*(volatile __u32 *)&n->bound = (__u32)bound;
		*(volatile __u32 *)&n->binder = f->m->first_subscriber + f->subscriber;
	}
	return tail_call(ctx, PROG_search);
}

/* How often an opening is tried while others disturb it. */
#define OPEN_TRIES 8

/*
 * Takes a place in the quota before the session opens. Places that others give back for a moment, to open beyond the
 * slots, look free to an opener that then loses them under the lock. room: QUOTA_BELOW, or QUOTA_PLACE: it has one.
 * Returns 1 if it has one.
 */
SUBPROGRAM int open_take_place(const struct mapping *m, struct subscriber *s, int room)
{
	int taken;

	if (!m || !s || room)
		return room;
	if (open_lock(s))
		return 0;
	taken = !quota_is_reached(m, s);
	if (taken)
		__sync_fetch_and_add(&s->sessions, 1);
	open_unlock(s);
	return taken;
}

/* limit_room() for a flow from inside. peek: QUOTA_PEEK or 0. */
static __always_inline int open_limit_room(const struct mapping *m, struct subscriber *s, const struct packet *p,
					   __u32 peek)
{
	return mapping_is_limited(m) ? limit_room(m, s, p, drain_sessions_of(m, p->src, p->proto) | peek) : QUOTA_BELOW;
}

/* Returns 1 after a result that others have caused, who disturb the opening. One comparison, as the loop repeats it. */
static __always_inline int open_is_tried_again(int opened)
{
	return (1U << OPEN_LOST | 1U << OPEN_AT_QUOTA | 1U << OPEN_AT_LIMIT) >> (opened & 31) & 1;
}

/*
 * Opens a flow's session by open_in_slot() or open_beyond_slots(), in place of one that gives way at the quota. bound:
 * as open_bind() returns it. Returns enum opened.
 */
static __always_inline int open_with_room(int (*open)(const struct mapping *m, struct subscriber *s,
						      const struct packet *p, __u32 bound, __u64 *ret_word),
					  const struct flow *f, struct subscriber *s, int bound, __u64 *ret_word)
{
	__u32 elsewhere = drain_sessions(f->m, f->p.src);
	int opened = OPEN_LOST;

	for (int i = 0; i < OPEN_TRIES && open_is_tried_again(opened); i++) {
		int room = open_limit_room(f->m, s, &f->p, 0);

		if (room >= QUOTA_FULL)
			return room == QUOTA_FULL ? OPEN_AT_LIMIT : OPEN_TOO_FAST;
		if (room == QUOTA_BELOW)
			room = quota_room(f->m, s, &f->p, elsewhere);
		if (room == QUOTA_FULL)
			return OPEN_AT_QUOTA;
		if (i)
			room = open_take_place(f->m, s, room);
		opened = open(f->m, s, &f->p, (__u32)bound | (__u32)room * PLACE_RESERVED, ret_word);
	}
	return opened;
}

/* The reason for which an opening is refused that the quota or a limit does not allow. */
static __always_inline enum reason open_refusal(int opened)
{
	return opened == OPEN_TOO_FAST	 ? REASON_drop_rate
	       : opened == OPEN_AT_LIMIT ? REASON_drop_quota_protocol
					 : REASON_drop_quota;
}

/*
 * Returns OPENED; or the refusal if no session gives way to one more, before a port is bound for it: for a refused one
 * none is.
 */
static __always_inline int open_is_refused(const struct flow *f, struct subscriber *s)
{
	int room;

	if (!binding_maps(f->m, f->p.proto))
		return OPENED;
	room = open_limit_room(f->m, s, &f->p, QUOTA_PEEK);
	if (room != QUOTA_BELOW)
		return room == QUOTA_PLACE ? OPENED : room == QUOTA_FULL ? OPEN_AT_LIMIT : OPEN_TOO_FAST;
	return quota_room(f->m, s, &f->p, drain_sessions(f->m, f->p.src) | QUOTA_PEEK) == QUOTA_FULL ? OPEN_AT_QUOTA
												     : OPENED;
}

/* Lets a packet of a session in a mapping that drains go on. CONTINUE: it has none, and may open one. */
static __always_inline int open_drained(ctx_t *ctx, struct in2out *io)
{
	int out_port = drain_take(LOAD(io->f.m->tenant), &io->f, SESSION_PACKET);

	if (out_port)
		return open_finish(ctx, io, (__u16)out_port);
	return in2out_is_left_over(ctx, io) ? in2out_unmatched(ctx, io) : CONTINUE;
}

/*
 * Outside port of the session of a flow that has none in its subscriber's own slots; 0: it has none. Before the quota
 * is asked: stage 2 does not look into extents, and a session may have moved to another one while the fast path looked.
 */
static __always_inline __u16 open_find_beyond(const struct flow *f, const struct subscriber *s)
{
	return settings.extent_buckets && subscriber_extent(s) ? (__u16)session_packet_in2out(f->m, &f->p) : 0;
}

/* The program for a flow from inside that has no slot. */
static __always_inline int open_session(ctx_t *ctx)
{
	struct in2out io;
	struct subscriber *s;
	int verdict = open_prepare(ctx, &io, &s), bound, refused;
	__u16 out_port;

	if (verdict != CONTINUE)
		return verdict;
	out_port = open_find_beyond(&io.f, s);
	if (out_port)
		return open_finish(ctx, &io, out_port);
	if (settings.drains) {
		verdict = open_drained(ctx, &io);
		if (verdict != CONTINUE)
			return verdict;
	}
	if (s->beyond && !is_hairpin(&io)) {
		out_port = (__u16)portmap_packet_in2out(io.f.m, s, &io.f.p);
		if (out_port)
			return open_finish(ctx, &io, out_port);
	}
	refused = open_is_refused(&io.f, s);
	if (refused != OPENED)
		return refuse(ctx, open_refusal(refused));
	bound = open_bind(&io.f, s);
	if (bound < 0)
		return open_unbound(ctx, &io.f, s, bound);
	if (is_hairpin(&io))
		hairpins_note(s);

	__u64 word = 0;

	refused = open_with_room(open_in_slot, &io.f, s, bound, &word);
	switch (refused) {
	case OPENED:
		return open_finish(ctx, &io, word_out_port(word));
	case OPEN_NO_ROOM:
		return open_elsewhere(ctx, &io.f, bound);
	case OPEN_GROWS:
		return extent_wait(ctx, io.f.m, io.f.p.src, PROG_open);
	case OPEN_NO_PORT:
		return refuse(ctx, REASON_drop_ports_exhausted);
	case OPEN_NO_HOST:
		return refuse(ctx, REASON_drop_hosts);
	case OPEN_AT_QUOTA:
	case OPEN_AT_LIMIT:
	case OPEN_TOO_FAST:
		return refuse(ctx, open_refusal(refused));
	default:
		return drop(REASON_drop_busy);
	}
}

#endif
