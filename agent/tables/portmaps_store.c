/* SPDX-License-Identifier: BSD-2-Clause */
/* What the agent knows of all portmaps: hash tables by outside endpoint, by inside endpoint and by inside address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tables/portmaps_private.h"

#define FIRST_ROOM 64U

static uint32_t hash_of(enum portmap_index index, uint8_t proto, struct endpoint e)
{
	uint64_t key = index == INDEX_BY_ADDR ? (uint64_t)e.addr << 32
					      : (uint64_t)e.addr << 32 | (uint64_t)e.port << 8 | proto;

	return (uint32_t)(key * 0x9e3779b97f4a7c15ULL >> 32);
}

static uint32_t *head_of(const struct portmaps *p, enum portmap_index index, uint8_t proto, struct endpoint e)
{
	return &p->heads[index][hash_of(index, proto, e) & (p->room - 1)];
}

static uint32_t *head_of_place(const struct portmaps *p, enum portmap_index index, const struct portmap *m)
{
	return head_of(p, index, m->proto, index == INDEX_BY_OUT ? m->out : m->in);
}

static void link_place(struct portmaps *p, uint32_t number)
{
	struct portmap_place *place = &p->place[number - 1];

	for (unsigned i = 0; i < N_PORTMAP_INDEXES; i++) {
		uint32_t *head = head_of_place(p, i, &place->portmap);

		place->links[i] = (struct portmap_links){ .next = *head };
		if (*head)
			p->place[*head - 1].links[i].before = number;
		*head = number;
	}
}

static void unlink_place(struct portmaps *p, uint32_t number)
{
	struct portmap_place *place = &p->place[number - 1];

	for (unsigned i = 0; i < N_PORTMAP_INDEXES; i++) {
		struct portmap_links *links = &place->links[i];

		if (links->next)
			p->place[links->next - 1].links[i].before = links->before;
		if (links->before)
			p->place[links->before - 1].links[i].next = links->next;
		else
			*head_of_place(p, i, &place->portmap) = links->next;
	}
}

/* Doubles the room. */
static int grow(struct portmaps *p)
{
	uint32_t room = p->room ? 2 * p->room : FIRST_ROOM;
	struct portmap_place *place;

	for (unsigned i = 0; i < N_PORTMAP_INDEXES; i++) {
		uint32_t *heads = calloc(room, sizeof(*heads));

		if (!heads)
			return -ENOMEM;
		/* With the old room the chains are found in the lower part, until all are linked anew below. */
		if (p->room)
			memcpy(heads, p->heads[i], p->room * sizeof(*heads));
		free(p->heads[i]);
		p->heads[i] = heads;
	}
	place = reallocarray(p->place, room, sizeof(*place));
	if (!place)
		return -ENOMEM;
	memset(place + p->room, 0, (room - p->room) * sizeof(*place));
	p->place = place;
	for (uint32_t i = room; i > p->room; i--) {
		place[i - 1].links[0].next = p->free;
		p->free = i;
	}
	for (unsigned i = 0; i < N_PORTMAP_INDEXES; i++)
		memset(p->heads[i], 0, room * sizeof(*p->heads[i]));
	p->room = room;
	for (uint32_t i = 1; i <= room; i++)
		if (place[i - 1].portmap.proto)
			link_place(p, i);
	return 0;
}

int portmap_store(struct portmaps *p, const struct portmap *m)
{
	uint32_t number;
	int r = p->free ? 0 : grow(p);

	if (r)
		return r;
	number = p->free;
	p->free = p->place[number - 1].links[0].next;
	p->place[number - 1].portmap = *m;
	link_place(p, number);
	p->n++;
	p->n_of[m->origin]++;
	return 0;
}

struct portmap *portmap_find(const struct portmaps *p, enum portmap_index index, uint8_t proto, struct endpoint e)
{
	for (uint32_t i = p->room ? *head_of(p, index, proto, e) : 0; i; i = p->place[i - 1].links[index].next) {
		struct portmap *m = &p->place[i - 1].portmap;
		struct endpoint own = index == INDEX_BY_OUT ? m->out : m->in;

		if (m->proto == proto && own.addr == e.addr && own.port == e.port)
			return m;
	}
	return NULL;
}

void portmap_forget(struct portmaps *p, uint8_t proto, struct endpoint out)
{
	struct portmap *m = portmap_find(p, INDEX_BY_OUT, proto, out);
	uint32_t number;

	if (!m)
		return;
	number = (uint32_t)((struct portmap_place *)m - p->place) + 1;
	unlink_place(p, number);
	p->n--;
	p->n_of[m->origin]--;
	p->place[number - 1] = (struct portmap_place){ .links = { { .next = p->free } } };
	p->free = number;
}

void portmap_store_free(struct portmaps *p)
{
	for (unsigned i = 0; i < N_PORTMAP_INDEXES; i++)
		free(p->heads[i]);
	free(p->place);
}

const struct portmap *portmaps_by_out(const struct portmaps *p, uint8_t proto, struct endpoint out)
{
	return portmap_find(p, INDEX_BY_OUT, proto, out);
}

const struct portmap *portmaps_by_in(const struct portmaps *p, uint8_t proto, struct endpoint in)
{
	return portmap_find(p, INDEX_BY_IN, proto, in);
}

const struct portmap *portmaps_of(const struct portmaps *p, uint32_t in_addr, const struct portmap *before)
{
	uint32_t i = before    ? ((const struct portmap_place *)before)->links[INDEX_BY_ADDR].next
		     : p->room ? *head_of(p, INDEX_BY_ADDR, 0, (struct endpoint){ .addr = in_addr })
			       : 0;

	for (; i; i = p->place[i - 1].links[INDEX_BY_ADDR].next)
		if (p->place[i - 1].portmap.in.addr == in_addr)
			return &p->place[i - 1].portmap;
	return NULL;
}

const struct portmap *portmaps_next(const struct portmaps *p, const struct portmap *before)
{
	uint32_t i = before ? (uint32_t)((const struct portmap_place *)before - p->place) + 1 : 0;

	for (; i < p->room; i++)
		if (p->place[i].portmap.proto)
			return &p->place[i].portmap;
	return NULL;
}

const struct portmap *portmaps_walk(const struct portmaps *p, uint32_t *place, uint32_t end)
{
	for (; *place < p->room && *place < end; ++*place)
		if (p->place[*place].portmap.proto)
			return &p->place[(*place)++].portmap;
	if (*place >= p->room)
		*place = 0;
	return NULL;
}

size_t portmaps_lease_room(const struct portmaps *p)
{
	return p->lease_room;
}

size_t portmaps_count(const struct portmaps *p, enum portmap_origin origin)
{
	return p->n_of[origin];
}
