/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sessions beyond the slots: the map `overflow`, with two entries per session. It is consulted only if the subscriber's
 * record says that it has such sessions. A global count and a share per subscriber limit admission, so that the kernel
 * never has to evict an entry.
 */
#ifndef DETNAT_OVERFLOW_H
#define DETNAT_OVERFLOW_H

#include "lock.h"
#include "session_slots.h"

static __always_inline struct overflow_key overflow_key_in(__u32 in_addr, __u16 in_port, __u32 ext_addr, __u16 ext_port,
							   __u8 proto)
{
	return (struct overflow_key){ .addr = in_addr,
				      .ext_addr = ext_addr,
				      .port = in_port,
				      .ext_port = ext_port,
				      .proto = proto,
				      .direction = OVERFLOW_IN2OUT };
}

static __always_inline struct overflow_key overflow_key_of_flow(const struct flow *f)
{
	return overflow_key_in(f->p.src, f->p.sport, f->p.dst, f->p.dport, f->p.proto);
}

static __always_inline struct overflow_key overflow_key_out(__u32 out_addr, __u16 out_port, __u32 ext_addr,
							    __u16 ext_port, __u8 proto)
{
	return (struct overflow_key){ .addr = out_addr,
				      .ext_addr = ext_addr,
				      .port = out_port,
				      .ext_port = ext_port,
				      .proto = proto,
				      .direction = OVERFLOW_OUT2IN };
}

/* Returns what overflow_admit() claimed. */
static __always_inline void overflow_release(void)
{
	struct globals *g = globals_get();

	if (g)
		__sync_fetch_and_add(&g->overflow, -1LL);
}

/* Reports a session that the datapath removed from the map; the agent reports those that it removes itself. */
static __always_inline void overflow_closed(const struct overflow_key *in, __u32 out_addr, __u64 word)
{
	if (settings.session_events)
		session_closed(in->addr, out_addr, slot_key(in->ext_addr, in->ext_port, in->port), word);
}

/* Under the lock: removes a session from the map. Returns 1 if it was there. */
static __always_inline int overflow_delete(struct subscriber *s, const struct overflow_key *in, __u32 out_addr,
					   __u64 word)
{
	struct overflow_key out =
		overflow_key_out(out_addr, word_out_port(word), in->ext_addr, in->ext_port, in->proto);

	if (bpf_map_delete_elem(&overflow, in))
		return 0;
	bpf_map_delete_elem(&overflow, &out);
	__sync_fetch_and_add(&s->overflow, -1U);
	__sync_fetch_and_add(&s->sessions, -1U);
	overflow_release();
	return 1;
}

/* Takes the lock and deletes a session if its state word is still `word`. */
static __always_inline enum overflow_removed overflow_remove(struct subscriber *s, const struct overflow_key *in,
							     __u32 out_addr, __u64 word)
{
	enum overflow_removed removed = OVERFLOW_CHANGED;
	struct overflow_session *o;

	if (open_lock(s))
		return OVERFLOW_BUSY;
	o = bpf_map_lookup_elem(&overflow, in);
	if (o && LOAD(o->truth) == word && overflow_delete(s, in, out_addr, word))
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

/*
 * Returns 1 if the session of an IN2OUT entry is one of m: while mappings drain, those of an address may be of several,
 * each with an outside address of its own.
 */
static __always_inline int overflow_has_port_of(const struct mapping *m, const struct overflow_key *in, __u64 word)
{
	struct overflow_key out = overflow_key_out(mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, in->addr)),
						   word_out_port(word), in->ext_addr, in->ext_port, in->proto);
	struct overflow_session *reverse = bpf_map_lookup_elem(&overflow, &out);

	/* Another session may have that port in m. */
	return reverse && reverse->in_addr == in->addr && reverse->in_port == in->port;
}

/* The same; compiled away while no mapping drains. */
static __always_inline int overflow_is_of(const struct mapping *m, const struct overflow_key *in, __u64 word)
{
	return !settings.drains || overflow_has_port_of(m, in, word);
}

/* Session of a flow from inside, or NULL. An expired session is deleted. */
static __always_inline struct overflow_session *overflow_find_in(const struct flow *f, struct subscriber *s)
{
	struct overflow_key in = overflow_key_of_flow(f);
	struct overflow_session *o = bpf_map_lookup_elem(&overflow, &in);

	if (!o)
		return 0;

	__u64 word = LOAD(o->truth);
	__u32 out_addr = mapping_out_addr(&f->m->geo, f->subscriber);

	if (!overflow_is_of(f->m, &in, word))
		return 0;
	if (!word_expired(word, f->now, f->m->timeout_ticks))
		return o;
	if (overflow_remove(s, &in, out_addr, word) == OVERFLOW_REMOVED)
		overflow_closed(&in, out_addr, word);
	return 0;
}

/* Session of an IN2OUT key that has not expired, or NULL. */
static __always_inline struct overflow_session *overflow_find_live(const struct overflow_key *in,
								   const struct mapping *m, __u32 now)
{
	struct overflow_session *o = bpf_map_lookup_elem(&overflow, in);

	return o && !word_expired(LOAD(o->truth), now, m->timeout_ticks) ? o : 0;
}

/*
 * Session of a packet from outside that has not expired, or NULL. *ret_in becomes the key of its IN2OUT entry, with the
 * inside endpoint.
 */
static __always_inline struct overflow_session *overflow_find_out(const struct packet *p, const struct mapping *m,
								  __u32 now, struct overflow_key *ret_in)
{
	struct overflow_key out = overflow_key_out(p->dst, p->dport, p->src, p->sport, p->proto);
	struct overflow_session *o = bpf_map_lookup_elem(&overflow, &out);

	if (!o)
		return 0;
	*ret_in = overflow_key_in(o->in_addr, o->in_port, p->src, p->sport, p->proto);
	return overflow_find_live(ret_in, m, now);
}

/* Returns 1 if an entry holds an outside port towards the external endpoint of a subscriber's packet. */
SUBPROGRAM int overflow_port_held(const struct mapping *m, const struct packet *p, __u32 out_port)
{
	struct overflow_key out;

	if (!m || !p)
		return 1;
	out = overflow_key_out(mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src)), (__u16)out_port, p->dst,
			       p->dport, p->proto);
	return !!bpf_map_lookup_elem(&overflow, &out);
}

/*
 * Under the lock, for a subscriber's packet from inside: returns 1 if a session holds an outside port towards the
 * packet's external endpoint. An entry that holds the port but is no session any more, expired or half deleted, is
 * removed.
 */
SUBPROGRAM int overflow_port_used(const struct mapping *m, struct subscriber *s, const struct packet *p, __u32 out_port)
{
	struct overflow_session *o;
	struct overflow_key key; /* shared by both directions to save stack */
	__u32 out_addr;
	__u64 word;

	if (!m || !s || !p)
		return 1;
	out_addr = mapping_out_addr(&m->geo, mapping_subscriber(&m->geo, p->src));
	key = overflow_key_out(out_addr, (__u16)out_port, p->dst, p->dport, p->proto);
	o = bpf_map_lookup_elem(&overflow, &key);
	if (!o)
		return 0;
	key = overflow_key_in(o->in_addr, o->in_port, p->dst, p->dport, p->proto);
	o = bpf_map_lookup_elem(&overflow, &key);
	word = o ? LOAD(o->truth) : 0;
	if (!o || word_out_port(word) != (__u16)out_port) {
		key = overflow_key_out(out_addr, (__u16)out_port, p->dst, p->dport, p->proto);
		return bpf_map_delete_elem(&overflow, &key) != 0;
	}
	if (!word_expired(word, now_ticks(), m->timeout_ticks) || !overflow_delete(s, &key, out_addr, word))
		return 1;
	overflow_closed(&key, out_addr, word);
	return 0;
}

/*
 * Applies a packet. A session that would enter time-wait is removed from the map instead; if the lock is held it stays
 * unchanged. Returns the state word before the packet, for its port.
 */
static __always_inline __u64 overflow_hit(struct overflow_session *o, const struct overflow_key *in, __u32 out_addr,
					  struct subscriber *s, const struct packet *p, int from_inside, __u32 now,
					  const struct mapping *m)
{
	__u64 word = LOAD(o->truth), before = word;
	__u64 next = session_after(word, p->flags, (__u32)from_inside, now, m);

	if (word_state(next) != SESSION_TIME_WAIT) {
		__u64 after = session_apply(&o->truth, &word, next, p->flags, from_inside, now, m);

		if (entered_reset(word, after))
			searches_anew(s);
	} else if (overflow_remove(s, in, out_addr, word) == OVERFLOW_REMOVED) {
		overflow_closed(in, out_addr, word);
	}
	TRACE_STEP(session, before, next);
	return before;
}

/* overflow_hit() for a flow from inside. */
static __always_inline __u64 overflow_hit_in(struct overflow_session *o, const struct flow *f, struct subscriber *s)
{
	struct overflow_key in = overflow_key_of_flow(f);

	return overflow_hit(o, &in, mapping_out_addr(&f->m->geo, f->subscriber), s, &f->p, 1, f->now, f->m);
}

/* Claims room in the global count for one more session of a subscriber. Returns 0, or -1 if there is none. */
static __always_inline int overflow_admit(const struct subscriber *s)
{
	struct globals *g = globals_get();
	__s64 limit = settings.overflow_sessions;

	if (!g)
		return -1;

	__s64 used = __sync_fetch_and_add(&g->overflow, 1);

	if (used < limit && subscriber_overflow(s->overflow) < overflow_share((__u64)limit, (__u64)(limit - used)))
		return 0;
	overflow_release();
	return -1;
}

#endif
