/* SPDX-License-Identifier: BSD-2-Clause */
#include "replication/overflow_told.h"

#include <stdlib.h>

#include "base/hash.h"

#define ROOM_MIN 1024U
/* Sessions that an overflow may hold. */
#define ROOM_MAX (1U << 24)

void overflow_tolds_free(struct overflow_tolds *t)
{
	free(t->entry);
	free(t->head);
	*t = (struct overflow_tolds){ 0 };
}

uint64_t overflow_id_hash(const struct overflow_id *id)
{
	return HASH_OF(id->key, (uint64_t)id->subscriber << 32 | id->proto, (uint64_t)id->mapping << 16 | id->out_port);
}

static uint32_t *list_of(const struct overflow_tolds *t, const struct overflow_id *id)
{
	return &t->head[overflow_id_hash(id) & (t->room - 1)];
}

bool overflow_id_equal(const struct overflow_id *a, const struct overflow_id *b)
{
	return a->key == b->key && a->subscriber == b->subscriber && a->mapping == b->mapping &&
	       a->out_port == b->out_port && a->proto == b->proto;
}

struct overflow_told *overflow_tolds_find(const struct overflow_tolds *t, const struct overflow_id *id)
{
	if (!t->n)
		return NULL;
	for (uint32_t at = *list_of(t, id); at; at = t->entry[at - 1].next)
		if (overflow_id_equal(&t->entry[at - 1].id, id))
			return &t->entry[at - 1];
	return NULL;
}

static void insert(struct overflow_tolds *t, uint32_t number)
{
	uint32_t *head = list_of(t, &t->entry[number].id);

	t->entry[number].next = *head;
	*head = number + 1;
}

static int grow(struct overflow_tolds *t)
{
	uint32_t room = t->room ? 2 * t->room : ROOM_MIN, before = t->room;
	struct overflow_told *entry;
	uint32_t *head;

	if (room > ROOM_MAX)
		return -1;
	head = calloc(room, sizeof(*head));
	entry = head ? realloc(t->entry, room * sizeof(*entry)) : NULL;
	if (!entry) {
		free(head);
		return -1;
	}
	free(t->head);
	t->head = head;
	t->entry = entry;
	t->room = room;
	for (uint32_t i = room; i-- > before;) {
		entry[i] = (struct overflow_told){ .next = t->free };
		t->free = i + 1;
	}
	/* It grows when all are used. */
	for (uint32_t i = 0; i < before; i++)
		insert(t, i);
	return 0;
}

struct overflow_told *overflow_tolds_add(struct overflow_tolds *t, const struct overflow_id *id)
{
	uint32_t number;

	if (!t->free && grow(t))
		return NULL;
	number = t->free - 1;
	t->free = t->entry[number].next;
	t->entry[number] = (struct overflow_told){ .id = *id, .used = true };
	insert(t, number);
	t->n++;
	return &t->entry[number];
}

void overflow_tolds_del(struct overflow_tolds *t, struct overflow_told *told)
{
	uint32_t number = (uint32_t)(told - t->entry), *at = list_of(t, &told->id);

	while (*at != number + 1)
		at = &t->entry[*at - 1].next;
	*at = told->next;
	*told = (struct overflow_told){ .next = t->free };
	t->free = number + 1;
	t->n--;
}

uint32_t overflow_tolds_del_mapping(struct overflow_tolds *t, uint16_t mapping)
{
	uint32_t told = 0;

	for (uint32_t i = 0; i < t->room && t->n; i++) {
		if (!t->entry[i].used || t->entry[i].id.mapping != mapping)
			continue;
		told += t->entry[i].state != 0;
		overflow_tolds_del(t, &t->entry[i]);
	}
	return told;
}
