/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions in extents, <detnat/extents.h>, as the sender announces them and as both sides keep them: by their
 * endpoints, as each gateway lets extents grow for itself. Each pass reads all, unless there are many.
 */
#include <errno.h>

#include <detnat/extents.h>

#include "base/clock.h"
#include "copies/found_session.h"

/*
 * Slots for which a scan takes less than a twentieth of a second; for each further so many, a scan begins one pass
 * later. All slots are read, whether there is a session or not.
 */
#define EACH_PASS 65536

/* Slots read, subscribers without an extent passed, or notes checked, between two looks at the clock. */
#define LOOK_INTERVAL 3072U
WHOLE_FITS(LOOK_INTERVAL, struct wire_beyond);

/* Buckets of all extents in use. */
static uint64_t extents_used(const struct datapath *d)
{
	return d->pool ? __atomic_load_n(&d->pool->used, __ATOMIC_RELAXED) : 0;
}

/* Non-zero: stop here, and begin with this session again. */
typedef int (*extent_visit)(struct copying *c, struct found_session *s, void *arg);

/* The sessions of a subscriber. Those that move to another extent meanwhile are not seen, but are looked for later. */
static int visit_extent(struct copying *c, struct copied_mapping *cm, struct copying_cursor *at, struct slot *slots,
			uint32_t n, extent_visit visit, void *arg)
{
	const uint32_t *timeout_ticks = mappings_get(c->m, cm->number)->timeout_ticks;
	uint32_t now = datapath_ticks(mappings_datapath(c->m));

	for (; at->slot < n; at->slot++) {
		struct found_session s = { .cm = cm, .at = &slots[at->slot], .slot = -1 };
		uint64_t key;
		int r;

		s.word = load_word(s.at);
		if (!word_is_open(s.word) || word_expired(s.word, now, timeout_ticks) || !read_slot(s.at, s.word, &key))
			continue;
		s.owner = word_owner(s.word);
		s.id = slot_session_id(cm, at->subscriber, key, s.word);
		r = visit(c, &s, arg);
		if (r)
			return r;
	}
	at->slot = 0;
	return 0;
}

/* Those of a mapping, from the cursor on. */
static int visit_mapping(struct copying *c, struct copied_mapping *cm, struct copying_cursor *at, uint64_t deadline_us,
			 extent_visit visit, void *arg)
{
	const struct datapath *d = mappings_datapath(c->m);
	uint32_t cost = 0;

	for (; at->subscriber < cm->tables.n_subscribers; at->subscriber++) {
		const struct subscriber *s = mappings_subscriber(c->m, cm->number, at->subscriber);
		uint32_t n, extent = subscriber_extent(s);
		struct slot *slots = extent ? datapath_extent(d, extent, &n) : NULL;
		int r;

		if (cost >= LOOK_INTERVAL) {
			cost = 0;
			if (monotonic_us() >= deadline_us)
				return 1;
		}
		cost += 1 + (slots ? n : 0);
		r = slots ? visit_extent(c, cm, at, slots, n, visit, arg) : 0;
		if (r)
			return r;
	}
	return 0;
}

/*
 * Visits the sessions in extents that have not expired, from the cursor on. 0: all; 1: the time is up; or what `visit`
 * returned.
 */
static int visit_all(struct copying *c, struct copying_cursor *at, uint64_t deadline_us, extent_visit visit, void *arg)
{
	struct copied_mapping *cm;

	if (!extents_used(mappings_datapath(c->m)))
		return 0;
	while ((cm = copied_mapping_from(c, at->number))) {
		int r;

		if (cm->number != at->number)
			*at = (struct copying_cursor){ .number = cm->number };
		r = visit_mapping(c, cm, at, deadline_us, visit, arg);
		if (r)
			return r;
		*at = (struct copying_cursor){ .number = cm->number + 1 };
	}
	return 0;
}

static void fill(const struct copying *c, struct wire_beyond *w, const struct beyond_note *n, uint8_t state,
		 unsigned flags)
{
	*w = (struct wire_beyond){
		.key = htobe64(n->id.key),
		.subscriber = htobe32(n->id.subscriber),
		.mapping = htobe16(n->id.mapping),
		.out_port = htobe16(n->id.out_port),
		.proto = n->id.proto,
		.state = wire_state(state, state && word_owner(n->word)),
		.flags = wire_flags(flags | (word_is_inbound(n->word) ? WIRE_BEYOND_INBOUND : 0), n->turn,
				    session_age_s(c, n->word, datapath_ticks(mappings_datapath(c->m)))),
	};
}

/* Where a pass tells what it finds. */
struct telling {
	copying_emit emit;
	void *arg;
};

/* Announces a state, unless the session goes with whole copies as it exists at a start. 0, or the error of `emit`. */
static int tell(struct copying *c, const struct beyond_note *n, uint8_t state, const struct telling *to)
{
	struct draft *o = &c->out;

	if (!c->primed)
		return 0;
	if ((o->length && o->type != WIRE_BEYOND) || draft_room(o) < sizeof(struct wire_beyond)) {
		int r = draft_flush(o, to->emit, to->arg);

		if (r)
			return r;
	}
	o->type = WIRE_BEYOND;
	fill(c, draft_take(o, sizeof(struct wire_beyond)), n, state, 0);
	return 0;
}

/* Announces a state if it is another one, or once more. 0, or the error of `emit`. */
static int tell_state(struct copying *c, struct beyond_note *n, uint8_t state, const struct telling *to)
{
	int r = n->state == state && !n->again ? 0 : tell(c, n, state, to);

	if (r)
		return r;
	c->told += (state != 0) - (n->state != 0);
	n->state = state;
	n->again = false;
	return 0;
}

/* A session of this gateway's own. 0, or the error of `emit`. */
static int note_own(struct copying *c, struct beyond_note *n, uint64_t word, const struct telling *to)
{
	if (n->ended) {
		/* It has ended and begun again since the last scan; its new state is not announced yet. */
		int r;

		n->again = false;
		r = tell_state(c, n, 0, to);
		if (r)
			return r;
		n->turn = 0;
		n->ended = n->taken = n->turn_known = false;
		n->since = c->pass;
	} else if (word_owner(n->word)) {
		/* A packet has taken it over. It may have been told on behalf of the peer. */
		note_is_copy(c, n, word);
		n->turn = n->turn_known ? turn_next(n->turn) : 1;
		n->taken = n->turn_known = true;
	}
	n->seen = true;
	n->word = word;
	if (!n->state && !n->taken) {
		n->taken = n->turn_known = begins_again(c, &n->id, &n->turn);
		if (!n->taken && c->primed && c->pass - n->since < passes_of_age(&c->limits))
			return 0;
	}
	return tell_state(c, n, word_state(word), to);
}

/* A peer's session; tells of it on behalf of a peer that is silent, and its end once the peer is back. */
static int note_copy(struct copying *c, struct beyond_note *n, uint64_t word, const struct telling *to)
{
	bool speaks = c->speaks >> word_owner(word) & 1 && copied_mapping_owned(c, &c->mapping[n->id.mapping]);

	if (word_owner(n->word) != word_owner(word))
		note_is_copy(c, n, word);
	n->taken = n->ended = n->again = false;
	n->word = word;
	n->seen = true;
	return tell_state(c, n, speaks ? word_state(word) : 0, to);
}

static int look_at(struct copying *c, struct found_session *s, void *arg)
{
	const struct copying_peer *p = &c->peer[s->owner];
	struct beyond_note *n = beyond_note_find(&c->beyond, &s->id);

	/* What a peer leaves out of its whole copy has ended. */
	if (s->owner && p->complete && (!n || n->round != p->round)) {
		if (found_end(c, s))
			found_forget(c, s);
		return 0;
	}
	n = note_known(c, &s->id, s->word);
	if (!n)
		return -ENOMEM;
	c->beyond_pass.held[s->owner] += s->owner != 0;
	if (s->owner)
		return note_copy(c, n, s->word, arg);
	return copied_mapping_owned(c, s->cm) ? note_own(c, n, s->word, arg) : 0;
}

static void begin(struct copying *c)
{
	uint32_t at = 0;

	c->beyond_pass = (struct beyond_pass){ .step = BEYOND_READS };
	for (struct beyond_note *n; (n = hash_walk(&beyond_notes, &c->beyond, &at));)
		n->seen = false;
}

/* Whether the session is there after all: it may have appeared, come back, or moved while the others were read. */
static bool is_there(struct copying *c, const struct beyond_note *n)
{
	struct found_session s;

	return found_beyond(c, &n->id, &s) && s.id.out_port == n->id.out_port;
}

/*
 * Ends a session that is or was another gateway's: others may have to learn that it has ended here, unless it has
 * expired.
 */
static void note_end(struct copying *c, const struct beyond_note *n)
{
	const struct copied_mapping *cm = copied_mapping(c, n->id.mapping);
	uint32_t now = datapath_ticks(mappings_datapath(c->m));
	bool copy = word_owner(n->word);

	if ((!copy && !n->taken) || !cm || !has_subscriber(c, cm, n->id.subscriber) ||
	    word_expired(n->word, now, mappings_get(c->m, cm->number)->timeout_ticks))
		return;
	note_ended(c, &n->id, 0, 0, !n->turn_known ? 0 : copy ? turn_next(n->turn) : n->turn, now);
}

/* Announces the ends of sessions that were not seen. */
static int tell_ends(struct copying *c, uint64_t deadline_us, const struct telling *to)
{
	struct beyond_pass *o = &c->beyond_pass;

	for (; o->at < c->beyond.end; o->at++) {
		struct beyond_note *n = hash_get(&beyond_notes, &c->beyond, o->at);
		int r;

		if (o->at % LOOK_INTERVAL == LOOK_INTERVAL - 1 && monotonic_us() >= deadline_us)
			return 1;
		if (!n || n->seen || is_there(c, n))
			continue;
		r = n->state ? tell(c, n, 0, to) : 0;
		if (r)
			return r;
		note_end(c, n);
		note_drop(c, n);
	}
	o->step = BEYOND_DONE;
	return 0;
}

int copied_beyond_tell(struct copying *c, uint64_t deadline_us, copying_emit emit, void *arg)
{
	struct beyond_pass *o = &c->beyond_pass;
	struct telling to = { emit, arg };

	if (o->step == BEYOND_BEGINS &&
	    c->pass % (1 + extents_used(mappings_datapath(c->m)) * BUCKET_SLOTS / EACH_PASS))
		o->step = BEYOND_DONE;
	if (o->step == BEYOND_BEGINS)
		begin(c);
	if (o->step == BEYOND_READS) {
		int r = visit_all(c, &o->extents, deadline_us, look_at, &to);

		if (r)
			return r;
		for (unsigned p = 1; p <= COPYING_PEERS; p++)
			c->peer[p].held_beyond = o->held[p];
		o->step = BEYOND_ENDS;
	}
	return o->step == BEYOND_ENDS ? tell_ends(c, deadline_us, &to) : 0;
}

static void write_place(struct copying *c, struct draft *o, uint32_t place)
{
	const struct beyond_note *n = hash_get(&beyond_notes, &c->beyond, place);

	if (n && n->state)
		fill(c, draft_take(o, sizeof(struct wire_beyond)), n, n->state, WIRE_BEYOND_WHOLE);
}

int copied_beyond_whole(struct copying *c, uint32_t *at, struct draft *o, uint64_t deadline_us, copying_emit emit,
			void *arg)
{
	const struct draft_table told = { WIRE_BEYOND, c->beyond.end, LOOK_INTERVAL, write_place };

	return draft_tell(o, c, &told, at, deadline_us, emit, arg);
}

/* A copy of those to vouch for is refreshed, or ended. */
static int refresh(struct copying *c, struct found_session *s, void *arg)
{
	const struct copying_peer *p = &c->peer[s->owner];
	const uint32_t *now = arg;

	if (!(c->vouch_for >> s->owner & 1))
		return 0;
	if (!p->has_shown || p->exchanged[s->id.mapping])
		/* If a packet has changed it meanwhile, the next round refreshes it, if it still is a copy. */
		change_word(s->at, s->word, word_with(s->word, word_state(s->word), *now));
	else if (found_end(c, s))
		found_forget(c, s);
	return 0;
}

int copied_beyond_vouch(struct copying *c, uint64_t deadline_us)
{
	uint32_t now = datapath_ticks(mappings_datapath(c->m));

	return visit_all(c, &c->vouch_extents, deadline_us, refresh, &now);
}

/* Makes a copy of a peer this gateway's own, as a packet does. */
static int adopt(struct copying *c, struct found_session *s, void *arg)
{
	const unsigned *peer = arg;

	(void)c;
	if (s->owner == *peer)
		change_word(s->at, s->word, word_taken(s->word));
	return 0;
}

void copied_beyond_adopt(struct copying *c, unsigned peer)
{
	struct copying_cursor at = { 0 };

	visit_all(c, &at, UINT64_MAX, adopt, &peer);
	c->peer[peer].held_beyond = 0;
}
