/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/moved_slots.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_MIN 1024U

void moved_free(struct moved_slots *t)
{
	free(t->entry);
	free(t->head);
	*t = (struct moved_slots){ 0 };
}

/* All of one subscriber are in one list. */
static uint32_t list_of(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber)
{
	uint64_t hash = ((uint64_t)mapping << 32 | subscriber) * 0x9e3779b97f4a7c15ULL;

	return (uint32_t)(hash >> 32) & (t->room - 1);
}

static bool is_of(const struct moved *e, uint16_t mapping, uint32_t subscriber)
{
	return e->mapping == mapping && e->subscriber == subscriber;
}

int moved_ours(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs)
{
	if (!t->n)
		return -1;
	for (uint32_t at = t->head[list_of(t, mapping, subscriber)]; at; at = t->entry[at - 1].next) {
		const struct moved *e = &t->entry[at - 1];

		if (is_of(e, mapping, subscriber) && e->peer == peer && e->theirs == theirs)
			return e->ours;
	}
	return -1;
}

int moved_theirs(const struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours)
{
	if (!t->n)
		return -1;
	for (uint32_t at = t->head[list_of(t, mapping, subscriber)]; at; at = t->entry[at - 1].next) {
		const struct moved *e = &t->entry[at - 1];

		if (is_of(e, mapping, subscriber) && e->ours == ours)
			return e->theirs;
	}
	return -1;
}

static void insert(struct moved_slots *t, uint32_t number)
{
	uint32_t *head = &t->head[list_of(t, t->entry[number].mapping, t->entry[number].subscriber)];

	t->entry[number].next = *head;
	*head = number + 1;
}

static int grow(struct moved_slots *t)
{
	uint32_t room = t->room ? 2 * t->room : ROOM_MIN;
	struct moved *entry;
	uint32_t *head;

	if (room > MOVED_MAX)
		return -ENOSPC;
	head = calloc(room, sizeof(*head));
	entry = head ? realloc(t->entry, room * sizeof(*entry)) : NULL;
	if (!entry) {
		free(head);
		return -ENOMEM;
	}
	free(t->head);
	t->head = head;
	t->entry = entry;
	for (uint32_t i = room; i-- > t->room;) {
		entry[i] = (struct moved){ .next = t->free };
		t->free = i + 1;
	}

	uint32_t before = t->room;

	t->room = room;
	for (uint32_t i = 0; i < before; i++)
		insert(t, i);
	return 0;
}

/* Takes out the first of a list that has one of these slots. False: none has. */
static bool take_out(struct moved_slots *t, const struct moved *like, bool by_theirs)
{
	uint32_t *at = &t->head[list_of(t, like->mapping, like->subscriber)];

	for (; *at; at = &t->entry[*at - 1].next) {
		struct moved *e = &t->entry[*at - 1];
		uint32_t number = *at - 1;

		if (!is_of(e, like->mapping, like->subscriber) ||
		    !(e->ours == like->ours || (by_theirs && e->peer == like->peer && e->theirs == like->theirs)))
			continue;
		*at = e->next;
		*e = (struct moved){ .next = t->free };
		t->free = number + 1;
		t->n--;
		return true;
	}
	return false;
}

int moved_add(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, unsigned peer, uint16_t theirs,
	      uint16_t ours)
{
	struct moved e = { .subscriber = subscriber,
			   .mapping = mapping,
			   .peer = (uint8_t)peer,
			   .used = 1,
			   .theirs = theirs,
			   .ours = ours };
	uint32_t number;

	while (t->n && take_out(t, &e, true))
		;
	if (!t->free) {
		int r = grow(t);

		if (r)
			return r;
	}
	number = t->free - 1;
	t->free = t->entry[number].next;
	t->entry[number] = e;
	insert(t, number);
	t->n++;
	return 0;
}

void moved_del(struct moved_slots *t, uint16_t mapping, uint32_t subscriber, uint16_t ours)
{
	const struct moved like = { .subscriber = subscriber, .mapping = mapping, .ours = ours };

	if (t->n)
		take_out(t, &like, false);
}

void moved_del_mapping(struct moved_slots *t, uint16_t mapping)
{
	for (uint32_t i = 0; i < t->room && t->n; i++) {
		const struct moved e = t->entry[i];

		if (e.used && e.mapping == mapping)
			take_out(t, &e, false);
	}
}
