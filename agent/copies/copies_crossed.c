/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session that is in a slot at one gateway and beyond the slots at the other, as both have opened it (rules 3, 7 and
 * 8). The session here gives way or stays, and the announced one is tried again.
 */
#include "copies/session_beyond.h"
#include "copies/ownership.h"
#include "sessions/sessions.h"

/* Whether a gateway's (0: this one's) session with a turn gives way to the one that a peer announces. */
static bool yields(const struct copying *c, const struct placing *p, unsigned of, uint8_t turn)
{
	return of == p->peer || (of && !(c->up >> of & 1)) || claim_wins(c, p->peer, p->turn, of, turn);
}

/* Both have opened it: each reports an end for its opening. */
static void report_own(struct copying *c, const struct session_copy *r, const struct placing *p, unsigned of,
		       uint64_t word)
{
	if (!of && !p->turn)
		sessions_ended(c->m, r->mapping, c->mapping[r->mapping].in.base + r->subscriber, r->key, word);
}

/* The obstacle is gone: packets need the copy, so its first try is due. */
static void place_soon(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct waiting_copy w = waiting_copy_of(r, p);

	w.tick -= ticks_of_seconds(1, mappings_datapath(c->m)->hz);
	waiting_del(&c->waiting, &w);
	waiting_add(&c->waiting, &w);
}

void crossed_beyond(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	const struct overflow_id id = slot_session_id(&c->mapping[r->mapping], r->subscriber, r->key, r->word);
	struct overflow_told *t = overflow_tolds_find(&c->overflow_told, &id);
	struct session_beyond b;
	unsigned of;

	if (p->behalf)
		return;
	if (!session_beyond_find(c, &id, &b)) {
		/* It has ended just now. */
		wait_for(c, r, p);
		return;
	}
	of = session_beyond_owner(&b);
	if (word_out_port(b.word) != id.out_port) {
		beyond_gives_way(c, r, p, &b);
	} else if (!yields(c, p, of, t ? t->turn : 0)) {
		t = of ? NULL : overflow_known(c, &id);
		if (t && t->turn == p->turn)
			overflow_contest(c, t, turn_next(t->turn));
		return;
	} else if (session_beyond_end(c, &id, &b)) {
		report_own(c, r, p, of, b.word);
		c->told -= t && t->state;
		/* It continues, so its end is not announced. */
		if (t)
			hash_del(&overflow_tolds, &c->overflow_told, t);
		place_soon(c, r, p);
	}
	wait_for(c, r, p);
}

void crossed_in_slot(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	const struct slot *s = (const struct slot *)mappings_buckets(c->m, r->mapping, r->subscriber) + r->slot;
	uint16_t id = session_id(r->key, r->word), *mark;
	uint64_t word = load_word(s);
	unsigned of;
	uint8_t turn;

	if (p->behalf || !word_is_live(word) || copied_marks_make(c, cm, r->subscriber))
		return;
	mark = copy_marks_of(&cm->marks, r->subscriber) + r->slot;
	of = *mark && mark_settle(c, cm, r->subscriber, r->slot, mark, NULL, datapath_ticks(mappings_datapath(c->m)))
		     ? mark_peer(*mark)
		     : 0;
	turn = slot_turn(cm, r->subscriber, r->slot, *mark, id);
	if (word >> 40 != r->word >> 40) {
		slot_gives_way(c, r, p, r->slot);
	} else if (!word_is_open(word)) {
		return;
	} else if (!yields(c, p, of, turn)) {
		if (!of && turn == p->turn)
			contest(c, cm, r->subscriber, r->slot, mark, id, turn_next(turn));
		return;
	} else if (end_copy(c, cm, r->subscriber, r->slot, word)) {
		report_own(c, r, p, of, word);
		mark_clear(c, cm, r->subscriber, r->slot, mark);
		forget_told(c, cm, r->subscriber, r->slot);
		place_soon(c, r, p);
	}
	wait_for(c, r, p);
}
