/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions to place, gathered for the program that places them, and the outcome for each. */
#include "copies/ownership.h"

static struct session_copies *requests(struct copying *c)
{
	return c->program.requests;
}

/* The mark of a request's session, if it is in that slot. */
static uint16_t *mark_at(struct copying *c, const struct session_copy *r, uint32_t slot)
{
	return copy_marks_of(&c->mapping[r->mapping].marks, r->subscriber) + slot;
}

static void update_state(struct copying *c, const struct session_copy *r, uint32_t slot)
{
	struct slot *s = (struct slot *)mappings_buckets(c->m, r->mapping, r->subscriber) + slot;
	uint64_t word = load_word(s), key;

	if (read_slot(s, word, &key) && key == r->key && word_state(word) != word_state(r->word) &&
	    change_state(s, word, word_state(r->word)))
		c->counts->updated++;
}

/* The session was here as a copy of another peer: rules 3, 8 and 9. False: it keeps its mark. */
static bool steal(struct copying *c, const struct session_copy *r, const struct placing *p, uint32_t slot,
		  uint16_t *mark)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	struct slot *s = (struct slot *)mappings_buckets(c->m, r->mapping, r->subscriber) + slot;
	__u64 word = load_word(s);

	if (word >> 40 != r->word >> 40 || !word_is_open(word) ||
	    !copy_is_replaced(c, p, mark_peer(*mark),
			      slot_turn(cm, r->subscriber, slot, *mark, session_id(r->key, r->word)),
			      is_on_behalf(cm, r->subscriber, slot)))
		return false;
	/* It is now wholly the new peer's. */
	if (!__atomic_compare_exchange_n(&s->truth, &word, r->word, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	mark_set(c, cm, r->subscriber, slot, mark, p->peer, session_id(r->key, r->word));
	return true;
}

/* Notes the announced turn and state with the mark. */
static void note_turn(struct copying *c, const struct session_copy *r, const struct placing *p, uint32_t slot)
{
	set_turn(&c->mapping[r->mapping], r->subscriber, slot, p->turn);
	set_life(&c->mapping[r->mapping], r->subscriber, slot, word_state(r->word));
	set_on_behalf(&c->mapping[r->mapping], r->subscriber, slot, p->behalf);
}

/* Notes the place of a copy. False: there is no room to note that it is in another slot. */
static bool note_place(struct copying *c, const struct session_copy *r, const struct placing *p, uint32_t slot)
{
	if (slot == p->theirs) {
		moved_del(&c->moved, r->mapping, r->subscriber, (uint16_t)slot);
		return true;
	}
	return !moved_add(&c->moved, r->mapping, r->subscriber, p->peer, p->theirs, (uint16_t)slot);
}

static void placed(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	uint16_t *mark = mark_at(c, r, r->slot);

	/* The session that the slot held before may have ended here. */
	if (*mark != mark_of(p->peer, session_id(r->key, r->word)))
		mark_settle(c, cm, r->subscriber, r->slot, mark, NULL, c->placing_tick);
	mark_set(c, cm, r->subscriber, r->slot, mark, p->peer, session_id(r->key, r->word));
	note_turn(c, r, p, r->slot);
	note_over(cm, r->subscriber, r->slot, session_id(r->key, r->word));
	if (note_place(c, r, p, r->slot)) {
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
	return r->request <= COPY_TO_OVERFLOW && (r->result == COPY_BUSY || r->result == COPY_PORT ||
						  r->result == COPY_NO_SLOT || r->result == COPY_QUOTA);
}

static void note_waiting(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct waiting_copy w = waiting_copy_of(r, p);

	w.room = r->result == COPY_NO_SLOT;
	if (may_wait(r))
		c->peer[p->peer].missed |= !waiting_add(&c->waiting, &w);
	else if (r->request != COPY_CHANGE && !c->kept)
		waiting_del(&c->waiting, &w);
}

/* The session is there already: as a copy of this peer, of another, or as this gateway's own. */
static void existing(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct copied_mapping *cm = &c->mapping[r->mapping];
	struct slot *s = (struct slot *)mappings_buckets(c->m, r->mapping, r->subscriber) + r->slot;
	uint16_t *mark = mark_at(c, r, r->slot);
	bool copy = *mark && mark_settle(c, cm, r->subscriber, r->slot, mark, NULL, c->placing_tick);
	uint64_t word = load_word(s);

	c->counts->existing++;
	/* It belongs to this gateway or another peer, on another port. */
	if ((!copy || mark_peer(*mark) != p->peer) && word >> 40 != r->word >> 40) {
		slot_gives_way(c, r, p, r->slot);
		wait_for(c, r, p);
		return;
	}
	if (!copy && !yield_own(c, r, p, r->slot, mark))
		return;
	if (mark_peer(*mark) != p->peer && !steal(c, r, p, r->slot, mark))
		return;
	/* The peer has opened it again on another port, and the announced end of the former one was lost. */
	if (word >> 40 != r->word >> 40) {
		if (end_copy(c, cm, r->subscriber, r->slot, word))
			mark_clear(c, cm, r->subscriber, r->slot, mark);
		wait_for(c, r, p);
		return;
	}
	note_turn(c, r, p, r->slot);
	update_state(c, r, r->slot);
	if (!note_place(c, r, p, r->slot))
		mark_clear(c, cm, r->subscriber, r->slot, mark);
}

static void handle(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	uint16_t *wanted;

	if (r->request != COPY_TO_SLOT) {
		placed_in_overflow(c, r, p);
		return;
	}
	wanted = mark_at(c, r, p->theirs);
	if (p->premarked && *wanted == mark_of(p->peer, session_id(r->key, r->word)) && !is_in(r, p->theirs))
		mark_clear(c, &c->mapping[r->mapping], r->subscriber, p->theirs, wanted);
	switch (r->result) {
	case COPY_PLACED:
		placed(c, r, p);
		break;
	case COPY_EXISTS:
		existing(c, r, p);
		break;
	case COPY_BEYOND:
		c->counts->existing++;
		crossed_beyond(c, r, p);
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
	all->overflow_limit = mappings_datapath(c->m)->settings.overflow_sessions;
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
	};
	const struct overflow_id id = slot_session_id(cm, subscriber, r.key, r.word);
	uint16_t *mark = copy_marks_of(&cm->marks, subscriber) + t->slot;

	/* It may have ended just now. */
	if (*mark)
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
	uint16_t *mark = copy_marks_of(&cm->marks, subscriber) + t->slot;
	const struct slot *s = (const struct slot *)mappings_buckets(c->m, cm->number, subscriber) + t->slot;
	uint32_t i = all->n++;

	all->copy[i] = (struct session_copy){
		.key = t->key,
		.word = state_word(t->out_port, t->proto, t->state, seen),
		.subscriber = subscriber,
		.mapping = (uint16_t)cm->number,
		.slot = t->slot,
		.inbound = t->inbound,
		.result = COPY_BUSY,
		.last = last_packet(c, p->told, t->age_s),
	};
	c->placing[i] = *p;
	c->placing[i].theirs = t->slot;
	c->placing[i].turn = t->turn;
	c->placing[i].age_s = t->age_s;
	c->placing[i].behalf = t->behalf;
	/* A free slot that is requested is marked first, so that a kill in between leaves no copy without a mark. */
	c->placing[i].premarked = !*mark && word_is_free(load_word(s));
	if (c->placing[i].premarked)
		mark_set(c, cm, subscriber, t->slot, mark, p->peer, session_id(t->key, all->copy[i].word));
	return all->n == COPIES_BATCH ? placing_flush(c) : 0;
}

int placing_add_overflow(struct copying *c, const struct copied_mapping *cm, uint32_t subscriber,
			 const struct session_copy *request, const struct told_session *t, uint32_t told)
{
	struct session_copies *all = requests(c);
	uint32_t i = all->n++;

	all->copy[i] = *request;
	all->copy[i].subscriber = subscriber;
	all->copy[i].mapping = (uint16_t)cm->number;
	all->copy[i].result = COPY_BUSY;
	all->copy[i].last = t ? last_packet(c, told, t->age_s) : 0;
	c->placing[i] = (struct placing){
		.peer = (uint8_t)overflow_mark_peer(request->mark),
		.turn = t ? t->turn : 0,
		.age_s = t ? t->age_s : 0,
		.told = told,
		.behalf = t && t->behalf,
	};
	return all->n == COPIES_BATCH ? placing_flush(c) : 0;
}
