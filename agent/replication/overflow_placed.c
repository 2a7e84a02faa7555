/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of a session in the overflow that a peer has told, once the program has been run. */
#include "replication/copying_place.h"

/* A table that no whole copy follows is followed by changes for ten minutes. */
#define HEARD_MAX (1U << 22)

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

/* The peer has it: it is not purged. */
static void note_heard(struct copying *c, const struct session_copy *r, unsigned peer)
{
	const struct overflow_id id = id_of(r);
	struct copying_peer *p = &c->peer[peer];

	if (!p->heard_all || (p->heard.n < HEARD_MAX && !number_set_add(&p->heard, overflow_id_hash(&id))))
		return;
	/* Nothing is purged until the next whole copy. */
	number_set_free(&p->heard);
	p->heard_all = false;
	p->purge = PURGE_NONE;
}

/*
 * The peer has ended a session that is none of its copies here. If it is this gateway's own and both had it, the peer
 * has it no more: it is told again, as if its state had changed.
 */
static void tell_again(struct copying *c, const struct session_copy *r)
{
	const struct overflow_id id = id_of(r);
	struct overflow_told *t = overflow_tolds_find(&c->overflow_told, &id);

	if (t && t->state)
		t->state ^= SESSION_RESET;
}

/* The copy that was there before, if it was one. */
static void uncount(struct copying *c, const struct session_copy *r)
{
	struct copying_peer *p = &c->peer[overflow_mark_peer(r->mark_before)];

	if (overflow_mark_holds(r->mark_before, r->before) && p->held_beyond)
		p->held_beyond--;
}

/* It is there: as a copy that was replaced by this one, or as what the peer cannot have. */
static void present(struct copying *c, const struct session_copy *r, const struct placing *p)
{
	unsigned before = overflow_mark_peer(r->mark_before);

	c->counts->existing++;
	if (!overflow_mark_holds(r->mark_before, r->before) || (before != p->peer && !(r->takes >> before & 1)))
		return;
	c->counts->updated += word_state(r->before) != word_state(r->word);
	uncount(c, r);
	c->peer[p->peer].held_beyond++;
	note_heard(c, r, p->peer);
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
		} else if (r->result == COPY_CHANGED && p->heard) {
			tell_again(c, r);
		}
		return;
	}
	switch (r->result) {
	case COPY_PLACED:
		/* In place of one on another port. */
		uncount(c, r);
		c->counts->placed++;
		peer->held_beyond++;
		note_heard(c, r, p->peer);
		break;
	case COPY_EXISTS:
		c->counts->existing++;
		break;
	case COPY_BEYOND:
		present(c, r, p);
		break;
	default:
		c->counts->refused++;
	}
}
