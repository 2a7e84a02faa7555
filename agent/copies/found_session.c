/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/found_session.h"

/* The mark of its slot; NULL: its subscriber has none, or it is in the extent. */
static uint16_t *mark_of_found(const struct found_session *s)
{
	uint16_t *marks = s->slot < 0 ? NULL : copy_marks_of(&s->cm->marks, s->id.subscriber);

	return marks ? marks + s->slot : NULL;
}

bool found_in_slot(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot,
		   struct found_session *ret)
{
	struct slot *at = (struct slot *)mappings_buckets(c->m, cm->number, subscriber) + slot;
	uint64_t word = load_word(at), key;
	uint16_t *mark;

	if (!word_is_live(word) || !read_slot(at, word, &key))
		return false;
	*ret = (struct found_session){ cm, slot_session_id(cm, subscriber, key, word), at, word, (int32_t)slot, 0 };
	mark = mark_of_found(ret);
	if (mark && *mark && mark_settle(c, cm, subscriber, slot, mark, NULL, datapath_ticks(mappings_datapath(c->m))))
		ret->owner = mark_peer(*mark);
	return true;
}

uint8_t found_turn(const struct copying *c, const struct found_session *s)
{
	const uint16_t *mark = mark_of_found(s);
	const struct beyond_note *n;

	if (s->slot >= 0)
		return slot_turn(s->cm, s->id.subscriber, (uint32_t)s->slot, mark ? *mark : 0,
				 session_id(s->id.key, s->word));
	n = beyond_note_find(&c->beyond, &s->id);
	return n ? n->turn : (uint8_t)word_turn(s->word);
}

bool found_behalf(const struct copying *c, const struct found_session *s)
{
	const struct beyond_note *n;

	if (s->slot >= 0)
		return is_on_behalf(s->cm, s->id.subscriber, (uint32_t)s->slot);
	n = beyond_note_find(&c->beyond, &s->id);
	return n && n->behalf;
}

bool found_end(struct copying *c, const struct found_session *s)
{
	if (!end_session_at(c, s->cm, s->id.subscriber, s->at, s->word))
		return false;
	if (s->owner && s->slot >= 0)
		mark_clear(c, s->cm, s->id.subscriber, (uint32_t)s->slot, mark_of_found(s));
	else if (s->owner)
		note_uncopied(c, &s->id, s->owner);
	return true;
}

/* Removes the mark of its slot. */
static void unmark(struct copying *c, const struct found_session *s)
{
	uint16_t *mark = mark_of_found(s);

	if (mark)
		mark_clear(c, s->cm, s->id.subscriber, (uint32_t)s->slot, mark);
}

void found_forget(struct copying *c, const struct found_session *s)
{
	if (s->slot < 0) {
		note_drop(c, beyond_note_find(&c->beyond, &s->id));
		return;
	}
	unmark(c, s);
	forget_told(c, s->cm, s->id.subscriber, (uint32_t)s->slot);
}

void found_over(struct copying *c, const struct found_session *s)
{
	struct beyond_note *n = s->slot < 0 ? beyond_note_find(&c->beyond, &s->id) : NULL;

	if (n) {
		n->ended = true;
		n->taken = false;
		n->word = word_owned(n->word, 0, 0);
	}
	if (s->slot < 0)
		return;
	unmark(c, s);
	note_over(s->cm, s->id.subscriber, (uint32_t)s->slot, session_id(s->id.key, s->word));
}

void found_contest(struct copying *c, const struct found_session *s, uint8_t turn)
{
	struct copied_mapping *cm = s->cm;
	uint32_t subscriber = s->id.subscriber, slot = (uint32_t)s->slot;

	if (s->slot < 0) {
		struct beyond_note *n = note_known(c, &s->id, s->word);

		if (!n)
			return;
		note_is_copy(c, n, s->word);
		n->taken = n->turn_known = true;
		n->turn = turn;
		return;
	}
	if (copied_marks_make(c, cm, subscriber))
		return;
	unmark(c, s);
	*mark_of_found(s) = mark_of_taken(session_id(s->id.key, s->word));
	set_turn(cm, subscriber, slot, turn);
	forget_told(c, cm, subscriber, slot);
	cm->flags[subscriber] |= SUBSCRIBER_UNSURE;
}

#define TRIES 8U

bool found_to_peer(struct copying *c, struct found_session *s, const struct session_copy *r, const struct placing *p)
{
	uint64_t to = s->slot < 0 ? word_owned(r->word, p->peer, r->turn) | (r->inbound ? WORD_INBOUND : 0) : r->word;
	const uint64_t same = (uint64_t)0xffff << 48 | (uint64_t)WORD_PROTO << 40 | WORD_OWNER;
	uint16_t *mark;

	for (unsigned tries = 0;; tries++) {
		uint64_t word = load_word(s->at);

		if (tries == TRIES || !word_is_open(word) || (word ^ s->word) & same)
			return false;
		s->word = word;
		if (change_word(s->at, word, to))
			break;
	}
	if (s->slot < 0) {
		if (s->owner)
			note_uncopied(c, &s->id, s->owner);
		c->peer[p->peer].held_beyond++;
		note_copied(c, &s->id, to, p);
		return true;
	}
	mark = mark_of_found(s);
	forget_told(c, s->cm, s->id.subscriber, (uint32_t)s->slot);
	mark_set(c, s->cm, s->id.subscriber, (uint32_t)s->slot, mark, p->peer, session_id(r->key, r->word));
	return true;
}

bool note_announced(struct copying *c, const struct session_copy *r, const struct placing *p, uint32_t slot)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];

	set_turn(cm, r->subscriber, slot, p->turn);
	set_life(cm, r->subscriber, slot, word_state(r->word));
	set_on_behalf(cm, r->subscriber, slot, p->behalf);
	if (slot == p->theirs) {
		moved_del(&c->moved, r->mapping, r->subscriber, (uint16_t)slot);
		return true;
	}
	return !moved_add(&c->moved, r->mapping, r->subscriber, p->peer, p->theirs, (uint16_t)slot);
}

void found_tell_again(struct copying *c, const struct found_session *s)
{
	struct beyond_note *n = s->slot < 0 ? beyond_note_find(&c->beyond, &s->id) : NULL;
	uint16_t id = session_id(s->id.key, s->word), *note;

	if (n && !word_owner(n->word))
		n->again = true;
	if (s->slot < 0 || !word_is_open(s->word))
		return;
	note = &s->cm->notes[(size_t)s->id.subscriber * s->cm->tables.n_slots + (uint32_t)s->slot];
	if (!note_is_of(*note, id))
		return;
	*note = note_of_told_again(id, word_state(s->word));
	s->cm->flags[s->id.subscriber] |= SUBSCRIBER_UNSURE;
}

struct beyond_note *note_known(struct copying *c, const struct session_tuple *id, uint64_t word)
{
	struct beyond_note *n = beyond_note_find(&c->beyond, id);
	uint8_t turn = (uint8_t)word_turn(word);

	if (n)
		return n;
	n = beyond_note_add(&c->beyond, id);
	if (!n)
		return NULL;
	n->since = c->pass;
	n->word = word;
	/* An agent before this one may have known it. An unknown turn counts as the first one, the lowest. */
	n->taken = turn && !word_owner(word);
	n->turn = turn < WORD_TURN_MAX ? turn : n->taken;
	n->turn_known = turn < WORD_TURN_MAX || n->taken;
	return n;
}

void note_drop(struct copying *c, struct beyond_note *n)
{
	if (!n)
		return;
	c->told -= n->state != 0;
	hash_del(&beyond_notes, &c->beyond, n);
}

void note_is_copy(struct copying *c, struct beyond_note *n, uint64_t word)
{
	/* Its new gateway now announces its state. */
	c->told -= n->state != 0;
	n->state = 0;
	n->taken = n->ended = false;
	n->word = word;
	n->seen = true;
}

void note_copied(struct copying *c, const struct session_tuple *id, uint64_t word, const struct placing *p)
{
	struct beyond_note *n = note_known(c, id, word);

	if (!n) {
		/* What the peer leaves out is unknown until its next whole copy. */
		c->peer[p->peer].complete = false;
		return;
	}
	note_is_copy(c, n, word);
	n->turn = p->turn;
	n->turn_known = true;
	n->behalf = p->behalf;
	n->round = c->peer[p->peer].round;
}

void note_uncopied(struct copying *c, const struct session_tuple *id, unsigned peer)
{
	struct beyond_note *n = beyond_note_find(&c->beyond, id);

	c->peer[peer].held_beyond -= c->peer[peer].held_beyond != 0;
	/* What was told on its behalf is told to have ended. */
	if (n && word_owner(n->word) == peer) {
		n->word = word_owned(n->word, 0, 0);
		n->taken = false;
	}
}
