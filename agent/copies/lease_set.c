/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/lease_set.h"

#include <stdlib.h>
#include <string.h>

#include "copies/mapping_digest.h"

#define NEWS_MIN 64U

static uint64_t hash(const void *entry)
{
	const struct known_lease *k = entry;

	return HASH_OF((uint64_t)k->out.addr << 24 | (uint64_t)k->out.port << 8 | k->proto);
}

static bool same(const void *a, const void *b)
{
	const struct known_lease *x = a, *y = b;

	return x->proto == y->proto && endpoint_equal(x->out, y->out);
}

const struct hash_type known_leases = { sizeof(struct known_lease), MAX_LEASES + LEASES_ENDED_MAX, hash, same };

void lease_set_free(struct lease_set *s)
{
	hash_free(&s->table);
	free(s->news);
	*s = (struct lease_set){ 0 };
}

struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	const struct known_lease like = { .proto = proto, .out = out };

	return hash_find(&known_leases, &s->table, &like);
}

struct known_lease *lease_set_add(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	const struct known_lease like = { .proto = proto, .out = out };
	struct known_lease *k = lease_set_find(s, proto, out);

	return k ? k : hash_add(&known_leases, &s->table, &like);
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
		uint32_t room = s->room_news ? 2 * s->room_news : NEWS_MIN;
		uint32_t *news = realloc(s->news, room * sizeof(*news));

		if (!news)
			return false;
		s->news = news;
		s->room_news = room;
	}
	s->news[s->n_news++] = k->entry.number;
	k->news = true;
	return true;
}

struct known_lease *lease_set_excess(struct lease_set *s)
{
	if (s->n_ended < LEASES_ENDED_MAX)
		return NULL;
	for (;;) {
		struct known_lease *k = hash_get(&known_leases, &s->table, s->hand++ % s->table.end);

		if (k && k->ended)
			return k;
	}
}

void lease_set_del(struct lease_set *s, struct known_lease *k)
{
	s->n_ended -= k->ended;
	k->news = false;
	hash_del(&known_leases, &s->table, k);
}
