/* SPDX-License-Identifier: BSD-2-Clause */
/* Endings that other gateways must learn (docs/internals/OWNERSHIP.md, rules 4 and 5): announced, and applied. */
#include <errno.h>

#include "base/clock.h"
#include "copies/found_session.h"

/* Seconds for which an ending is kept at least. */
#define LEAST_S 15U

static void fill(const struct copying *c, const struct ended_session *e, uint32_t now, struct wire_ended *ret)
{
	uint32_t age_s = (now - e->tick) / ticks_of_seconds(1, mappings_datapath(c->m)->hz);

	*ret = (struct wire_ended){
		.key = htobe64(e->id.key),
		.subscriber = htobe32(e->id.subscriber),
		.mapping = htobe16(e->id.mapping),
		.out_port = htobe16(e->id.out_port),
		.slot = htobe16(e->slot),
		.id = htobe16(e->number),
		.age_s = htobe16((uint16_t)(age_s < WIRE_ENDED_AGE_MAX ? age_s : WIRE_ENDED_AGE_MAX)),
		.proto = e->id.proto,
		.turn = e->turn,
	};
}

/* Adds a record to a draft, which may have to be emitted first. 0, or the error of `emit`. */
static int write_one(struct draft *o, const struct wire_ended *w, copying_emit emit, void *arg)
{
	int r;

	if ((o->length && o->type != WIRE_ENDED) || draft_room(o) < sizeof(*w)) {
		r = draft_flush(o, emit, arg);
		if (r)
			return r;
	}
	o->type = WIRE_ENDED;
	*(struct wire_ended *)draft_take(o, sizeof(*w)) = *w;
	return 0;
}

/* Whether an ending can be forgotten: all peers know it, or no longer have the session. */
static bool is_over(const struct copying *c, const struct ended_session *e, uint32_t now)
{
	const struct copied_mapping *cm = &c->mapping[e->id.mapping];
	uint32_t longest = 0;
	bool known = e->told_ms;

	if (!cm->used || e->gone)
		return true;
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		known &= !(c->peers >> p & 1) || c->peer[p].known_ms > e->told_ms;
	for (unsigned t = 0; t < N_TIMEOUTS; t++) {
		uint32_t ticks = mappings_get(c->m, cm->number)->timeout_ticks[t];

		longest = ticks > longest ? ticks : longest;
	}
	/* A peer may still announce sessions that began before it knew. */
	return (known && now - e->tick > ticks_of_seconds(LEAST_S, mappings_datapath(c->m)->hz)) ||
	       now - e->tick > longest;
}

static void forget_over(struct copying *c, uint32_t now)
{
	struct ended_sessions *t = &c->ended;

	/* Unannounced endings stay until they are announced. */
	while (t->first < t->end && t->first < c->ended_told && is_over(c, ended_at(t, t->first), now))
		ended_drop_first(t);
}

/*
 * The operator of this gateway knows nothing of turns: a peer that has taken the session over, and is yet to be heard,
 * ends it as well. So it is told with an unknown turn, and the time of the last packet decides.
 */
void copying_closed(void *arg, int number, uint32_t in_addr, uint64_t key, uint64_t word)
{
	struct copying *c = arg;
	const struct copied_mapping *cm = copied_mapping(c, number);
	struct ended_session e = { .closed = true, .tick = datapath_ticks(mappings_datapath(c->m)) };

	if (!cm || !c->peers)
		return;
	e.id = slot_session_id(cm, in_addr - cm->in.base, key, word);
	e.number = session_id(key, word);
	ended_add(&c->ended, &e);
}

int copied_ended_tell(struct copying *c, copying_emit emit, void *arg)
{
	struct ended_sessions *t = &c->ended;
	uint32_t now = datapath_ticks(mappings_datapath(c->m));
	uint64_t now_ms = monotonic_us() / 1000;

	if (c->ended_told < t->first)
		c->ended_told = t->first;
	for (; c->ended_told < t->end; c->ended_told++) {
		struct ended_session *e = ended_at(t, c->ended_told);
		struct wire_ended w;
		int r;

		if (e->told_ms)
			continue;
		if (c->primed && !e->gone && copied_mapping(c, e->id.mapping)) {
			fill(c, e, now, &w);
			r = write_one(&c->out, &w, emit, arg);
			if (r)
				return r;
		}
		e->told_ms = now_ms;
	}
	forget_over(c, now);
	return 0;
}

int copied_ended_whole(struct copying *c, unsigned peer, uint64_t *at, struct draft *o, copying_emit emit, void *arg)
{
	const struct ended_sessions *t = &c->ended;
	uint32_t now = datapath_ticks(mappings_datapath(c->m));
	uint64_t next;
	int r;

	o->length = 0;
	if (*at < t->first)
		*at = t->first;
	for (next = *at; next < c->ended_told && next < t->end; next++) {
		const struct ended_session *e = ended_at(t, next);
		struct wire_ended w;

		if (e->gone || e->told_ms < c->peer[peer].known_ms || !copied_mapping(c, e->id.mapping))
			continue;
		if (draft_room(o) < sizeof(w)) {
			o->type = WIRE_ENDED;
			r = draft_flush(o, emit, arg);
			if (r)
				return r;
			*at = next;
		}
		fill(c, e, now, &w);
		o->type = WIRE_ENDED;
		*(struct wire_ended *)draft_take(o, sizeof(w)) = w;
	}
	r = draft_flush(o, emit, arg);
	if (!r)
		*at = next;
	o->length = 0;
	return r;
}

/* The announcement being applied. */
struct applying {
	struct copying *c;
	struct copied_mapping *cm;
	unsigned peer;
	struct session_tuple id;
	uint16_t number;
	uint8_t turn;
	uint32_t ticks; /* since it has ended; UINT32_MAX: long */
	uint32_t now;
};

/* Whether a session with this turn, last refreshed then, has ended with it. */
static bool ends(const struct applying *a, unsigned of, uint8_t turn, uint64_t word)
{
	if (a->turn && turn_after(turn, a->turn))
		return false;
	if (of == a->peer)
		return true;
	/* A packet has refreshed it since. */
	return of || a->now - word_seen(word) >= a->ticks;
}

static uint16_t *note_of(const struct applying *a, uint32_t slot)
{
	return &a->cm->notes[(size_t)a->id.subscriber * a->cm->tables.n_slots + slot];
}

/* Returns whether it continues. */
static bool end(const struct applying *a, const struct found_session *s)
{
	uint8_t has = found_turn(a->c, s);

	if (!ends(a, s->owner, has, s->word)) {
		/* A packet has refreshed it since: others learn that, with the turn after this one. */
		if (!a->turn || !turn_after(has, a->turn))
			found_contest(a->c, s, turn_next(a->turn ? a->turn : has));
		return true;
	}
	if (!found_end(a->c, s))
		return true;
	a->c->counts->ended++;
	found_over(a->c, s);
	return false;
}

/* Whether a slot holds the session. */
static bool is_in(const struct applying *a, uint32_t slot, struct found_session *ret)
{
	const struct slot *s = (const struct slot *)mappings_buckets(a->c->m, a->cm->number, a->id.subscriber) + slot;
	uint64_t word = load_word(s), key;

	if (!word_is_open(word) || !read_slot(s, word, &key) ||
	    (a->id.proto ? key != a->id.key || word_proto(word) != a->id.proto || word_out_port(word) != a->id.out_port
			 : session_id(key, word) != a->number))
		return false;
	return found_in_slot(a->c, a->cm, a->id.subscriber, slot, ret) && ret->id.key == key;
}

/* Returns whether it continues. */
static bool end_in_slots(const struct applying *a, uint32_t slot)
{
	const struct mapping *record = mappings_get(a->c->m, a->cm->number);
	struct found_session s;
	uint32_t buckets[2], first;
	uint16_t id;

	if (!a->id.proto)
		return is_in(a, slot, &s) && end(a, &s);
	first = mapping_first_choice(&record->geo, key_in_port(a->id.key));
	id = session_id(a->id.key, state_word(a->id.out_port, a->id.proto, 0, 0));

	struct bucket_pair pair = session_buckets(key_ext_addr(a->id.key), key_ext_port(a->id.key), a->id.proto, first,
						  record->bucket_shift);

	buckets[0] = pair.first;
	buckets[1] = pair.second;
	for (unsigned i = 0; i < 2 * BUCKET_SLOTS; i++) {
		slot = buckets[i / BUCKET_SLOTS] * BUCKET_SLOTS + i % BUCKET_SLOTS;
		if (is_in(a, slot, &s))
			return end(a, &s);
		/* It has just ended here, too. */
		if (note_is_of(*note_of(a, slot), id))
			note_over(a->cm, a->id.subscriber, slot, id);
	}
	return false;
}

/* Returns whether it continues. */
static bool end_beyond(const struct applying *a)
{
	struct beyond_note *n;
	struct found_session s;

	if (found_beyond(a->c, &a->id, &s))
		return s.id.out_port == a->id.out_port && end(a, &s);
	n = beyond_note_find(&a->c->beyond, &a->id);
	if (n)
		n->ended = true;
	return false;
}

int copied_ended_apply(struct copying *c, unsigned peer, const void *payload, size_t length, struct copying_counts *add)
{
	const struct wire_ended *w = payload;
	size_t n = length / sizeof(*w);
	uint32_t second = ticks_of_seconds(1, mappings_datapath(c->m)->hz);

	if (length % sizeof(*w))
		return -EPROTO;
	c->counts = add;
	for (size_t i = 0; i < n; i++) {
		uint16_t theirs = be16toh(w[i].mapping), age_s = be16toh(w[i].age_s);
		struct applying a = { .c = c, .peer = peer, .now = datapath_ticks(mappings_datapath(c->m)) };

		a.cm = theirs < MAX_MAPPINGS ? copied_mapping(c, c->peer[peer].ours[theirs]) : NULL;
		if (theirs >= MAX_MAPPINGS ||
		    (a.cm && (be32toh(w[i].subscriber) >= a.cm->tables.n_subscribers ||
			      be16toh(w[i].slot) >= a.cm->tables.n_slots || w[i].turn > TURN_MAX)))
			return -EPROTO;
		if (!a.cm) {
			add->skipped++;
			continue;
		}
		a.id = (struct session_tuple){
			.key = be64toh(w[i].key),
			.subscriber = be32toh(w[i].subscriber),
			.mapping = (uint16_t)a.cm->number,
			.out_port = be16toh(w[i].out_port),
			.proto = w[i].proto,
		};
		a.number = be16toh(w[i].id);
		a.turn = w[i].turn;
		a.ticks = age_s < WIRE_ENDED_AGE_MAX ? age_s * second : UINT32_MAX;
		if (!end_in_slots(&a, be16toh(w[i].slot)) && a.id.proto && !end_beyond(&a))
			note_heard_end(c, &a.id, a.turn, a.now);
	}
	return 0;
}
