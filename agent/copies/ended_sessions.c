/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/ended_sessions.h"

#include <stdlib.h>

#define ROOM_MIN 256U

void ended_free(struct ended_sessions *t)
{
	free(t->entry);
	hash_index_free(&t->latest);
	*t = (struct ended_sessions){ 0 };
}

/* *ret_number: the lower half of its number, which suffices to find its place. */
static struct ended_session *find_latest(const struct ended_sessions *t, const struct session_tuple *id, uint64_t hash,
					 uint32_t *ret_number)
{
	for (uint32_t step = 0; hash_index_next(&t->latest, hash, &step, ret_number);)
		if (tuple_equal(&ended_at(t, *ret_number)->id, id))
			return ended_at(t, *ret_number);
	return NULL;
}

static int grow(struct ended_sessions *t)
{
	struct ended_sessions next = *t;

	next.room = t->room ? 2 * t->room : ROOM_MIN;
	next.entry = calloc(next.room, sizeof(*next.entry));
	if (!next.entry)
		return -1;
	for (uint64_t i = t->first; i < t->end; i++)
		*ended_at(&next, i) = *ended_at(t, i);
	free(t->entry);
	*t = next;
	return 0;
}

void ended_add(struct ended_sessions *t, const struct ended_session *like)
{
	uint64_t hash = tuple_hash(&like->id);
	uint32_t before;

	if (t->end - t->first == t->room && (t->room == ENDED_MAX || grow(t))) {
		if (!t->room)
			return;
		ended_drop_first(t);
	}
	/* Earlier ends of the same session no longer count. */
	if (find_latest(t, &like->id, hash, &before))
		hash_index_del(&t->latest, hash, before);
	if (hash_index_add(&t->latest, hash, (uint32_t)t->end))
		return;
	*ended_at(t, t->end++) = *like;
}

struct ended_session *ended_find(const struct ended_sessions *t, const struct session_tuple *id)
{
	uint32_t number;
	struct ended_session *e = t->latest.n ? find_latest(t, id, tuple_hash(id), &number) : NULL;

	return e && !e->gone ? e : NULL;
}

void ended_drop_first(struct ended_sessions *t)
{
	hash_index_del(&t->latest, tuple_hash(&ended_at(t, t->first)->id), (uint32_t)t->first);
	t->first++;
}

void ended_forget(struct ended_sessions *t, uint16_t mapping)
{
	for (uint64_t i = t->first; i < t->end; i++)
		if (ended_at(t, i)->id.mapping == mapping)
			ended_at(t, i)->gone = true;
}
