/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Places, changes and ends sessions beyond the slots that another gateway has announced, <detnat/copies.h>, under the
 * lock: in the subscriber's extent (extent_copy.h), or in the overflow. The rules are those of open_overflow.h, with
 * one exception: in the overflow only the number of all sessions is limited, as the peer has already shared it out
 * among its subscribers.
 */
#ifndef DETNAT_OVERFLOW_COPY_H
#define DETNAT_OVERFLOW_COPY_H

#include "copy/extent_copy.h"

static __always_inline struct overflow_key copy_key_in(const struct mapping *m, const struct session_copy *c)
{
	return overflow_key_in(&m->geo, m->geo.in_base + c->subscriber, key_in_port(c->key), key_ext_addr(c->key),
			       key_ext_port(c->key), word_proto(c->word));
}

/* The session's IN2OUT entry, or NULL. */
static __always_inline struct overflow_session *copy_entry(const struct mapping *m, const struct session_copy *c)
{
	struct overflow_key key = copy_key_in(m, c);

	return bpf_map_lookup_elem(&overflow, &key);
}

/* Under the lock: removes both entries. Returns 1 if they were there. */
SUBPROGRAM int copy_overflow_delete(const struct mapping *m, struct subscriber *s, const struct session_copy *c,
				    __u64 word)
{
	struct overflow_key in;

	if (!m || !s || !c)
		return 0;
	in = copy_key_in(m, c);
	return overflow_delete(m, s, &in, word);
}

/* Under the lock, after copy_scan(): the same for a granted port, which no session in the subscriber's own slots has.
 */
SUBPROGRAM int copy_granted_slots(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	struct copy_scan *found = copy_scan_get();
	__u32 port, offset;

	if (!m || !s || !c || !found)
		return COPY_IMPOSSIBLE;
	port = word_out_port(c->word);
	offset = port_offset_of(m, c->subscriber, port);
	STORE(found->existing, 0);
	STORE(found->taken, 0);
	if (open_scan_ports(m, s, c->subscriber, port - offset, offset, now_ticks()) ||
	    (subscriber_extent(s) && copy_clashes_beyond(m, c)))
		return COPY_IMPOSSIBLE;
	return copy_in_extent(found);
}

/*
 * Under the lock: looks for the session and its port in the slots. The session itself can be in the buckets of its
 * first choice, other sessions on its port in the buckets of the port. Returns
 *	COPY_PLACED	neither is in the slots
 *	COPY_EXISTS	the session is in c->slot
 *	COPY_BEYOND	the session is in the subscriber's extent
 *	COPY_PORT	another session has the port, in c->slot or in the extent
 *	COPY_IMPOSSIBLE	the tables are being deleted
 */
SUBPROGRAM int copy_overflow_slots(const struct mapping *m, struct subscriber *s, struct session_copy *c, __u32 offset)
{
	struct copy_scan *found = copy_scan_get();
	__u32 first;
	int r;

	if (!m || !s || !c || !found)
		return COPY_IMPOSSIBLE;
	first = mapping_first_choice(&m->geo, key_in_port(c->key));
	if (!copy_scan(m, s, c, first, found))
		return COPY_IMPOSSIBLE;
	if (LOAD(found->existing) & OPENING_OWN) {
		struct bucket_pair pair = session_buckets(key_ext_addr(c->key), key_ext_port(c->key),
							  word_proto(c->word), first, m->bucket_shift);

		c->slot = (__u16)copy_slot_number(pair, LOAD(found->existing));
		return COPY_EXISTS;
	}
	if (LOAD(found->taken) & OPENING_OWN) {
		copy_note_taken(m, c, first);
		return COPY_PORT;
	}
	r = copy_in_extent(found);
	if (r != COPY_PLACED || offset >> PORT_GROUP_SHIFT == first >> PORT_GROUP_SHIFT)
		return r;
	if (offset >= m->geo.ports_per_host)
		return settings.growth && settings.extent_buckets ? copy_granted_slots(m, s, c) : r;
	if (!copy_scan(m, s, c, offset, found))
		return COPY_IMPOSSIBLE;
	if (!(LOAD(found->taken) & OPENING_OWN))
		return copy_in_extent(found);
	copy_note_taken(m, c, offset);
	return COPY_PORT;
}

/*
 * Under the lock: looks for the session in the overflow. Returns
 *	COPY_PLACED	it is not there, or was removed: it had expired, or was a copy on another port
 *	COPY_BEYOND	it is there; if it is a copy that may be replaced, it is now the announced one
 *	COPY_BUSY	it changed meanwhile
 * c->before and c->mark_before return its state word and mark.
 */
SUBPROGRAM int copy_overflow_present(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct overflow_session *o;
	__u64 word;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	o = copy_entry(m, c);
	if (!o)
		return COPY_PLACED;
	word = LOAD(o->truth);
	if (word_expired(word, now_ticks(), m->timeout_ticks)) {
		struct overflow_key in = copy_key_in(m, c);

		if (!copy_overflow_delete(m, s, c, word))
			return COPY_BUSY;
		overflow_closed(&in, word);
		return COPY_PLACED;
	}
	c->before = word;
	c->mark_before = o->mark;
	if (!copy_may_replace(c, beyond_owner(o->mark, word), word))
		return COPY_BEYOND;
	/* The peer opened it again on another port, and its announcement about the former one was lost. */
	if (word_out_port(word) != word_out_port(c->word))
		return copy_overflow_delete(m, s, c, word) ? COPY_PLACED : COPY_BUSY;
	if (__sync_val_compare_and_swap(&o->truth, word, c->word) != word)
		return COPY_BUSY;
	o->mark = c->mark;
	return COPY_BEYOND;
}

/* Under the lock: inserts both entries and counts the session. Returns COPY_PLACED, or COPY_NO_SLOT with none inserted.
 */
SUBPROGRAM int copy_overflow_insert(const struct mapping *m, struct subscriber *s, const struct session_copy *c)
{
	struct overflow_session session = { 0 };
	struct overflow_key in, out;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	in = copy_key_in(m, c);
	out = overflow_key_reverse(&in, word_out_port(c->word));
	session.in_port = key_in_port(c->key);
	if (bpf_map_update_elem(&overflow, &out, &session, BPF_NOEXIST))
		return COPY_NO_SLOT;
	session = (struct overflow_session){ .truth = c->word, .mark = c->mark, .inbound = c->inbound };
	if (bpf_map_update_elem(&overflow, &in, &session, BPF_NOEXIST)) {
		bpf_map_delete_elem(&overflow, &out);
		return COPY_NO_SLOT;
	}
	__sync_fetch_and_add(&s->overflow, 1);
	limit_began(m, c->subscriber, in.proto);
	__sync_fetch_and_add(&s->sessions, 1);
	overflow_list_add(m, s, c->subscriber, c->key, (__u32)word_out_port(c->word) << 8 | word_proto(c->word));
	copy_count_inbound(binding_header_get(m, c->subscriber), c);
	return COPY_PLACED;
}

/* Claims room for one more session. Returns 0, or -1 if there is none. */
static __always_inline int copy_admit(void)
{
	struct session_copies *all = copies_get();
	struct globals *g = globals_get();

	if (!all || !g)
		return -1;
	if (__sync_fetch_and_add(&g->overflow, 1) < LOAD(all->overflow_limit))
		return 0;
	overflow_release();
	return -1;
}

/* Returns 1 if a session's port is in its subscriber's block, or granted to it. */
static __always_inline int copy_port_is_own(const struct mapping *m, const struct session_copy *c, __u32 offset)
{
	return offset < m->geo.ports_per_host ||
	       (settings.growth &&
		grant_owner(m, mapping_out_addr(&m->geo, c->subscriber), word_out_port(c->word)) == (int)c->subscriber);
}

/* Returns 1 if the port is of the shared range: its grant may be on its way. */
static __always_inline int copy_port_may_come(const struct mapping *m, const struct session_copy *c)
{
	__u32 block = LOAD(m->growth.block);

	return settings.growth && block && growth_block_of(&m->geo, block, word_out_port(c->word)) >= 0;
}

/* COPY_TO_OVERFLOW, under the lock. Returns enum copy_result. */
SUBPROGRAM int copy_overflow(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct copy_scan *found = copy_scan_get();
	__u32 offset;
	int r;

	if (!m || !s || !c || !found)
		return COPY_IMPOSSIBLE;
	found->p = copy_packet(m, c->subscriber, c->key, c->word);
	offset = word_out_port(c->word) - mapping_port_lo(&m->geo, c->subscriber);
	if (!copy_port_is_own(m, c, offset))
		return copy_port_may_come(m, c) ? COPY_NO_SLOT : COPY_IMPOSSIBLE;
	c->slot = COPY_NOT_IN_A_SLOT;
	c->before = 0;
	c->mark_before = 0;
	r = copy_overflow_present(m, s, c);
	if (r == COPY_PLACED && settings.extent_buckets)
		r = copy_extent_present(m, s, c);
	if (r == COPY_PLACED)
		r = copy_overflow_slots(m, s, c, offset);
	if (r != COPY_PLACED)
		return r;
	STORE(found->stamp, now_ticks());
	if (overflow_port_used(m, s, &found->p, word_out_port(c->word)) ||
	    (subscriber_has_portmaps(s) && portmap_holds(m, s, &found->p, word_out_port(c->word))))
		return COPY_PORT;
	if (LOAD(s->sessions) >= m->sessions_per_user)
		return COPY_QUOTA;
	found->room = copy_extent_room(m, s, c);
	if (found->room < 0 && copy_admit())
		return COPY_NO_SLOT;
	if (binding_maps(m, found->p.proto) && copy_bind(m, s, &found->p, offset))
		r = COPY_PORT;
	else
		r = found->room < 0 ? copy_overflow_insert(m, s, c) : copy_extent_insert(m, s, c, found->room);
	if (found->room < 0 && r != COPY_PLACED)
		overflow_release();
	return r;
}

/* COPY_END, under the lock. Returns enum copy_result. */
SUBPROGRAM int copy_overflow_end(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct overflow_session *o;
	__u64 word;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	o = copy_entry(m, c);
	if (!o)
		return settings.extent_buckets ? copy_extent_end(m, s, c) : COPY_CHANGED;
	word = LOAD(o->truth);
	if (!overflow_mark_holds(o->mark, word) || overflow_mark_peer(o->mark) != overflow_mark_peer(c->mark) ||
	    word_out_port(word) != word_out_port(c->word))
		return COPY_CHANGED;
	return copy_overflow_delete(m, s, c, word) ? COPY_PLACED : COPY_BUSY;
}

/* COPY_CHANGE. Under the lock, so that the entry keeps belonging to this session. */
SUBPROGRAM int copy_overflow_change(const struct mapping *m, struct subscriber *s, struct session_copy *c)
{
	struct overflow_session *o;

	if (!m || !s || !c)
		return COPY_IMPOSSIBLE;
	o = copy_entry(m, c);
	if (!o || o->mark != c->mark_before || __sync_val_compare_and_swap(&o->truth, c->before, c->word) != c->before)
		return COPY_CHANGED;
	o->mark = c->mark;
	return COPY_PLACED;
}

#endif
