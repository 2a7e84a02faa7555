/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of one subscriber in a peer's announcement, and the copies that they are about. */
#include <errno.h>
#include <string.h>

#include "copies/copying_apply.h"

const void *reader_take(struct reader *r, size_t size)
{
	const uint8_t *at = r->at;

	if ((size_t)(r->end - r->at) < size)
		return NULL;
	r->at += size;
	return at;
}

struct told_session session_of_record(const struct wire_session *w)
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

int group_next(struct applying *a, struct reader *r, struct group *ret)
{
	const struct wire_sessions *w;
	uint16_t number;

	if (r->at == r->end)
		return 0;
	w = reader_take(r, sizeof(*w));
	if (!w)
		return -EPROTO;
	number = be16toh(w->mapping);
	ret->n = be16toh(w->count);
	ret->record = reader_take(r, ret->n * sizeof(*ret->record));
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

uint32_t copy_slot(const struct applying *a, const struct group *g, uint16_t theirs)
{
	int ours = moved_ours(&a->c->moved, (uint16_t)g->cm->number, g->subscriber, a->peer, theirs);

	return ours >= 0 ? (uint32_t)ours : theirs;
}

bool copy_find(const struct applying *a, const struct group *g, uint16_t *marks, uint16_t theirs, struct held *ret)
{
	struct copying *c = a->c;
	uint32_t slot = copy_slot(a, g, theirs);
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

bool copy_is(const struct held *h, const struct told_session *t)
{
	return h->key == t->key && word_out_port(h->word) == t->out_port && word_proto(h->word) == t->proto;
}

void copy_end(const struct applying *a, const struct group *g, const struct held *h)
{
	if (!end_copy(a->c, g->cm, g->subscriber, h->slot, h->word))
		return; /* refreshed just now: this gateway's own, as the next look at the mark finds */
	mark_clear(a->c, g->cm, g->subscriber, h->slot, h->mark);
	a->c->counts->ended++;
}

void copy_update(const struct applying *a, const struct group *g, const struct held *h, const struct told_session *t)
{
	set_turn(g->cm, g->subscriber, h->slot, t->turn);
	set_life(g->cm, g->subscriber, h->slot, t->state);
	set_on_behalf(g->cm, g->subscriber, h->slot, t->behalf);
	if (word_state(h->word) != t->state && change_state(h->at, h->word, t->state))
		a->c->counts->updated++;
}

int copy_place(const struct applying *a, const struct group *g, const struct told_session *t)
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

int group_begin(struct applying *a, const struct group *g)
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
		return 1;
	}
	r = g->n ? copied_marks_make(c, g->cm, g->subscriber) : 0;
	if (r)
		return r;
	if (g->n)
		freshen(a, g);
	return 0;
}
