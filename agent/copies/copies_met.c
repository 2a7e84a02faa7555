/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A peer announces a session that is here already (rules 3, 7, 8 and 9). It may be in a slot of its subscriber's own at
 * one gateway and beyond these at the other, as both have opened it: then the session here gives way or stays, and the
 * announced one is tried again.
 */
#include "copies/found_session.h"
#include "sessions/sessions.h"

static bool yields(const struct copying *c, const struct placing *p, const struct found_session *s)
{
	if (!s->owner)
		return !p->behalf && claim_wins(c, p->peer, p->turn, 0, found_turn(c, s));
	return s->owner == p->peer || copy_is_replaced(c, p, s->owner, found_turn(c, s), found_behalf(c, s));
}

/* The obstacle is gone: packets need the copy, so its first try is due. */
static void place_soon(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct waiting_copy w = waiting_copy_of(r, p);

	w.tick -= ticks_of_seconds(1, mappings_datapath(c->m)->hz);
	waiting_del(&c->waiting, &w);
	waiting_add(&c->waiting, &w);
}

/* Both have opened it: each reports an end for its opening. */
static void report_own(struct copying *c, const struct session_copy *r, const struct placing *p,
		       const struct found_session *s)
{
	if (!s->owner && !p->turn)
		report_end(c, r, r->key, s->word);
}

/* It has another place here, or another port. */
static void moves(struct copying *c, const struct session_copy *r, const struct placing *p,
		  const struct found_session *s)
{
	if (found_end(c, s)) {
		report_own(c, r, p, s);
		/* It continues, so its end is not announced. */
		found_forget(c, s);
		place_soon(c, r, p);
	}
	wait_for(c, r, p);
}

/* It is the peer's copy, or becomes that. */
static void stays(struct copying *c, const struct session_copy *r, const struct placing *p, struct found_session *s)
{
	uint8_t was = word_state(s->slot < 0 && r->before ? r->before : s->word), state = word_state(r->word);

	if (s->owner != p->peer) {
		if (!found_to_peer(c, s, r, p))
			return;
		report_own(c, r, p, s);
		was = word_state(s->word);
	} else if (s->slot < 0) {
		note_copied(c, &s->id, s->word, p);
	}
	if (s->slot >= 0 && s->owner == p->peer && was != state && !change_state(s->at, s->word, state))
		was = state;
	c->counts->updated += was != state;
	if (s->slot >= 0)
		note_announced(c, r, p, (uint32_t)s->slot);
}

void copy_met(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	const struct session_tuple id = slot_session_id(cm, r->subscriber, r->key, r->word);
	bool beyond = r->result == COPY_BEYOND, elsewhere = beyond != (r->request == COPY_TO_EXTENT);
	struct found_session s;

	c->counts->existing++;
	if (elsewhere && p->behalf)
		return;
	if (!(beyond ? found_beyond(c, &id, &s) : found_in_slot(c, cm, r->subscriber, r->slot, &s))) {
		/* It has ended just now, or is in time-wait, and has had a packet since. */
		if (beyond)
			wait_for(c, r, p);
	} else if (s.id.out_port != id.out_port && (elsewhere || s.owner != p->peer)) {
		gives_way(c, r, p, &s);
		wait_for(c, r, p);
	} else if (!word_is_open(s.word)) {
		return;
	} else if (s.owner != p->peer && !yields(c, p, &s)) {
		/* By its address only: the peer must learn of it at once. */
		if (!p->behalf && !s.owner && found_turn(c, &s) == p->turn)
			found_contest(c, &s, turn_next(p->turn));
	} else if (elsewhere || s.id.out_port != id.out_port) {
		moves(c, r, p, &s);
	} else {
		stays(c, r, p, &s);
	}
}
