/* SPDX-License-Identifier: BSD-2-Clause */
/* The outcome for a session beyond the slots that a peer has announced, once the program has run. */
#include "copies/session_beyond.h"
#include "copies/ownership.h"
#include "sessions/sessions.h"

static struct overflow_id id_of(const struct session_copy *r)
{
	return (struct overflow_id){
		.key = r->key,
		.subscriber = r->subscriber,
		.mapping = r->mapping,
		.out_port = word_out_port(r->word),
		.proto = word_proto(r->word),
	};
}

/* It is a copy of the peer's now, with the announced state. */
static void note_copy(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	const struct overflow_id id = id_of(r);
	struct overflow_told *t = overflow_known(c, &id);

	if (!t)
		return; /* the next scan finds it */
	overflow_is_copy(c, t, p->peer, r->word);
	t->turn = p->turn;
	t->turn_known = true;
	t->behalf = p->behalf;
}

/* It has ended because its gateway reported the end, also to the others. */
static void forget_copy(struct copying *c, const struct session_copy *r)
{
	const struct overflow_id id = id_of(r);
	struct overflow_told *t = overflow_tolds_find(&c->overflow_told, &id);

	if (!t || !t->peer)
		return;
	c->told -= t->state != 0;
	hash_del(&overflow_tolds, &c->overflow_told, t);
}

/* Whether the session was a copy of this peer, or may be taken from its former gateway. */
static bool is_taken(const struct session_copy *r, const struct placing *p)
{
	unsigned before = beyond_owner(r->mark_before, r->before);

	return before == p->peer || r->takes >> before & 1;
}

/* The copy that was there before, if it was one, has been replaced. */
static void replaced(struct copying *c, const struct session_copy *r)
{
	unsigned before = beyond_owner(r->mark_before, r->before);
	struct overflow_id id = id_of(r);

	id.out_port = word_out_port(r->before);
	if (before)
		overflow_uncopy(c, &id, before);
}

/* It is this gateway's own, by its address only: the peer must learn of it at once. */
static void contested(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	const struct overflow_id id = id_of(r);
	struct overflow_told *t;

	if (p->behalf || beyond_owner(r->mark_before, r->before))
		return;
	t = overflow_known(c, &id);
	if (!t || t->turn != p->turn)
		return;
	t->word = r->before;
	overflow_contest(c, t, turn_next(t->turn));
}

/* It is there: as a copy that this one replaced, or as a session that the peer cannot have. */
static void present(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	c->counts->existing++;
	/* It is in time-wait, and has had a packet since. */
	if (!r->before) {
		crossed_beyond(c, r, p);
		return;
	}
	if (word_out_port(r->before) != word_out_port(r->word)) {
		const struct overflow_id id = id_of(r);
		struct session_beyond b;

		if (session_beyond_find(c, &id, &b))
			beyond_gives_way(c, r, p, &b);
		wait_for(c, r, p);
		return;
	}
	if (!is_taken(r, p)) {
		contested(c, r, p);
		return;
	}
	/* Both have opened it: each reports an end for its opening. */
	if (!beyond_owner(r->mark_before, r->before) && !p->turn)
		sessions_ended(c->m, r->mapping, c->mapping[r->mapping].in.base + r->subscriber, r->key, r->before);
	c->counts->updated += word_state(r->before) != word_state(r->word);
	replaced(c, r);
	c->peer[p->peer].held_beyond++;
	note_copy(c, r, p);
}

void placed_in_overflow(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	struct copying_peer *peer = &c->peer[p->peer];

	if (r->request == COPY_CHANGE)
		return;
	if (r->request == COPY_END) {
		if (r->result == COPY_PLACED) {
			c->counts->ended++;
			peer->held_beyond -= peer->held_beyond != 0;
			forget_copy(c, r);
		}
		return;
	}
	switch (r->result) {
	case COPY_PLACED:
		/* Replaces one on another port. */
		replaced(c, r);
		c->counts->placed++;
		peer->held_beyond++;
		note_copy(c, r, p);
		break;
	case COPY_EXISTS:
		c->counts->existing++;
		crossed_in_slot(c, r, p);
		break;
	case COPY_BEYOND:
		present(c, r, p);
		break;
	case COPY_PORT:
		port_gives_way(c, r, p);
		c->counts->refused++;
		break;
	default:
		c->counts->refused++;
	}
}
