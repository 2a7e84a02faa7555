/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions to place, gathered for the program that places them, and the outcome for each. */
#include "copies/found_session.h"

static struct session_copies *requests(struct copying *c)
{
	return c->program.requests;
}

/* The mark of a request's session, if it is in that slot. */
static uint16_t *mark_at(struct copying *c, const struct session_copy *r, uint32_t slot)
{
	return copy_marks_of(&c->mapping[r->mapping].marks, r->subscriber) + slot;
}

static void placed(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	uint16_t *mark = mark_at(c, r, r->slot);

	/* The session that the slot held before may have ended here. */
	if (*mark != mark_of(p->peer, session_id(r->key, r->word)))
		mark_settle(c, cm, r->subscriber, r->slot, mark, NULL, c->placing_tick);
	mark_set(c, cm, r->subscriber, r->slot, mark, p->peer, session_id(r->key, r->word));
	note_over(cm, r->subscriber, r->slot, session_id(r->key, r->word));
	if (note_announced(c, r, p, r->slot)) {
		c->counts->placed++;
		return;
	}
	if (end_copy(c, cm, r->subscriber, r->slot, r->word))
		mark_clear(c, cm, r->subscriber, r->slot, mark);
	c->counts->refused++;
}

/* Whether the session of a request is in a slot. */
static bool is_in(const struct session_copy *r, uint16_t slot)
{
	return (r->result == COPY_PLACED || r->result == COPY_EXISTS) && r->slot == slot;
}

/* Whether the obstacle may end soon. */
static bool may_wait(const struct session_copy *r)
{
	return r->result == COPY_BUSY || r->result == COPY_PORT || r->result == COPY_NO_SLOT || r->result == COPY_QUOTA;
}

static void note_waiting(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct waiting_copy w = waiting_copy_of(r, p);

	w.room = r->result == COPY_NO_SLOT;
	if (may_wait(r))
		c->peer[p->peer].missed |= !waiting_add(&c->waiting, &w);
	else if (!c->kept)
		waiting_del(&c->waiting, &w);
}

/* In an extent. */
static void placed_beyond(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct session_tuple id = slot_session_id(&c->mapping[r->mapping], r->subscriber, r->key, r->word);

	note_copied(c, &id, word_owned(r->word, p->peer, r->turn), p);
	/* In place of one on another port, whose end was not heard. */
	id.out_port = word_out_port(r->before);
	if (r->before)
		note_uncopied(c, &id, p->peer);
	c->peer[p->peer].held_beyond++;
	c->counts->placed++;
}

static void handle(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	uint16_t *wanted = p->premarked ? mark_at(c, r, p->theirs) : NULL;

	if (wanted && *wanted == mark_of(p->peer, session_id(r->key, r->word)) && !is_in(r, p->theirs))
		mark_clear(c, &c->mapping[r->mapping], r->subscriber, p->theirs, wanted);
	switch (r->result) {
	case COPY_PLACED:
		(r->request == COPY_TO_SLOT ? placed : placed_beyond)(c, r, p);
		break;
	case COPY_EXISTS:
	case COPY_BEYOND:
		copy_met(c, r, p);
		break;
	case COPY_PORT:
		port_gives_way(c, r, p);
		__attribute__((fallthrough));
	default:
		c->counts->refused++;
	}
}

static void answer(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	c->kept = false;
	handle(c, r, p);
	note_waiting(c, r, p);
}

int placing_flush(struct copying *c)
{
	struct session_copies *all = requests(c);
	uint32_t n = all ? all->n : 0;
	int r;

	if (!n)
		return 0;
	r = copy_program_run(&c->program);
	c->placing_tick = datapath_ticks(mappings_datapath(c->m));
	for (uint32_t i = 0; i < n; i++) {
		const struct session_copy request = all->copy[i];

		answer(c, &request, &c->placing[i]);
	}
	all->n = 0;
	return r;
}

bool placing_waits(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		   const struct placing *p, uint32_t now)
{
	const struct session_copy r = {
		.key = t->key,
		.word = state_word(t->out_port, t->proto, t->state, now),
		.subscriber = subscriber,
		.mapping = (uint16_t)cm->number,
		.inbound = t->inbound,
		.request = t->beyond ? COPY_TO_EXTENT : COPY_TO_SLOT,
	};
	const struct session_tuple id = slot_session_id(cm, subscriber, r.key, r.word);
	uint16_t *mark = t->beyond ? NULL : copy_marks_of(&cm->marks, subscriber) + t->slot;

	/* It may have ended just now. */
	if (mark && *mark)
		mark_settle(c, cm, subscriber, t->slot, mark, NULL, now);
	if (!ended_here(c, p, &id))
		return false;
	wait_for(c, &r, p);
	c->counts->existing++;
	return true;
}

/* The tick at which the last packet of an announced session came, at the earliest: its age has whole seconds. */
static uint32_t last_packet(const struct copying *c, uint32_t told, uint16_t age_s)
{
	return told - ticks_of_seconds(age_s + 1U, mappings_datapath(c->m)->hz);
}

int placing_add(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, const struct told_session *t,
		const struct placing *p, uint32_t seen)
{
	struct session_copies *all = requests(c);
	uint32_t i = all->n++;
	const struct slot *s;
	uint16_t *mark;

	all->copy[i] = (struct session_copy){
		.key = t->key,
		.word = state_word(t->out_port, t->proto, t->state, seen),
		.subscriber = subscriber,
		.mapping = (uint16_t)cm->number,
		.slot = t->slot,
		.owner = (uint8_t)p->peer,
		.inbound = t->inbound,
		.result = COPY_BUSY,
		.request = t->beyond ? COPY_TO_EXTENT : COPY_TO_SLOT,
		.last = last_packet(c, p->told, t->age_s),
		.turn = t->turn < WORD_TURN_MAX ? t->turn : WORD_TURN_MAX,
	};
	c->placing[i] = *p;
	if (!t->beyond) {
		s = (const struct slot *)mappings_buckets(c->m, cm->number, subscriber) + t->slot;
		mark = copy_marks_of(&cm->marks, subscriber) + t->slot;
		/* A free slot that is requested is marked first, so that a kill leaves no copy without a mark. */
		c->placing[i].premarked = !*mark && word_is_free(load_word(s));
		if (c->placing[i].premarked)
			mark_set(c, cm, subscriber, t->slot, mark, p->peer, session_id(t->key, all->copy[i].word));
	}
	return all->n == COPIES_BATCH ? placing_flush(c) : 0;
}
