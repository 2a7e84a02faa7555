/* SPDX-License-Identifier: BSD-2-Clause */
#include "replication/lease_set.h"

#include <stdlib.h>

#define ROOM_MIN 64U

void lease_set_free(struct lease_set *s)
{
	free(s->entry);
	*s = (struct lease_set){ 0 };
}

static uint32_t *list_of(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	uint64_t hash = ((uint64_t)out.addr << 24 | (uint64_t)out.port << 8 | proto) * 0x9e3779b97f4a7c15ULL;

	return &s->head[(hash >> 32) % LEASE_LISTS];
}

static bool is(const struct known_lease *k, uint8_t proto, struct endpoint out)
{
	return k->lease.proto == proto && k->lease.out.addr == out.addr && k->lease.out.port == out.port;
}

struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	for (uint32_t at = *list_of(s, proto, out); at; at = s->entry[at - 1].next)
		if (is(&s->entry[at - 1], proto, out))
			return &s->entry[at - 1];
	return NULL;
}

static bool grow(struct lease_set *s)
{
	uint32_t room = s->room ? 2 * s->room : ROOM_MIN;
	struct known_lease *entry = room > MAX_PORTMAPS_ALL ? NULL : realloc(s->entry, room * sizeof(*entry));

	if (!entry)
		return false;
	s->entry = entry;
	for (uint32_t i = room; i-- > s->room;) {
		entry[i] = (struct known_lease){ .next = s->free };
		s->free = i + 1;
	}
	s->room = room;
	return true;
}

struct known_lease *lease_set_add(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	uint32_t *head = list_of(s, proto, out), number;
	struct known_lease *k;

	if (!s->free && !grow(s))
		return NULL;
	number = s->free - 1;
	k = &s->entry[number];
	s->free = k->next;
	*k = (struct known_lease){ .used = true, .next = *head, .lease = { .proto = proto, .out = out } };
	*head = number + 1;
	s->n++;
	return k;
}

struct known_lease *lease_set_next(struct lease_set *s, const struct known_lease *before)
{
	for (uint32_t i = before ? (uint32_t)(before - s->entry) + 1 : 0; i < s->room; i++)
		if (s->entry[i].used)
			return &s->entry[i];
	return NULL;
}

void lease_set_del(struct lease_set *s, struct known_lease *k)
{
	uint32_t number = (uint32_t)(k - s->entry), *at = list_of(s, k->lease.proto, k->lease.out);

	while (*at != number + 1)
		at = &s->entry[*at - 1].next;
	*at = k->next;
	*k = (struct known_lease){ .next = s->free };
	s->free = number + 1;
	s->n--;
}
