/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the searches for a port share: which ports they take, and how one is taken from a session that has ended. */
#ifndef DETNAT_PORT_TAKE_H
#define DETNAT_PORT_TAKE_H

#include "session/overflow_open.h"
#include "slow/open.h"
#include "slow/open_stray.h"

/* Which ports are taken, in this order: free ones first, then those of sessions in time-wait or reset. */
enum port_of { PORT_FREE, PORT_OF_TIME_WAIT, PORT_OF_RESET, N_PORT_OF };

/* Values of opening.port besides an offset in the block. */
#define PORT_NONE	 (-1)
#define PORT_OF_EXISTING (-2) /* another core has opened the flow's session meanwhile */

/*
 * Removes the first session in `mask`, if it is still in the state that `of` names, for its port. b: the subscriber's
 * own buckets; NULL: the mask has none of theirs. Returns 1 if so.
 */
static __always_inline long port_take(struct opening *o, const struct bucket_choice *b, const struct flow *f,
				      struct subscriber *s, __u32 mask, enum port_of of)
{
	struct slot *slot;
	__u64 word, key;

	if (!mask)
		return 0;
	slot = b ? opening_slot_of(o, b, mask) : opening_slot_beyond(o, mask);
	if (!slot)
		return 0;
	word = LOAD(slot->truth);
	key = LOAD(slot->key);
	if (of == PORT_OF_RESET ? !(word_state(word) & SESSION_RESET) : word_state(word) != SESSION_TIME_WAIT)
		return 0;
	if (port_is_withheld(f->m, s, &f->p, word_out_port(word)) || !slot_change(slot, word, 0))
		return 0;
	if (of == PORT_OF_RESET) {
		limit_ended(f->m, f->subscriber, f->p.proto, 1);
		__sync_fetch_and_add(&s->sessions, -1U);
	}
	slot_closed(f->m, f->subscriber, key, word);
	opening_choose(o, (__s32)(word_out_port(word) - LOAD(o->port_lo)));
	ADD_BITS(o->room, mask & -mask);
	return 1;
}

/* Under the lock, for an admitted flow and a free port: opens its session in the overflow map. */
static __noinline enum opened open_in_overflow(const struct flow *f, struct subscriber *s, __u64 word, __u64 *ret_word)
{
	enum opened opened;

	if (overflow_admit(s))
		return OPEN_NO_ROOM;
	opened = overflow_open(f, s, word, (__u32)word_is_inbound(word));
	if (opened == OPENED)
		*ret_word = word;
	else
		overflow_release();
	return opened;
}

/* The state word of a flow from inside whose session begins on an outside port. */
static __always_inline __u64 open_word(const struct flow *f, __u32 out_port)
{
	return state_word((__u16)out_port, f->p.proto, open_state(&f->p), f->now);
}

/*
 * Under the lock, for an admitted flow, after a scan of the group of opening.port, a free one: opens its session there,
 * with a state word that has this port, in the extent if it can.
 */
static __always_inline enum opened open_on_port(const struct flow *f, struct subscriber *s, __u64 word, __u64 *ret_word)
{
	enum opened opened = open_stray(f, s, word, ret_word);
	const struct opening *o = opening_record();

	if (opened != OPEN_NO_ROOM)
		return opened;
	if (o && extent_may_grow(o, f))
		return OPEN_GROWS;
	return open_in_overflow(f, s, word, ret_word);
}

#endif
