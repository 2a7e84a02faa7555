/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/ended_sessions.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 256U

void ended_free(struct ended_sessions *t)
{
	free(t->entry);
	free(t->head);
	*t = (struct ended_sessions){ 0 };
}

static uint32_t *list_of(const struct ended_sessions *t, const struct overflow_id *id)
{
	return &t->head[overflow_id_hash(id) & (t->room - 1)];
}

static void insert(struct ended_sessions *t, uint64_t number)
{
	struct ended_session *e = ended_at(t, number);
	uint32_t *head = list_of(t, &e->id);

	e->next = *head;
	*head = (uint32_t)(number & (t->room - 1)) + 1;
}

static int grow(struct ended_sessions *t)
{
	struct ended_sessions next = *t;

	next.room = t->room ? 2 * t->room : ROOM_MIN;
	next.entry = calloc(next.room, sizeof(*next.entry));
	next.head = calloc(next.room, sizeof(*next.head));
	if (!next.entry || !next.head) {
		free(next.entry);
		free(next.head);
		return -1;
	}
	for (uint64_t i = t->first; i < t->end; i++) {
		*ended_at(&next, i) = *ended_at(t, i);
		insert(&next, i);
	}
	free(t->entry);
	free(t->head);
	*t = next;
	return 0;
}

void ended_add(struct ended_sessions *t, const struct ended_session *like)
{
	if (t->end - t->first == t->room && (t->room == ENDED_MAX || grow(t))) {
		if (!t->room)
			return;
		ended_drop_first(t);
	}
	*ended_at(t, t->end) = *like;
	insert(t, t->end++);
}

struct ended_session *ended_find(const struct ended_sessions *t, const struct overflow_id *id)
{
	if (t->first == t->end)
		return NULL;
	for (uint32_t at = *list_of(t, id); at; at = t->entry[at - 1].next) {
		struct ended_session *e = &t->entry[at - 1];

		/* Those before it are of no account any more. */
		if (overflow_id_equal(&e->id, id))
			return e->gone ? NULL : e;
	}
	return NULL;
}

void ended_drop_first(struct ended_sessions *t)
{
	uint32_t place = (uint32_t)(t->first & (t->room - 1));
	uint32_t *at = list_of(t, &t->entry[place].id);

	while (*at != place + 1)
		at = &t->entry[*at - 1].next;
	*at = t->entry[place].next;
	t->first++;
}

void ended_forget(struct ended_sessions *t, uint16_t mapping)
{
	for (uint64_t i = t->first; i < t->end; i++)
		if (ended_at(t, i)->id.mapping == mapping)
			ended_at(t, i)->gone = true;
}
