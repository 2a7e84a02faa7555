/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions in the overflow and in extents, as the sender announces them and as both sides keep them. Each pass reads
 * all, unless there are many. Copies say that they are some: by a mark in the overflow, by their state word in an
 * extent, <detnat/copies.h>.
 */
#include <errno.h>

#include "base/clock.h"
#include "copies/session_beyond.h"
#include "copies/ownership.h"

/*
 * Sessions for which a scan takes less than a twentieth of a second; for each further so many, a scan begins one pass
 * later. Of extents all slots are read, whether there is a session or not.
 */
#define EACH_PASS 65536

/* Entries read, or checked for their end, between two looks at the clock. */
#define LOOK_INTERVAL OVERFLOW_BATCH
WHOLE_FITS(LOOK_INTERVAL, struct wire_overflow);

void copied_overflow_free(struct copying *c)
{
	hash_free(&c->overflow_told);
	overflow_scan_end(&c->overflow_pass.scan);
	overflow_scan_end(&c->vouch_scan);
	for (unsigned p = 1; p <= COPYING_PEERS; p++)
		hash_index_free(&c->peer[p].heard);
}

static void fill(const struct copying *c, struct wire_overflow *w, const struct overflow_told *t, uint8_t state,
		 unsigned flags)
{
	*w = (struct wire_overflow){
		.key = htobe64(t->id.key),
		.subscriber = htobe32(t->id.subscriber),
		.mapping = htobe16(t->id.mapping),
		.out_port = htobe16(t->id.out_port),
		.proto = t->id.proto,
		.state = wire_state(state, state && t->peer),
		.flags = wire_flags(flags | (t->inbound ? WIRE_OVERFLOW_INBOUND : 0), t->turn,
				    session_age_s(c, t->word, datapath_ticks(mappings_datapath(c->m)))),
	};
}

/* Adds a record to the pass's payload. 0, or the error of `emit`. */
static int tell(struct copying *c, const struct overflow_told *t, uint8_t state, copying_emit emit, void *arg)
{
	struct draft *o = &c->out;

	if ((o->length && o->type != WIRE_OVERFLOW) || draft_room(o) < sizeof(struct wire_overflow)) {
		int r = draft_flush(o, emit, arg);

		if (r)
			return r;
	}
	o->type = WIRE_OVERFLOW;
	fill(c, draft_take(o, sizeof(struct wire_overflow)), t, state, 0);
	return 0;
}

/* It has ended and begun again since the last scan; its new state is not announced yet. 0, or the error of `emit`. */
static int begin_anew(struct copying *c, struct overflow_told *t, copying_emit emit, void *arg)
{
	int r = t->state && c->primed ? tell(c, t, 0, emit, arg) : 0;

	if (r)
		return r;
	c->told -= t->state != 0;
	t->state = t->peer = t->turn = 0;
	t->ended = t->taken = t->turn_known = false;
	t->since = c->pass;
	return 0;
}

/* Notes a session of this gateway's own, and announces it if it is due. 0, or the error of `emit`. */
static int note_own(struct copying *c, struct overflow_told *t, uint64_t word, copying_emit emit, void *arg)
{
	uint8_t state = word_state(word);
	int r = t->ended ? begin_anew(c, t, emit, arg) : 0;

	if (r)
		return r;
	/* A packet has taken it over. */
	if (t->peer) {
		t->turn = t->turn_known ? turn_next(t->turn) : 1;
		t->taken = true;
		t->peer = 0;
		/* It may have been told on behalf of the peer. */
		c->told -= t->state != 0;
		t->state = 0;
	}
	t->seen = true;
	t->word = word;
	if (t->state == state && !t->again)
		return 0;
	if (!t->state && !t->taken) {
		t->taken = t->turn_known = begins_again(c, &t->id, &t->turn);
		if (!t->taken && c->primed && c->pass - t->since < passes_of_age(&c->limits))
			return 0;
	}
	/* Sessions that exist at a start go with whole copies. */
	if (c->primed)
		r = tell(c, t, state, emit, arg);
	if (r)
		return r;
	c->told += !t->state;
	t->state = state;
	t->again = false;
	return 0;
}

/* Asks for a change of an entry whose mark was read. 0 or -errno. */
static int ask(struct copying *c, const struct copied_mapping *cm, const struct overflow_id *id,
	       const struct overflow_session *s, enum copy_request request, uint64_t word, uint16_t mark)
{
	const struct session_copy r = {
		.key = id->key,
		.word = word,
		.before = s->truth,
		.mark = mark,
		.mark_before = s->mark,
		.request = (uint8_t)request,
	};
	int e = copy_program_load(&c->program, mappings_datapath(c->m));

	c->counts = &c->aside;
	return e ? e : placing_add_overflow(c, cm, id->subscriber, &r, NULL, 0);
}

/* Asks for the end of a peer's copy in an extent. 0 or -errno. */
static int ask_end(struct copying *c, const struct copied_mapping *cm, const struct overflow_id *id, unsigned peer,
		   uint64_t word)
{
	const struct overflow_session s = { .truth = word };

	return ask(c, cm, id, &s, COPY_END, word, overflow_mark(peer, word));
}

/* The session of an IN2OUT entry and its mapping. False: its mapping is not copied, or it has expired. */
static bool read_entry(struct copying *c, const struct overflow_key *key, const struct overflow_session *s,
		       uint32_t now, struct copied_mapping **ret_cm, struct overflow_id *ret)
{
	struct copied_mapping *cm;

	if (key->direction != OVERFLOW_IN2OUT)
		return false;
	cm = copied_mapping(c, mappings_of_overflow(c->m, key));
	if (!cm || !word_is_live(s->truth) ||
	    word_expired(s->truth, now, mappings_get(c->m, cm->number)->timeout_ticks))
		return false;
	*ret_cm = cm;
	*ret = (struct overflow_id){
		.key = slot_key(key->ext_addr, key->ext_port, key->port),
		.subscriber = key->in_addr - cm->in.base,
		.mapping = (uint16_t)cm->number,
		.out_port = word_out_port(s->truth),
		.proto = key->proto,
	};
	return true;
}

/* Notes a peer's session; tells of it on behalf of a peer that is silent, and its end once the peer is back. */
static int note_copy(struct copying *c, struct overflow_told *t, unsigned peer, uint64_t word, copying_emit emit,
		     void *arg)
{
	bool speaks = c->speaks >> peer & 1 && copied_mapping_owned(c, &c->mapping[t->id.mapping]);
	uint8_t state = speaks ? word_state(word) : 0, told = t->peer == peer ? t->state : 0;
	int r;

	if (told != state || t->peer != peer) {
		if (t->peer == peer && t->state && !state && c->primed) {
			r = tell(c, t, 0, emit, arg);
			if (r)
				return r;
		}
		overflow_is_copy(c, t, peer, word);
		r = state && c->primed ? tell(c, t, state, emit, arg) : 0;
		if (r)
			return r;
		t->state = state;
		c->told += state != 0;
	}
	t->taken = t->ended = false;
	t->word = word;
	t->seen = true;
	return 0;
}

static int look_at(struct copying *c, const struct overflow_key *key, const struct overflow_session *s, uint32_t now,
		   copying_emit emit, void *arg)
{
	struct copied_mapping *cm;
	struct overflow_told *t;
	struct copying_peer *p;
	struct overflow_id id;
	unsigned peer;

	if (!read_entry(c, key, s, now, &cm, &id))
		return 0;
	peer = overflow_mark_peer(s->mark);
	p = &c->peer[peer];
	t = overflow_known(c, &id);
	if (!t)
		return -ENOMEM;
	t->inbound = s->inbound;
	if (!overflow_mark_holds(s->mark, s->truth)) {
		/* A packet has refreshed it; its mark could fit again by chance. */
		int r = s->mark ? ask(c, cm, &id, s, COPY_CHANGE, s->truth, 0) : 0;

		if (s->mark && !t->peer && !t->taken)
			t->peer = (uint8_t)peer;
		return r || !copied_mapping_owned(c, cm) ? r : note_own(c, t, s->truth, emit, arg);
	}
	if (p->purge == PURGE_RUNS && !hash_set_has(&p->heard, overflow_id_hash(&id)))
		return ask(c, cm, &id, s, COPY_END, s->truth, s->mark);
	c->overflow_pass.held[peer]++;
	return note_copy(c, t, peer, s->truth, emit, arg);
}

static bool is_due(const struct copying *c)
{
	const struct datapath *d = mappings_datapath(c->m);
	int64_t n = (overflow_any(d) ? d->global->overflow : 0) + (int64_t)extents_used(d) * BUCKET_SLOTS;

	return !(c->pass % (1 + (uint64_t)n / EACH_PASS));
}

static void begin(struct copying *c)
{
	struct overflow_pass *o = &c->overflow_pass;
	uint32_t at = 0;

	for (unsigned p = 0; p <= COPYING_PEERS; p++) {
		o->held[p] = 0;
		if (c->peer[p].purge == PURGE_DUE)
			c->peer[p].purge = PURGE_RUNS;
	}
	for (struct overflow_told *t; (t = hash_walk(&overflow_tolds, &c->overflow_told, &at));)
		t->seen = false;
	o->at = 0;
	o->last = false;
	o->extents = (struct copying_cursor){ 0 };
	o->step = OVERFLOW_READS;
}

/* Reads a batch, or continues one. 0: it was the last; 1: there are more; or -errno, or the error of `emit`. */
static int read_batch(struct copying *c, copying_emit emit, void *arg)
{
	const struct datapath *d = mappings_datapath(c->m);
	struct overflow_pass *o = &c->overflow_pass;
	uint32_t now = datapath_ticks(d);
	int r = 0, f;

	if (o->at == o->scan.n) {
		r = overflow_scan_step(&o->scan, d);
		if (r == -EAGAIN) { /* the map has been replaced: from the beginning */
			overflow_scan_end(&o->scan);
			o->at = 0;
			return 1;
		}
		if (r < 0)
			return r;
		o->last = !r;
		o->at = 0;
	}
	for (r = 0; !r && o->at < o->scan.n; o->at += !r)
		r = look_at(c, &o->scan.keys[o->at], &o->scan.sessions[o->at], now, emit, arg);
	f = placing_flush(c);
	if (r || f)
		return r ? r : f;
	return !o->last;
}

/* All have been read. */
static void end_scan(struct copying *c)
{
	struct overflow_pass *o = &c->overflow_pass;

	for (unsigned p = 1; p <= COPYING_PEERS; p++) {
		c->peer[p].held_beyond = o->held[p];
		if (c->peer[p].purge != PURGE_RUNS)
			continue;
		hash_index_free(&c->peer[p].heard);
		c->peer[p].heard_all = false;
		c->peer[p].purge = PURGE_NONE;
	}
	o->at = 0;
	o->step = OVERFLOW_ENDS;
}

/* Whether the session is there after all: it may have appeared, come back, or moved while the others were read. */
static bool is_there(struct copying *c, const struct overflow_told *t)
{
	struct session_beyond b;

	return session_beyond_find(c, &t->id, &b) && word_out_port(b.word) == t->id.out_port;
}

/*
 * Ends a session that is or was another gateway's: others may have to learn that it has ended here, unless it has
 * expired.
 */
static void note_end(struct copying *c, const struct overflow_told *t)
{
	const struct copied_mapping *cm = copied_mapping(c, t->id.mapping);
	uint32_t now = datapath_ticks(mappings_datapath(c->m));

	if ((!t->peer && !t->taken) || !cm || !has_subscriber(c, cm, t->id.subscriber) ||
	    word_expired(t->word, now, mappings_get(c->m, cm->number)->timeout_ticks))
		return;
	note_ended(c, &t->id, 0, 0, !t->turn_known ? 0 : t->peer ? turn_next(t->turn) : t->turn, now);
}

/* Announces the ends of sessions that were not seen. */
static int tell_ends(struct copying *c, uint64_t deadline_us, copying_emit emit, void *arg)
{
	struct hash_table *t = &c->overflow_told;
	struct overflow_pass *o = &c->overflow_pass;

	for (; o->at < t->end; o->at++) {
		struct overflow_told *e = hash_get(&overflow_tolds, t, o->at);
		int r;

		if (o->at % LOOK_INTERVAL == LOOK_INTERVAL - 1 && monotonic_us() >= deadline_us)
			return 1;
		if (!e || e->seen || is_there(c, e))
			continue;
		r = e->state && c->primed ? tell(c, e, 0, emit, arg) : 0;
		if (r)
			return r;
		note_end(c, e);
		c->told -= e->state != 0;
		hash_del(&overflow_tolds, t, e);
	}
	o->step = OVERFLOW_DONE;
	return 0;
}

/* Where a pass tells what it finds. */
struct telling {
	copying_emit emit;
	void *arg;
};

/* The session in an extent, which its subscriber has opened. NULL: out of memory. */
static struct overflow_told *known_in_extent(struct copying *c, const struct overflow_id *id, uint64_t word)
{
	bool known = overflow_tolds_find(&c->overflow_told, id);
	struct overflow_told *t = overflow_known(c, id);

	if (!t || known)
		return t;
	/* An agent before this one has kept it there. A turn that is unknown counts as the first one, the lowest. */
	t->taken = word_turn(word) && !word_owner(word);
	t->turn_known = word_turn(word) && word_turn(word) < WORD_TURN_MAX;
	t->turn = t->turn_known ? (uint8_t)word_turn(word) : t->taken;
	t->turn_known |= t->taken;
	return t;
}

static int note_in_extent(struct copying *c, const struct overflow_id *id, struct slot *slot, uint64_t word, void *arg)
{
	struct copied_mapping *cm = &c->mapping[id->mapping];
	unsigned peer = word_owner(word);
	struct copying_peer *p = &c->peer[peer];
	const struct telling *to = arg;
	struct overflow_told *t;

	(void)slot;
	if (peer && p->purge == PURGE_RUNS && !hash_set_has(&p->heard, overflow_id_hash(id)))
		return ask_end(c, cm, id, peer, word);
	t = known_in_extent(c, id, word);
	if (!t)
		return -ENOMEM;
	t->inbound = word_is_inbound(word);
	if (!peer)
		return copied_mapping_owned(c, cm) ? note_own(c, t, word, to->emit, to->arg) : 0;
	c->overflow_pass.held[peer]++;
	return note_copy(c, t, peer, word, to->emit, to->arg);
}

int copied_overflow_tell(struct copying *c, uint64_t deadline_us, copying_emit emit, void *arg)
{
	struct overflow_pass *o = &c->overflow_pass;
	int r;

	if (o->step == OVERFLOW_BEGINS && !is_due(c))
		o->step = OVERFLOW_DONE;
	if (o->step == OVERFLOW_BEGINS)
		begin(c);
	while (o->step == OVERFLOW_READS) {
		r = read_batch(c, emit, arg);
		if (r < 0)
			return r;
		if (!r) {
			overflow_scan_end(&o->scan);
			o->step = OVERFLOW_EXTENTS;
		} else if (monotonic_us() >= deadline_us) {
			return 1;
		}
	}
	if (o->step == OVERFLOW_EXTENTS) {
		struct telling to = { emit, arg };
		int f;

		r = copied_extents_visit(c, &o->extents, deadline_us, note_in_extent, &to);
		f = placing_flush(c);
		if (r || f)
			return r ? r : f;
		end_scan(c);
	}
	return o->step == OVERFLOW_ENDS ? tell_ends(c, deadline_us, emit, arg) : 0;
}

static void write_place(struct copying *c, struct draft *o, uint32_t place)
{
	const struct overflow_told *t = hash_get(&overflow_tolds, &c->overflow_told, place);

	if (t && t->state)
		fill(c, draft_take(o, sizeof(struct wire_overflow)), t, t->state, WIRE_OVERFLOW_WHOLE);
}

int copied_overflow_whole(struct copying *c, uint32_t *at, struct draft *o, uint64_t deadline_us, copying_emit emit,
			  void *arg)
{
	const struct draft_table told = { WIRE_OVERFLOW, c->overflow_told.end, LOOK_INTERVAL, write_place };

	return draft_tell(o, c, &told, at, deadline_us, emit, arg);
}

static int refresh(struct copying *c, const struct overflow_key *key, const struct overflow_session *s, uint32_t now)
{
	unsigned peer = overflow_mark_peer(s->mark);
	uint64_t word = word_with(s->truth, word_state(s->truth), now);
	const struct copying_peer *p = &c->peer[peer];
	struct copied_mapping *cm;
	struct overflow_id id;

	if (!(c->vouch_for >> peer & 1) || !overflow_mark_holds(s->mark, s->truth) ||
	    !read_entry(c, key, s, now, &cm, &id))
		return 0;
	if (p->has_shown && !p->exchanged[cm->number])
		return ask(c, cm, &id, s, COPY_END, s->truth, s->mark);
	return ask(c, cm, &id, s, COPY_CHANGE, word, overflow_mark(peer, word));
}

/* Reads a batch: 0: it was the last; 1: there are more; or -errno. */
static int vouch_batch(struct copying *c)
{
	const struct datapath *d = mappings_datapath(c->m);
	int r = overflow_scan_step(&c->vouch_scan, d), e = 0, f;
	uint32_t now = datapath_ticks(d);

	for (uint32_t i = 0; r >= 0 && !e && i < c->vouch_scan.n; i++)
		e = refresh(c, &c->vouch_scan.keys[i], &c->vouch_scan.sessions[i], now);
	f = placing_flush(c);
	return e ? e : f ? f : r;
}

/* A copy in an extent: refreshed, or ended. */
static int refresh_in_extent(struct copying *c, const struct overflow_id *id, struct slot *slot, uint64_t word,
			     void *arg)
{
	const uint32_t *now = arg;
	unsigned peer = word_owner(word);
	const struct copying_peer *p = &c->peer[peer];

	if (!(c->vouch_for >> peer & 1))
		return 0;
	if (p->has_shown && !p->exchanged[id->mapping])
		return ask_end(c, &c->mapping[id->mapping], id, peer, word);
	/* If a packet has changed it meanwhile, the next round refreshes it, if it still is a copy. */
	change_word(slot, word, word_with(word, word_state(word), *now));
	return 0;
}

static int extents_vouch(struct copying *c, uint64_t deadline_us)
{
	uint32_t now = datapath_ticks(mappings_datapath(c->m));
	int r = copied_extents_visit(c, &c->vouch_extents, deadline_us, refresh_in_extent, &now);

	return placing_flush(c) ? 0 : r;
}

int copied_overflow_vouch(struct copying *c, uint64_t deadline_us)
{
	int r;

	if (extents_vouch(c, deadline_us) > 0)
		return 1;
	while ((r = vouch_batch(c)) > 0)
		if (monotonic_us() >= deadline_us)
			return 1;
	overflow_scan_end(&c->vouch_scan);
	/* The map has been replaced: from the beginning. */
	return r == -EAGAIN;
}

/* Makes a copy of a peer this gateway's own, as a packet does. */
static int adopt_in_extent(struct copying *c, const struct overflow_id *id, struct slot *slot, uint64_t word, void *arg)
{
	const unsigned *peer = arg;

	(void)c;
	(void)id;
	if (word_owner(word) == *peer)
		change_word(slot, word, word_taken(word));
	return 0;
}

void copied_overflow_adopt(struct copying *c, unsigned peer)
{
	const struct datapath *d = mappings_datapath(c->m);
	struct overflow_scan scan = { 0 };
	struct copying_cursor at = { 0 };
	int r = 1;

	copied_extents_visit(c, &at, UINT64_MAX, adopt_in_extent, &peer);
	while (r > 0) {
		uint32_t now = datapath_ticks(d);

		r = overflow_scan_step(&scan, d);
		for (uint32_t i = 0; r >= 0 && i < scan.n; i++) {
			const struct overflow_session *s = &scan.sessions[i];
			struct copied_mapping *cm;
			struct overflow_id id;

			if (overflow_mark_peer(s->mark) == peer && read_entry(c, &scan.keys[i], s, now, &cm, &id) &&
			    ask(c, cm, &id, s, COPY_CHANGE, s->truth, 0))
				r = -EIO;
		}
		if (placing_flush(c))
			r = -EIO;
	}
	overflow_scan_end(&scan);
	c->peer[peer].held_beyond = 0;
}
