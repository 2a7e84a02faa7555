/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiver: reads a peer's announcements, ends and changes copies, and has new ones placed. It trusts nothing it
 * reads: a peer can at most announce sessions that a subscriber could have had.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "copies/ownership.h"

/* Microseconds for ending the copies that a range lacks, and number of subscribers between two looks at the clock. */
#define APPLY_US      1000U
#define LOOK_INTERVAL 16U

/* A payload being read. */
struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

static const void *take(struct reader *r, size_t size)
{
	const uint8_t *at = r->at;

	if ((size_t)(r->end - r->at) < size)
		return NULL;
	r->at += size;
	return at;
}

/* The records of one subscriber. */
struct group {
	struct copied_mapping *cm; /* NULL: not exchanged */
	uint32_t subscriber;
	uint32_t n;
	const struct wire_session *record;
};

/* The announcement being applied. */
struct applying {
	struct copying *c;
	unsigned peer;
	uint32_t now;
	uint32_t fresh_ticks; /* age up to which a subscriber's tick of vouching is good enough for new copies */
	bool whole;
	uint32_t told; /* tick at which the peer has announced it */
	uint64_t last; /* mapping and subscriber of the last group */
	uint64_t deadline_us;
};

static struct told_session session_of_record(const struct wire_session *w)
{
	return (struct told_session){
		.key = be64toh(w->key),
		.out_port = be16toh(w->out_port),
		.slot = be16toh(w->slot),
		.proto = w->proto,
		.state = wire_session_state(w->state),
		.behalf = w->state & WIRE_ON_BEHALF,
		.inbound = be16toh(w->flags) & WIRE_SESSION_INBOUND,
		.turn = wire_turn(w->flags),
		.age_s = wire_age_s(w->flags),
	};
}

/* 1: there is one; 0: the payload has ended; -EPROTO. */
static int next_group(struct applying *a, struct reader *r, struct group *ret)
{
	const struct wire_sessions *w;
	uint16_t number;

	if (r->at == r->end)
		return 0;
	w = take(r, sizeof(*w));
	if (!w)
		return -EPROTO;
	number = be16toh(w->mapping);
	ret->n = be16toh(w->count);
	ret->record = take(r, ret->n * sizeof(*ret->record));
	if (!ret->record || number >= MAX_MAPPINGS)
		return -EPROTO;
	ret->cm = copied_mapping(a->c, a->c->peer[a->peer].ours[number]);
	ret->subscriber = be32toh(w->subscriber);
	if (!ret->cm)
		return 1;
	if (ret->subscriber >= ret->cm->tables.n_subscribers)
		return -EPROTO;
	for (uint32_t i = 0; i < ret->n; i++)
		if (be16toh(ret->record[i].slot) >= ret->cm->tables.n_slots)
			return -EPROTO;
	return 1;
}

/* The slot here for this slot at the peer, if its mark is the peer's. */
static uint32_t slot_here(const struct applying *a, const struct group *g, uint16_t theirs)
{
	int ours = moved_ours(&a->c->moved, (uint16_t)g->cm->number, g->subscriber, a->peer, theirs);

	return ours >= 0 ? (uint32_t)ours : theirs;
}

/* A copy of the peer: where, and what. */
struct held {
	uint32_t slot;
	uint16_t *mark;
	struct slot *at;
	uint64_t key;
	uint64_t word;
};

/* Finds the copy of a peer's slot. False: there is none, or no longer one. */
static bool find_copy(const struct applying *a, const struct group *g, uint16_t *marks, uint16_t theirs,
		      struct held *ret)
{
	struct copying *c = a->c;
	uint32_t slot = slot_here(a, g, theirs);
	int other = moved_theirs(&c->moved, (uint16_t)g->cm->number, g->subscriber, (uint16_t)slot);

	*ret = (struct held){
		.slot = slot,
		.mark = &marks[slot],
		.at = (struct slot *)mappings_buckets(c->m, g->cm->number, g->subscriber) + slot,
	};
	/* That slot may hold a copy that is in another slot at the peer. */
	if (mark_peer(*ret->mark) != a->peer || (other >= 0 && other != theirs))
		return false;
	ret->word = load_word(ret->at);
	return mark_settle(c, g->cm, g->subscriber, slot, ret->mark, NULL, a->now) &&
	       read_slot(ret->at, ret->word, &ret->key);
}

static bool is_session(const struct held *h, const struct told_session *t)
{
	return h->key == t->key && word_out_port(h->word) == t->out_port && word_proto(h->word) == t->proto;
}

static void end(const struct applying *a, const struct group *g, const struct held *h)
{
	if (!end_copy(a->c, g->cm, g->subscriber, h->slot, h->word))
		return; /* refreshed just now: this gateway's own, as the next look at the mark finds */
	mark_clear(a->c, g->cm, g->subscriber, h->slot, h->mark);
	a->c->counts->ended++;
}

static void update(const struct applying *a, const struct group *g, const struct held *h, const struct told_session *t)
{
	set_turn(g->cm, g->subscriber, h->slot, t->turn);
	set_life(g->cm, g->subscriber, h->slot, t->state);
	set_on_behalf(g->cm, g->subscriber, h->slot, t->behalf);
	if (word_state(h->word) != t->state && change_state(h->at, h->word, t->state))
		a->c->counts->updated++;
}

static int place(const struct applying *a, const struct group *g, const struct told_session *t)
{
	uint16_t vouched = copy_vouched(&g->cm->marks, g->subscriber, a->peer)->now;
	uint32_t seen = a->now - (uint16_t)((uint16_t)a->now - vouched);
	const struct placing p = { .peer = (uint8_t)a->peer,
				   .theirs = t->slot,
				   .turn = t->turn,
				   .age_s = t->age_s,
				   .told = a->told,
				   .behalf = t->behalf };
	bool waits = placing_waits(a->c, g->cm, g->subscriber, t, &p, a->now);

	return waits ? 0 : placing_add(a->c, g->cm, g->subscriber, t, &p, seen);
}

/* Makes the subscriber's tick of vouching recent, as copies are stored with it. */
static void freshen(const struct applying *a, const struct group *g)
{
	const struct vouched *v = copy_vouched(&g->cm->marks, g->subscriber, a->peer);

	if ((uint16_t)((uint16_t)a->now - v->now) > a->fresh_ticks)
		refresh_copies(a->c, g->cm, g->subscriber, (uint8_t)(1U << a->peer), a->now);
}

static int apply_record(const struct applying *a, const struct group *g, uint16_t *marks, const struct told_session *t)
{
	struct held h;

	if (!copy_state_fits(t->key, t->proto, t->state)) {
		a->c->counts->refused++;
		return 0;
	}
	if (find_copy(a, g, marks, t->slot, &h)) {
		if (is_session(&h, t)) {
			update(a, g, &h, t);
			return 0;
		}
		end(a, g, &h);
	}
	return place(a, g, t);
}

static void forget_waiting(const struct applying *a, const struct group *g, uint16_t slot)
{
	const struct waiting_copy w = {
		.peer = (uint8_t)a->peer, .mapping = (uint16_t)g->cm->number, .subscriber = g->subscriber, .slot = slot
	};

	waiting_del(&a->c->waiting, &w);
}

/* Endings first: another record may need the port, or the flow, of an ended session. */
static int apply_changes(const struct applying *a, const struct group *g)
{
	uint16_t *marks = copy_marks_of(&g->cm->marks, g->subscriber);
	struct held h;
	int r = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		uint16_t slot = be16toh(g->record[i].slot);

		if (g->record[i].state)
			continue;
		forget_waiting(a, g, slot);
		if (find_copy(a, g, marks, slot, &h))
			end(a, g, &h);
	}
	for (uint32_t i = 0; i < g->n && !r; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (t.state)
			r = apply_record(a, g, marks, &t);
	}
	return r;
}

/* The record of a copy, by its session; -1: none. */
static int find_record(const struct group *g, const struct held *h, const uint8_t *done)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (!done[i] && is_session(h, &t))
			return (int)i;
	}
	return -1;
}

/* Applies everything that the peer has of a subscriber: copies without a record end. */
static int apply_whole(const struct applying *a, const struct group *g)
{
	struct copying *c = a->c;
	uint16_t *marks = copy_marks_of(&g->cm->marks, g->subscriber);
	uint8_t done[MAX_SLOTS] = { 0 }, kept[MAX_SLOTS] = { 0 };
	struct held h;
	int r = 0;

	if (g->n > g->cm->tables.n_slots)
		return -EPROTO;
	/* Most have not moved. */
	for (uint32_t i = 0; i < g->n; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (!marks[slot_here(a, g, t.slot)] || !copy_state_fits(t.key, t.proto, t.state) ||
		    !find_copy(a, g, marks, t.slot, &h) || !is_session(&h, &t) || kept[h.slot])
			continue;
		update(a, g, &h, &t);
		done[i] = kept[h.slot] = 1;
	}
	for (uint32_t slot = 0; marks && slot < g->cm->tables.n_slots; slot++) {
		int i, theirs;

		if (mark_peer(marks[slot]) != a->peer || kept[slot])
			continue;
		theirs = moved_theirs(&c->moved, (uint16_t)g->cm->number, g->subscriber, (uint16_t)slot);
		if (!find_copy(a, g, marks, theirs >= 0 ? (uint16_t)theirs : (uint16_t)slot, &h))
			continue;
		i = find_record(g, &h, done);
		if (i < 0) {
			end(a, g, &h);
			continue;
		}

		const struct told_session t = session_of_record(&g->record[i]);

		if (!copy_state_fits(t.key, t.proto, t.state) ||
		    moved_add(&c->moved, (uint16_t)g->cm->number, g->subscriber, a->peer, t.slot, (uint16_t)slot)) {
			end(a, g, &h);
			continue;
		}
		update(a, g, &h, &t);
		done[i] = 1;
	}
	for (uint32_t i = 0; i < g->n && !r; i++) {
		const struct told_session t = session_of_record(&g->record[i]);

		if (done[i])
			continue;
		if (copy_state_fits(t.key, t.proto, t.state))
			r = place(a, g, &t);
		else
			c->counts->refused++;
	}
	return r;
}

static int apply_group(struct applying *a, const struct group *g)
{
	struct copying *c = a->c;
	uint64_t at = (uint64_t)g->cm->number << 32 | g->subscriber;
	int r;

	/* Sessions waiting to be placed may belong to this subscriber. */
	if (at <= a->last) {
		r = placing_flush(c);
		if (r)
			return r;
	}
	a->last = at;
	if (g->n && !has_subscriber(c, g->cm, g->subscriber)) {
		c->counts->refused += g->n;
		return 0;
	}
	r = g->n ? copied_marks_make(c, g->cm, g->subscriber) : 0;
	if (r)
		return r;
	if (g->n)
		freshen(a, g);
	return a->whole ? apply_whole(a, g) : apply_changes(a, g);
}

static int apply_groups(struct applying *a, struct reader *r)
{
	struct group g;
	int n, e;

	while ((n = next_group(a, r, &g)) > 0) {
		if (!g.cm) {
			a->c->counts->skipped += g.n;
			continue;
		}
		e = apply_group(a, &g);
		if (e)
			return e;
	}
	return n;
}

/* Subscribers of a range without a group have no session of the peer. 1: the time is up; the next one is noted. */
static int apply_empty(struct applying *a, struct copied_mapping *cm, uint32_t first, uint32_t end_before)
{
	struct copying_peer *p = &a->c->peer[a->peer];
	uint32_t i = next_holder(cm, a->peer, first, end_before);

	for (uint32_t n = 0; i < end_before; i = next_holder(cm, a->peer, i + 1, end_before)) {
		struct group g = { .cm = cm, .subscriber = i };
		int r = 0;

		if (holds_copies(cm, a->peer, i))
			r = apply_whole(a, &g);
		else
			cm->holders[i] &= (uint8_t) ~(1U << a->peer);
		if (r)
			return r;
		if (++n % LOOK_INTERVAL || monotonic_us() < a->deadline_us)
			continue;
		p->whole_at = i + 1;
		p->whole_generation = a->c->generation;
		return 1;
	}
	return 0;
}

/* Subscribers of whom a peer announces everything. */
struct told_range {
	unsigned peer;
	int number;
	uint32_t first;
	uint32_t count;
};

static bool is_in_range(const struct waiting_copy *e, const void *arg)
{
	const struct told_range *r = arg;

	return e->peer == r->peer && e->mapping == r->number && !e->beyond && e->subscriber - r->first < r->count;
}

/*
 * A whole copy announces all slots of this many subscribers: sessions that wait for one are forgotten, and wait again
 * if announced.
 */
static void range_begins(struct copying *c, unsigned peer, const struct copied_mapping *cm, uint32_t first,
			 uint32_t count)
{
	const struct told_range range = { peer, cm->number, first, count };

	waiting_forget(&c->waiting, is_in_range, &range);
}

static int apply_range(struct applying *a, struct reader *r)
{
	const struct wire_range *w = take(r, sizeof(*w));
	struct copying_peer *p = &a->c->peer[a->peer];
	struct copied_mapping *cm;
	uint32_t first, count, at;
	struct group g;
	int n, e;

	if (!w || be16toh(w->mapping) >= MAX_MAPPINGS)
		return -EPROTO;
	cm = copied_mapping(a->c, a->c->peer[a->peer].ours[be16toh(w->mapping)]);
	first = be32toh(w->first);
	count = be32toh(w->count);
	if (cm && (first > cm->tables.n_subscribers || count > cm->tables.n_subscribers - first))
		return -EPROTO;
	a->whole = true;
	/* Where the last call with this payload stopped, if it did. */
	at = p->whole_generation == a->c->generation && p->whole_at > first ? p->whole_at : first;
	p->whole_generation = 0;
	if (cm && at == first)
		range_begins(a->c, a->peer, cm, first, count);
	while ((n = next_group(a, r, &g)) > 0) {
		if (!g.cm) {
			a->c->counts->skipped += g.n;
			continue;
		}
		if (g.cm != cm || g.subscriber < first || g.subscriber - first >= count)
			return -EPROTO;
		count -= g.subscriber + 1 - first;
		first = g.subscriber + 1;
		if (g.subscriber < at)
			continue;
		e = apply_empty(a, cm, at, g.subscriber);
		if (!e)
			e = apply_group(a, &g);
		if (e)
			return e;
		at = first;
	}
	return n || !cm ? n : apply_empty(a, cm, at, first + count);
}

static struct applying applying(struct copying *c, unsigned peer)
{
	uint32_t now = datapath_ticks(mappings_datapath(c->m));

	return (struct applying){ .c = c,
				  .peer = peer,
				  .now = now,
				  .told = now,
				  .fresh_ticks = vouching_ticks(c) / 2,
				  .deadline_us = monotonic_us() + APPLY_US };
}

int copied_slot_again(struct copying *c, struct copied_mapping *cm, const struct waiting_copy *w)
{
	const struct wire_session record = {
		.key = htobe64(w->key),
		.out_port = htobe16(w->out_port),
		.proto = w->proto,
		.state = wire_state(w->state, w->behalf),
		.slot = htobe16(w->slot),
		.flags = wire_flags(w->inbound ? WIRE_SESSION_INBOUND : 0, w->turn, w->age_s),
	};
	const struct group g = { .cm = cm, .subscriber = w->subscriber, .n = 1, .record = &record };
	struct applying a = applying(c, w->peer);

	a.told = w->told;
	return apply_group(&a, &g);
}

int copying_apply(struct copying *c, unsigned peer, unsigned type, const void *payload, size_t length,
		  struct copying_counts *add)
{
	struct reader r = { .at = payload, .end = (const uint8_t *)payload + length };
	struct applying a;
	int e, f;

	copied_mappings_look(c);
	if (type == WIRE_WHOLE_END && length)
		return -EPROTO;
	if (type == WIRE_WHOLE_END) {
		copied_overflow_whole_ended(c, peer);
		copied_grants_whole_ended(c, peer);
		return 0;
	}
	if (type == WIRE_LEASES)
		return copied_leases_apply(c, peer, payload, length, add);
	if (type == WIRE_GRANTS)
		return copied_grants_apply(c, peer, payload, length, add);
	if (type == WIRE_RULES || type == WIRE_PORTMAPS)
		return copied_rules_apply(c, peer, type, payload, length);
	if (type != WIRE_CHANGES && type != WIRE_WHOLE && type != WIRE_OVERFLOW && type != WIRE_ENDED)
		return -EPROTO;
	e = copy_program_load(&c->program, mappings_datapath(c->m));
	if (e)
		return e;
	if (type == WIRE_OVERFLOW)
		return copied_overflow_apply(c, peer, payload, length, add);
	if (type == WIRE_ENDED)
		return copied_ended_apply(c, peer, payload, length, add);
	a = applying(c, peer);
	c->counts = add;
	e = type == WIRE_WHOLE ? apply_range(&a, &r) : apply_groups(&a, &r);
	f = placing_flush(c);
	return e ? e : f;
}
