/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/waiting_copies.h"

/* The key of a copy. */
static uint64_t hash(const void *entry)
{
	const struct waiting_copy *e = entry;

	return HASH_OF((uint64_t)e->mapping << 32 | e->subscriber, (uint64_t)e->peer << 1 | e->beyond,
		       e->beyond ? e->key : e->slot, e->beyond ? e->proto : 0);
}

static bool known_by_the_same(const void *a, const void *b)
{
	const struct waiting_copy *x = a, *y = b;

	if (x->peer != y->peer || x->mapping != y->mapping || x->subscriber != y->subscriber || x->beyond != y->beyond)
		return false;
	return x->beyond ? x->key == y->key && x->proto == y->proto : x->slot == y->slot;
}

const struct hash_type waiting_copies = { sizeof(struct waiting_copy), WAITING_MAX, hash, known_by_the_same };

static bool same_session(const struct waiting_copy *a, const struct waiting_copy *b)
{
	return a->key == b->key && a->proto == b->proto && a->out_port == b->out_port;
}

bool waiting_add(struct hash_table *w, const struct waiting_copy *like)
{
	struct waiting_copy *e = hash_find(&waiting_copies, w, like);
	uint32_t number;

	if (e && same_session(e, like)) {
		e->state = like->state;
		e->turn = like->turn;
		e->room = like->room;
		e->clash = like->clash;
		e->behalf = like->behalf;
		e->age_s = like->age_s;
		e->told = like->told;
		e->round = like->round;
		return true;
	}
	if (!e)
		e = hash_add(&waiting_copies, w, like);
	if (!e)
		return false;
	number = e->entry.number;
	*e = *like;
	e->entry.number = number;
	e->tries = 0;
	return true;
}

void waiting_del(struct hash_table *w, const struct waiting_copy *like)
{
	struct waiting_copy *e = hash_find(&waiting_copies, w, like);

	if (e)
		hash_del(&waiting_copies, w, e);
}

void waiting_forget(struct hash_table *w, bool (*which)(const struct waiting_copy *e, const void *arg), const void *arg)
{
	uint32_t at = 0;

	for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, w, &at));)
		if (which(e, arg))
			hash_del(&waiting_copies, w, e);
}
