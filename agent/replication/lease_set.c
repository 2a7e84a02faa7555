/* SPDX-License-Identifier: BSD-2-Clause */
#include "replication/lease_set.h"

#include <stdlib.h>

#define ROOM_MIN 64U

void lease_set_free(struct lease_set *s)
{
	free(s->entry);
	free(s->head);
	*s = (struct lease_set){ 0 };
}

static uint32_t *list_of(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	uint64_t hash = ((uint64_t)out.addr << 24 | (uint64_t)out.port << 8 | proto) * 0x9e3779b97f4a7c15ULL;

	return &s->head[(hash >> 32) & (s->room - 1)];
}

static bool is(const struct known_lease *k, uint8_t proto, struct endpoint out)
{
	return k->lease.proto == proto && k->lease.out.addr == out.addr && k->lease.out.port == out.port;
}

struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	for (uint32_t at = s->room ? *list_of(s, proto, out) : 0; at; at = s->entry[at - 1].next)
		if (is(&s->entry[at - 1], proto, out))
			return &s->entry[at - 1];
	return NULL;
}

static void link_entry(struct lease_set *s, struct known_lease *k)
{
	uint32_t *head = list_of(s, k->lease.proto, k->lease.out);

	k->next = *head;
	*head = (uint32_t)(k - s->entry) + 1;
}

static bool grow(struct lease_set *s)
{
	uint32_t room = s->room ? 2 * s->room : ROOM_MIN;
	uint32_t *head = room > MAX_LEASES ? NULL : calloc(room, sizeof(*head));
	struct known_lease *entry = head ? realloc(s->entry, room * sizeof(*entry)) : NULL;

	if (!entry) {
		free(head);
		return false;
	}
	free(s->head);
	s->head = head;
	s->entry = entry;
	for (uint32_t i = room; i-- > s->room;) {
		entry[i] = (struct known_lease){ .next = s->free };
		s->free = i + 1;
	}
	s->room = room;
	for (uint32_t i = 0; i < room; i++)
		if (entry[i].used)
			link_entry(s, &entry[i]);
	return true;
}

struct known_lease *lease_set_add(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	struct known_lease *k;

	if (!s->free && !grow(s))
		return NULL;
	k = &s->entry[s->free - 1];
	s->free = k->next;
	*k = (struct known_lease){ .used = true, .lease = { .proto = proto, .out = out } };
	link_entry(s, k);
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
