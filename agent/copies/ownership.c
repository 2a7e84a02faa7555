/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/ownership.h"

#include <netinet/in.h>

#include "base/clock.h"
#include "copies/copying_private.h"
#include "sessions/sessions.h"

bool claim_wins(const struct copying *c, unsigned peer, uint8_t turn, unsigned of, uint8_t than)
{
	return turn == than ? c->order[peer] > c->order[of] : turn_after(turn, than);
}

bool copy_is_replaced(const struct copying *c, const struct placing *p, unsigned of, uint8_t turn, bool behalf)
{
	if (p->behalf)
		return false;
	if (!(c->up >> of & 1))
		return true;
	return behalf ? !turn_after(turn, p->turn) : claim_wins(c, p->peer, p->turn, of, turn);
}

uint8_t slot_turn(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t mark, uint16_t id)
{
	uint8_t turn = *known_at(cm, subscriber, slot) & KNOWN_TURN;

	if (!mark || !mark_is_of(mark, id))
		return 0;
	/* A session that an earlier agent has taken over has had another turn than the first. */
	return turn ? turn - 1 : mark_is_taken(mark);
}

void take_over(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark)
{
	uint16_t id = *mark & ID_MASK;

	/* An unknown turn stays unknown. */
	if (*known_at(cm, subscriber, slot) & KNOWN_TURN)
		set_turn(cm, subscriber, slot, turn_next(slot_turn(cm, subscriber, slot, *mark, id)));
	mark_clear(c, cm, subscriber, slot, mark);
	*mark = mark_of_taken(id);
	/* It may have been told on behalf of the peer. */
	forget_told(c, cm, subscriber, slot);
	cm->flags[subscriber] |= SUBSCRIBER_UNSURE;
}

void note_ended(struct copying *c, const struct session_tuple *id, uint32_t slot, uint16_t number, uint8_t turn,
		uint32_t now)
{
	const struct ended_session *known = ended_find(&c->ended, id);
	struct ended_session e = { .id = *id, .slot = (uint16_t)slot, .number = number, .turn = turn, .tick = now };

	/* A peer has ended it, too: a session that begins again has a turn after either. */
	if (known && turn_after(known->turn, turn))
		e.turn = known->turn;
	ended_add(&c->ended, &e);
}

void note_heard_end(struct copying *c, const struct session_tuple *id, uint8_t turn, uint32_t now)
{
	const struct ended_session e = { .id = *id, .turn = turn, .tick = now, .told_ms = monotonic_us() / 1000 };
	const struct ended_session *known = ended_find(&c->ended, id);

	if (id->proto && (!known || turn_after(turn, known->turn)))
		ended_add(&c->ended, &e);
}

/* Sessions that may have been in a slot: one for each port of the group, of three protocols. */
#define MAY_HAVE_BEEN (3U * PORT_GROUP)

/*
 * The slot of an ended session still has its key, unless it was reused. Finds the ports and protocols that fit: now and
 * then more than one. Returns their number.
 */
static unsigned recognise(const struct copying *c, const struct copied_mapping *cm, uint32_t subscriber, uint64_t key,
			  uint16_t mark, struct session_tuple ret[static MAY_HAVE_BEEN])
{
	static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP };
	const struct geometry *geo = &mappings_get(c->m, cm->number)->geo;
	uint32_t group = mapping_first_choice(geo, key_in_port(key)) & ~(PORT_GROUP - 1);
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(protos); i++)
		for (uint32_t k = group; k < group + PORT_GROUP && k < geo->ports_per_host; k++) {
			uint16_t port = (uint16_t)(mapping_port_lo(geo, subscriber) + k);
			uint64_t word = state_word(port, protos[i], SESSION_UDP, 0);

			if (mark_is_of(mark, session_id(key, word)))
				ret[n++] = slot_session_id(cm, subscriber, key, word);
		}
	return n;
}

/* A session that ends without a packet or an operator is in the last announced state. */
static bool may_have_expired(const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t mark)
{
	uint16_t note = cm->notes[(size_t)subscriber * cm->tables.n_slots + slot];
	uint8_t state = (uint8_t)((note ^ mark) & ID_MASK);

	return note_tag(note) == NOTE_TOLD && (state == SESSION_UDP || state == SESSION_ICMP);
}

/* Ticks since a peer's copies of a subscriber were last refreshed; the marks have only the low half. */
static uint32_t since_vouched(const struct copying *c, unsigned peer, const struct vouched *v, uint32_t now)
{
	uint32_t since = (uint16_t)((uint16_t)now - v->now), at_most = now - c->peer[peer].vouched_tick;

	/* A subscriber's copies may have been refreshed after the last round. */
	return at_most < since ? at_most : at_most - (at_most - since) % (UINT16_MAX + 1U);
}

/* The slot of a mark that no longer holds. */
struct settling {
	uint32_t subscriber;
	uint32_t slot;
	uint16_t mark;
	uint64_t key;
	uint64_t word;
	bool same;    /* the session is there, in any state */
	bool expired; /* the session there */
};

/* A lost copy of a peer's has expired if it was not refreshed in time. */
static bool is_forgotten(const struct copying *c, const struct copied_mapping *cm, const struct settling *s,
			 const struct vouched *v, uint32_t now)
{
	uint8_t life = *known_at(cm, s->subscriber, s->slot) >> KNOWN_LIFE_BIT;
	unsigned peer = mark_peer(s->mark);

	/* This agent has not refreshed any: the low half must suffice. */
	if (!life || !c->peer[peer].vouched_tick)
		return (uint16_t)((uint16_t)now - v->now) >= 4 * vouching_ticks(c);
	return since_vouched(c, peer, v, now) >= mappings_get(c->m, cm->number)->timeout_ticks[life - 1];
}

/* Whether the session of a mark has ended here such that others must learn it. */
static bool is_ending(const struct copying *c, const struct copied_mapping *cm, const struct settling *s,
		      const struct vouched *v, uint32_t now)
{
	if (!has_subscriber(c, cm, s->subscriber))
		return false;
	if (s->same)
		return !s->expired;
	/* The sessions behind an earlier agent's marks are unknown. */
	if (!c->primed)
		return false;
	return mark_is_taken(s->mark) ? !may_have_expired(cm, s->subscriber, s->slot, s->mark)
				      : !is_forgotten(c, cm, s, v, now);
}

static void settle_ended(struct copying *c, struct copied_mapping *cm, const struct settling *s,
			 const struct vouched *v, uint32_t now)
{
	uint8_t turn = *known_at(cm, s->subscriber, s->slot) & KNOWN_TURN;
	struct session_tuple id[MAY_HAVE_BEEN] = { { .subscriber = s->subscriber, .mapping = (uint16_t)cm->number } };
	unsigned n = 0;
	int theirs = moved_theirs(&c->moved, id[0].mapping, s->subscriber, (uint16_t)s->slot);

	if (!is_ending(c, cm, s, v, now))
		return;
	if (s->same)
		id[0] = slot_session_id(cm, s->subscriber, s->key, s->word);
	else if (word_is_free(s->word))
		n = recognise(c, cm, s->subscriber, s->key, s->mark, id);
	/* 0: unknown. */
	if (turn)
		turn = mark_is_taken(s->mark) ? turn - 1 : turn_next(turn - 1);
	for (unsigned i = 0; i < n || !i; i++)
		note_ended(c, &id[i], theirs < 0 ? s->slot : (uint32_t)theirs, s->mark & ID_MASK, turn, now);
}

bool mark_settle(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark,
		 const struct vouched *v, uint32_t now)
{

	const struct slot *at = (const struct slot *)mappings_buckets(c->m, cm->number, subscriber) + slot;
	struct settling s = { .subscriber = subscriber, .slot = slot, .mark = *mark, .word = load_word(at) };
	unsigned peer = mark_peer(*mark);

	/* Being changed: the next look decides. */
	if (!*mark || word_state(s.word) == SESSION_OPENING || !read_slot(at, s.word, &s.key))
		return false;
	if (peer && !v)
		v = copy_vouched(&cm->marks, subscriber, peer);
	if (word_is_live(s.word)) {
		const uint32_t *timeout_ticks = mappings_get(c->m, cm->number)->timeout_ticks;

		if (peer && mark_holds(*mark, s.key, s.word, v, now, timeout_ticks)) {
			set_life(cm, subscriber, slot, word_state(s.word));
			return true;
		}
		s.same = mark_is_of(*mark, session_id(s.key, s.word));
		s.expired = word_expired(s.word, now, timeout_ticks);
	}
	if (s.same && !s.expired && word_state(s.word) != SESSION_TIME_WAIT) {
		if (peer)
			take_over(c, cm, subscriber, slot, mark);
		return false;
	}
	settle_ended(c, cm, &s, v, now);
	mark_clear(c, cm, subscriber, slot, mark);
	return false;
}

void marks_settle_found(struct copying *c)
{
	uint32_t now = datapath_ticks(mappings_datapath(c->m));
	struct copied_mapping *cm;

	for (int number = 0; (cm = copied_mapping_from(c, number)); number = cm->number + 1)
		for (uint32_t i = 0; i < cm->tables.n_subscribers; i++) {
			uint16_t *marks = copy_marks_of(&cm->marks, i);

			if (!marks)
				i += cm->marks.per_segment - i % cm->marks.per_segment - 1;
			for (uint32_t slot = 0; marks && slot < cm->tables.n_slots; slot++)
				if (marks[slot])
					mark_settle(c, cm, i, slot, &marks[slot], NULL, now);
		}
}

void report_end(struct copying *c, const struct session_copy *r, uint64_t key, uint64_t word)
{
	sessions_ended(c->m, r->mapping, c->mapping[r->mapping].in.base + r->subscriber, key, word);
}

void forget_told(struct copying *c, const struct copied_mapping *cm, uint32_t subscriber, uint32_t slot)
{
	uint16_t *note = &cm->notes[(size_t)subscriber * cm->tables.n_slots + slot];

	c->told -= note_tag(*note) == NOTE_TOLD;
	*note = 0;
}

void note_over(struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t id)
{
	uint16_t *note = &cm->notes[(size_t)subscriber * cm->tables.n_slots + slot];

	if (note_tag(*note) != NOTE_TOLD)
		return;
	*note = note_of_ended(id);
	cm->flags[subscriber] |= SUBSCRIBER_UNSURE;
}

/*
 * Whether the peer's last packet came before an operator closed the session here. Ages have whole seconds: a peer with
 * a later packet tells the session again once it has heard of the end.
 */
static bool is_before(const struct copying *c, const struct placing *p, const struct ended_session *e)
{
	uint32_t hz = mappings_datapath(c->m)->hz;

	return (int32_t)(p->told - ticks_of_seconds(p->age_s, hz) - e->tick) <= (int32_t)ticks_of_seconds(1, hz);
}

bool ended_here(struct copying *c, const struct placing *p, const struct session_tuple *id)
{
	struct ended_session *e = ended_find(&c->ended, id);
	bool higher;

	if (!e)
		return false;
	/* The peer may have taken it over just before. */
	higher = turn_after(p->turn, e->turn) && !(e->closed && is_before(c, p, e));
	if (!higher && (!e->told_ms || e->told_ms >= c->peer[p->peer].known_ms))
		return true;
	/* It has begun again since. */
	e->gone = true;
	return false;
}

bool begins_again(struct copying *c, const struct session_tuple *id, uint8_t *ret_turn)
{
	struct ended_session *e = ended_find(&c->ended, id);

	if (!e)
		return false;
	e->gone = true;
	*ret_turn = turn_next(e->turn);
	return true;
}

struct waiting_copy waiting_copy_of(const struct session_copy *r, const struct placing *p)
{
	return (struct waiting_copy){
		.key = r->key,
		.subscriber = r->subscriber,
		.mapping = r->mapping,
		.slot = p->theirs,
		.out_port = word_out_port(r->word),
		.peer = p->peer,
		.proto = word_proto(r->word),
		.state = word_state(r->word),
		.inbound = r->inbound,
		.behalf = p->behalf,
		.beyond = r->request != COPY_TO_SLOT,
		.clash = r->result == COPY_PORT || r->result == COPY_EXISTS || r->result == COPY_BEYOND,
		.turn = p->turn,
		.age_s = p->age_s,
		.told = p->told,
		.round = p->round,
		.tick = p->told,
	};
}

/* The session must be tried again, although the program has answered otherwise. */
void wait_for(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	const struct waiting_copy w = waiting_copy_of(r, p);

	c->kept = true;
	c->peer[p->peer].missed |= !waiting_add(&c->waiting, &w);
}
