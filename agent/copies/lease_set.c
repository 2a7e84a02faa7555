/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/lease_set.h"

#include <stdlib.h>
#include <string.h>

#include "copies/mapping_digest.h"

#define ROOM_MIN 64U
#define ROOM_MAX (MAX_LEASES + LEASES_ENDED_MAX)

void lease_set_free(struct lease_set *s)
{
	free(s->entry);
	free(s->head);
	free(s->news);
	*s = (struct lease_set){ 0 };
}

static uint32_t *list_of(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	uint64_t hash = ((uint64_t)out.addr << 24 | (uint64_t)out.port << 8 | proto) * 0x9e3779b97f4a7c15ULL;

	return &s->head[(hash >> 32) & (s->room - 1)];
}

struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	for (uint32_t at = s->room ? *list_of(s, proto, out) : 0; at; at = s->entry[at - 1].next)
		if (s->entry[at - 1].proto == proto && endpoint_equal(s->entry[at - 1].out, out))
			return &s->entry[at - 1];
	return NULL;
}

static void link_entry(struct lease_set *s, struct known_lease *k)
{
	uint32_t *head = list_of(s, k->proto, k->out);

	k->next = *head;
	*head = (uint32_t)(k - s->entry) + 1;
}

/* Doubles the room, and the lists. */
static bool grow(struct lease_set *s)
{
	uint32_t room = s->room ? 2 * s->room : ROOM_MIN;
	uint32_t *head = s->room >= ROOM_MAX ? NULL : calloc(room, sizeof(*head));
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
	struct known_lease *k = lease_set_find(s, proto, out);

	if (k)
		return k;
	if (!s->free && !grow(s))
		return NULL;
	k = &s->entry[s->free - 1];
	s->free = k->next;
	*k = (struct known_lease){ .used = true, .proto = proto, .out = out };
	link_entry(s, k);
	s->n++;
	return k;
}

static uint32_t content_of(const struct portmap *m)
{
	uint64_t digest = 0, words[2] = { 0 };

	memcpy(words, m->nonce, sizeof(m->nonce));
	digest = digest_add(digest_add(digest, words[0]), words[1]);
	for (uint32_t i = 0; i < m->filters.n; i++) {
		const struct portmap_filter *f = &m->filters.filter[i];

		digest = digest_add(digest, (uint64_t)f->addr << 32 | (uint64_t)f->port << 8 | f->plen);
	}
	return (uint32_t)digest;
}

bool lease_is(const struct known_lease *k, const struct portmap *m)
{
	return m->origin == PORTMAP_PCP && endpoint_equal(k->in, m->in) && k->until_s == m->expires_s &&
	       k->content == content_of(m);
}

static void note_due(struct lease_set *s, uint64_t until_s)
{
	if (until_s < s->due_s)
		s->due_s = until_s;
}

void lease_set_live(struct lease_set *s, struct known_lease *k, const struct portmap *m, uint64_t stamp)
{
	s->n_ended -= k->ended;
	k->ended = false;
	k->in = m->in;
	k->until_s = m->expires_s;
	k->content = content_of(m);
	k->stamp = stamp;
	note_due(s, k->until_s);
}

void lease_set_ended(struct lease_set *s, struct known_lease *k, uint64_t stamp)
{
	s->n_ended += !k->ended;
	k->ended = true;
	k->stamp = stamp;
	note_due(s, k->until_s);
}

bool lease_set_tell(struct lease_set *s, struct known_lease *k)
{
	if (k->news)
		return true;
	if (s->n_news == s->room_news) {
		uint32_t room = s->room_news ? 2 * s->room_news : ROOM_MIN;
		uint32_t *news = realloc(s->news, room * sizeof(*news));

		if (!news)
			return false;
		s->news = news;
		s->room_news = room;
	}
	s->news[s->n_news++] = (uint32_t)(k - s->entry);
	k->news = true;
	return true;
}

struct known_lease *lease_set_excess(struct lease_set *s)
{
	if (s->n_ended < LEASES_ENDED_MAX)
		return NULL;
	while (!s->entry[s->hand % s->room].used || !s->entry[s->hand % s->room].ended)
		s->hand++;
	return &s->entry[s->hand++ % s->room];
}

void lease_set_del(struct lease_set *s, struct known_lease *k)
{
	uint32_t number = (uint32_t)(k - s->entry), *at = list_of(s, k->proto, k->out);

	while (*at != number + 1)
		at = &s->entry[*at - 1].next;
	*at = k->next;
	s->n_ended -= k->ended;
	*k = (struct known_lease){ .next = s->free };
	s->free = number + 1;
	s->n--;
}
