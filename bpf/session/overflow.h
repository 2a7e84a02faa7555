/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sessions beyond the slots: the map `overflow`, with two entries per session. It is consulted only if the subscriber's
 * record says that it has such sessions. A global count and a share per subscriber limit admission, so that the kernel
 * never has to evict an entry.
 */
#ifndef DETNAT_OVERFLOW_H
#define DETNAT_OVERFLOW_H

#include "base/lock.h"
#include "session/session_slots.h"

/* overflow_place() in a frame of its own, as its divisions need registers that the callers' values would leave. */
SUBPROGRAM __u64 overflow_place_of(const struct mapping *m, __u32 in_addr)
{
	return m ? overflow_place(&m->geo, in_addr) : 0;
}

static __always_inline struct overflow_key overflow_key_of_flow(const struct flow *f)
{
	struct overflow_key key =
		overflow_key_at(overflow_place_of(f->m, f->p.src), f->p.src, f->p.dst, f->p.dport, f->p.proto);

	key.port = f->p.sport;
	return key;
}

/* Makes an IN2OUT key the one of the other entry, or back; a second key would take more stack. */
static __always_inline void overflow_key_turn(struct overflow_key *key, enum overflow_direction direction, __u16 port)
{
	key->port = port;
	key->direction = direction;
}

/* Returns 1 if a flow from inside has an entry; key: slot_key(). Not inlined, for the sake of the fast path. */
SUBPROGRAM int overflow_has(const struct mapping *m, __u32 in_addr, __u64 key, __u32 proto)
{
	struct overflow_key in;

	if (!m)
		return 0;
	in = overflow_key_in(&m->geo, in_addr, key_in_port(key), key_ext_addr(key), key_ext_port(key), (__u8)proto);
	return !!bpf_map_lookup_elem(&overflow, &in);
}

/* Gives back the room that overflow_admit() claimed. */
static __always_inline void overflow_release(void)
{
	struct globals *g = globals_get();

	if (g)
		__sync_fetch_and_add(&g->overflow, -1LL);
}

/* Reports a session that the datapath removed from the map; the agent reports those that it removes itself. */
static __always_inline void overflow_closed(const struct overflow_key *in, __u64 word)
{
	if (settings.session_events)
		session_closed(in->in_addr, in->out_addr, slot_key(in->ext_addr, in->ext_port, in->port), word);
}

/* Under the lock: removes a session from the map. Returns 1 if it was there. The key is as it was afterwards. */
static __always_inline int overflow_delete(const struct mapping *m, struct subscriber *s, struct overflow_key *in,
					   __u64 word)
{
	const __u16 in_port = in->port;

	if (bpf_map_delete_elem(&overflow, in))
		return 0;
	overflow_key_turn(in, OVERFLOW_OUT2IN, word_out_port(word));
	bpf_map_delete_elem(&overflow, in);
	overflow_key_turn(in, OVERFLOW_IN2OUT, in_port);
	__sync_fetch_and_add(&s->overflow, -1U);
	limit_ended(m, mapping_subscriber(&m->geo, in->in_addr), in->proto, 1);
	__sync_fetch_and_add(&s->sessions, -1U);
	overflow_release();
	return 1;
}

/* Takes the lock and deletes a session if its state word is still `word`. */
static __always_inline enum overflow_removed overflow_remove(const struct mapping *m, struct subscriber *s,
							     struct overflow_key *in, __u64 word)
{
	enum overflow_removed removed = OVERFLOW_CHANGED;
	struct overflow_session *o;

	if (open_lock(s))
		return OVERFLOW_BUSY;
	o = bpf_map_lookup_elem(&overflow, in);
	if (o && LOAD(o->truth) == word && overflow_delete(m, s, in, word))
		removed = OVERFLOW_REMOVED;
	open_unlock(s);
	return removed;
}

/*
 * Takes the lock and deletes an OUT2IN entry without a session, left when the kernel failed to delete it because its
 * bucket was locked.
 */
static __always_inline enum overflow_removed
overflow_remove_orphan(struct subscriber *s, const struct overflow_key *out, const struct overflow_key *in)
{
	enum overflow_removed removed = OVERFLOW_CHANGED;
	struct overflow_session *o, *reverse;

	if (open_lock(s))
		return OVERFLOW_BUSY;
	reverse = bpf_map_lookup_elem(&overflow, out);
	o = bpf_map_lookup_elem(&overflow, in);
	/* The port may belong to another flow by now. */
	if (reverse && reverse->in_port == in->port && (!o || word_out_port(LOAD(o->truth)) != out->port) &&
	    !bpf_map_delete_elem(&overflow, out))
		removed = OVERFLOW_REMOVED;
	open_unlock(s);
	return removed;
}

/* Session of a flow from inside, or NULL. An expired session is deleted. */
static __always_inline struct overflow_session *overflow_find_in(const struct flow *f, struct subscriber *s)
{
	struct overflow_key in = overflow_key_of_flow(f);
	struct overflow_session *o = bpf_map_lookup_elem(&overflow, &in);

	if (!o)
		return 0;

	__u64 word = LOAD(o->truth);

	if (!word_expired(word, f->now, f->m->timeout_ticks))
		return o;
	if (overflow_remove(f->m, s, &in, word) == OVERFLOW_REMOVED)
		overflow_closed(&in, word);
	return 0;
}

/* Session of an IN2OUT key that has not expired, or NULL. */
static __always_inline struct overflow_session *overflow_find_live(const struct overflow_key *in,
								   const struct mapping *m, __u32 now)
{
	struct overflow_session *o = bpf_map_lookup_elem(&overflow, in);

	return o && !word_expired(LOAD(o->truth), now, m->timeout_ticks) ? o : 0;
}

/* The key of the OUT2IN entry of a packet from outside to a subscriber of m. */
static __always_inline struct overflow_key overflow_key_of_reply(const struct mapping *m, __u32 subscriber,
								 const struct packet *p)
{
	return overflow_key_out(&m->geo, m->geo.in_base + subscriber, p->dport, p->src, p->sport, p->proto);
}

/*
 * Session of a packet from outside to a subscriber of m that has not expired, or NULL. *ret_in becomes the key of its
 * IN2OUT entry, with the inside endpoint.
 */
static __always_inline struct overflow_session *overflow_find_out(const struct packet *p, const struct mapping *m,
								  __u32 subscriber, __u32 now,
								  struct overflow_key *ret_in)
{
	struct overflow_key out = overflow_key_of_reply(m, subscriber, p);
	struct overflow_session *o = bpf_map_lookup_elem(&overflow, &out);

	if (!o)
		return 0;
	*ret_in = overflow_key_reverse(&out, o->in_port);
	o = overflow_find_live(ret_in, m, now);
	/* The inside endpoint may have a session on another port by now, see overflow_remove_orphan(). */
	return o && word_out_port(LOAD(o->truth)) == p->dport ? o : 0;
}

/* The key of the OUT2IN entry that holds an outside port towards the external endpoint of a packet from inside. */
static __always_inline struct overflow_key overflow_key_of_port(const struct mapping *m, const struct packet *p,
								__u32 out_port)
{
	struct overflow_key key = overflow_key_at(overflow_place_of(m, p->src), p->src, p->dst, p->dport, p->proto);

	overflow_key_turn(&key, OVERFLOW_OUT2IN, (__u16)out_port);
	return key;
}

/* Returns 1 if an entry holds an outside port towards the external endpoint of a subscriber's packet. */
SUBPROGRAM int overflow_port_held(const struct mapping *m, const struct packet *p, __u32 out_port)
{
	struct overflow_key out;

	if (!m || !p)
		return 1;
	out = overflow_key_of_port(m, p, out_port);
	return !!bpf_map_lookup_elem(&overflow, &out);
}

/*
 * Under the lock, for a subscriber's packet from inside: returns 1 if a session holds an outside port towards the
 * packet's external endpoint. An entry that holds the port but is no session any more, expired or half deleted, is
 * removed; with OVERFLOW_PORT_OF_RESET beside the port, one that an RST has closed is, too.
 */
#define OVERFLOW_PORT_OF_RESET 0x10000U

SUBPROGRAM int overflow_port_used(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 out_port)
{
	struct overflow_session *o;
	struct overflow_key key; /* shared by both directions to save stack */
	__u64 word;

	if (!m || !s || !p)
		return 1;
	key = overflow_key_of_port(m, p, out_port);
	o = bpf_map_lookup_elem(&overflow, &key);
	if (!o)
		return 0;
	overflow_key_turn(&key, OVERFLOW_IN2OUT, o->in_port);
	o = bpf_map_lookup_elem(&overflow, &key);
	word = o ? LOAD(o->truth) : 0;
	if (!o || word_out_port(word) != (__u16)out_port) {
		overflow_key_turn(&key, OVERFLOW_OUT2IN, (__u16)out_port);
		return bpf_map_delete_elem(&overflow, &key) != 0;
	}
	if (!(word_expired(word, now_ticks(), m->timeout_ticks) ||
	      (out_port & OVERFLOW_PORT_OF_RESET && word_state(word) & SESSION_RESET)) ||
	    !overflow_delete(m, s, &key, word))
		return 1;
	overflow_closed(&key, word);
	return 0;
}

/*
 * Applies a packet. A session that would enter time-wait is removed from the map instead; if the lock is held it stays
 * unchanged. Returns the state word before the packet, for its port.
 */
static __always_inline __u64 overflow_hit(struct overflow_session *o, struct overflow_key *in, struct subscriber *s,
					  const struct packet *p, int from_inside, __u32 now, const struct mapping *m)
{
	__u64 word = LOAD(o->truth), before = word;
	__u64 next = session_after(word, p->flags, (__u32)from_inside, now, m);

	if (word_state(next) != SESSION_TIME_WAIT) {
		__u64 after = session_apply(&o->truth, &word, next, p->flags, from_inside, now, m);

		if (entered_reset(word, after))
			searches_anew(m, s, mapping_subscriber(&m->geo, in->in_addr), in->proto);
	} else if (overflow_remove(m, s, in, word) == OVERFLOW_REMOVED) {
		overflow_closed(in, word);
	}
	TRACE_STEP(session, before, next);
	return before;
}

/* overflow_hit() for a flow from inside. */
static __always_inline __u64 overflow_hit_in(struct overflow_session *o, const struct flow *f, struct subscriber *s)
{
	struct overflow_key in = overflow_key_of_flow(f);

	return overflow_hit(o, &in, s, &f->p, 1, f->now, f->m);
}

/* Returns 1 if one more session of a subscriber may be in the map where `used` are. */
static __always_inline int overflow_has_room(const struct subscriber *s, __s64 used)
{
	__s64 limit = settings.overflow_sessions;

	return used < limit && subscriber_overflow(s->overflow) < overflow_share((__u64)limit, (__u64)(limit - used));
}

/* Claims room in the global count for one more session of a subscriber. Returns 0, or -1 if there is none. */
static __always_inline int overflow_admit(const struct subscriber *s)
{
	struct globals *g = globals_get();

	if (!g)
		return -1;
	if (overflow_has_room(s, __sync_fetch_and_add(&g->overflow, 1)))
		return 0;
	overflow_release();
	return -1;
}

/* Before a search: returns 1 if the map would not admit a session of a subscriber. */
static __always_inline int overflow_is_full(const struct subscriber *s)
{
	const struct globals *g = globals_get();

	return !g || !overflow_has_room(s, LOAD(g->overflow));
}

#endif
