/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/waiting_copies.h"

#include <stdlib.h>

void waiting_free(struct waiting_copies *w)
{
	free(w->entry);
	free(w->head);
	*w = (struct waiting_copies){ 0 };
}

static bool known_by_the_same(const struct waiting_copy *a, const struct waiting_copy *b)
{
	if (a->peer != b->peer || a->mapping != b->mapping || a->subscriber != b->subscriber || a->beyond != b->beyond)
		return false;
	return a->beyond ? a->key == b->key && a->proto == b->proto : a->slot == b->slot;
}

static bool same_session(const struct waiting_copy *a, const struct waiting_copy *b)
{
	return a->key == b->key && a->proto == b->proto && a->out_port == b->out_port;
}

/* All of one subscriber are in one list. */
static uint32_t *list_of(const struct waiting_copies *w, const struct waiting_copy *like)
{
	uint64_t hash = ((uint64_t)like->mapping << 32 | like->subscriber) * 0x9e3779b97f4a7c15ULL;

	return &w->head[(uint32_t)(hash >> 32) & (WAITING_MAX - 1)];
}

/* The link that leads to the one known by the same, or to the end of the list. */
static uint32_t *find(const struct waiting_copies *w, const struct waiting_copy *like)
{
	uint32_t *at = list_of(w, like);

	while (*at && !known_by_the_same(&w->entry[*at - 1], like))
		at = &w->entry[*at - 1].next;
	return at;
}

static bool make(struct waiting_copies *w)
{
	w->entry = calloc(WAITING_MAX, sizeof(*w->entry));
	w->head = calloc(WAITING_MAX, sizeof(*w->head));
	if (!w->entry || !w->head) {
		waiting_free(w);
		return false;
	}
	for (uint32_t i = WAITING_MAX; i-- > 0;) {
		w->entry[i].next = w->free;
		w->free = i + 1;
	}
	return true;
}

void waiting_add(struct waiting_copies *w, const struct waiting_copy *like)
{
	struct waiting_copy *e;
	uint32_t *at, next;

	if (!w->entry && !make(w))
		return;
	at = find(w, like);
	if (!*at) {
		if (!w->free)
			return;
		*at = w->free;
		w->free = w->entry[*at - 1].next;
		w->entry[*at - 1] = (struct waiting_copy){ 0 };
		w->n++;
	}
	e = &w->entry[*at - 1];
	next = e->next;
	if (e->peer && same_session(e, like)) {
		e->state = like->state;
		e->turn = like->turn;
		return;
	}
	*e = *like;
	e->tries = 0;
	e->next = next;
}

static void take_out(struct waiting_copies *w, uint32_t *at)
{
	uint32_t number = *at;

	*at = w->entry[number - 1].next;
	w->entry[number - 1] = (struct waiting_copy){ .next = w->free };
	w->free = number;
	w->n--;
}

void waiting_del(struct waiting_copies *w, const struct waiting_copy *like)
{
	uint32_t *at = w->n ? find(w, like) : NULL;

	if (at && *at)
		take_out(w, at);
}

void waiting_forget(struct waiting_copies *w, bool (*which)(const struct waiting_copy *e, const void *arg),
		    const void *arg)
{
	for (uint32_t i = 0; i < WAITING_MAX && w->n; i++) {
		const struct waiting_copy *e = &w->entry[i];

		if (e->peer && which(e, arg))
			take_out(w, find(w, e));
	}
}
