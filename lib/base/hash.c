/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

#define ROOM_MIN 64U
#define ROOM_MAX (1U << 31)

/* Before main(), so that threads need no lock. */
static uint64_t secret[2];

__attribute__((constructor)) static void draw_secret(void)
{
	const void *at_start = (const void *)getauxval(AT_RANDOM);

	/* Where a sandbox denies getrandom(), the kernel has left as many random octets for the C library. */
	if (getrandom(secret, sizeof(secret), GRND_INSECURE) != (ssize_t)sizeof(secret) && at_start)
		memcpy(secret, at_start, sizeof(secret));
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void siphash_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

uint64_t siphash13(const uint64_t key[static 2], const uint64_t *words, size_t n)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU, key[0] ^ 0x6c7967656e657261U,
			  key[1] ^ 0x7465646279746573U };
	const uint64_t length = (uint64_t)n << 59; /* in octets, modulo 256, as the last octet */

	for (size_t i = 0; i <= n; i++) {
		uint64_t word = i < n ? words[i] : length;

		v[3] ^= word;
		siphash_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 3; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_words(const uint64_t *words, size_t n)
{
	return siphash13(secret, words, n);
}

uint64_t hash_octets(const void *data, size_t size)
{
	const uint8_t *octet = data;
	uint64_t words[1 + 32] = { size };

	while (size) {
		size_t n = size < sizeof(words) - sizeof(words[0]) ? size : sizeof(words) - sizeof(words[0]);

		words[(n + 7) / 8] = 0;
		memcpy(words + 1, octet, n);
		words[0] = hash_words(words, 1 + (n + 7) / 8);
		octet += n;
		size -= n;
	}
	return words[0];
}

static uint32_t home(const struct hash_index *x, uint32_t mark)
{
	return (uint32_t)((uint64_t)mark * x->room >> 32);
}

/* Needs a free place. */
static void put(struct hash_index *x, struct hash_place p)
{
	uint32_t at = home(x, p.mark);

	while (x->place[at].mark)
		at = (at + 1) & (x->room - 1);
	x->place[at] = p;
	x->n++;
}

/* Places are almost in the order of their marks: both tables are walked from one end to the other. */
static int grow(struct hash_index *x)
{
	struct hash_index grown = { .room = x->room ? 2 * x->room : ROOM_MIN };

	grown.place = x->room < ROOM_MAX ? calloc(grown.room, sizeof(*grown.place)) : NULL;
	if (!grown.place)
		return -ENOMEM;
	for (uint32_t i = 0; i < x->room; i++)
		if (x->place[i].mark)
			put(&grown, x->place[i]);
	free(x->place);
	*x = grown;
	return 0;
}

int hash_index_add(struct hash_index *x, uint64_t hash, uint32_t number)
{
	/* At most half of it is full, as long as there is memory. */
	if (x->n + 1 > x->room / 2 && grow(x) && x->n + 1 >= x->room)
		return -ENOMEM;
	put(x, (struct hash_place){ hash_mark(hash), number });
	return 0;
}

void hash_index_del(struct hash_index *x, uint64_t hash, uint32_t number)
{
	uint32_t step = 0, found, hole, at, past;

	do {
		if (!hash_index_next(x, hash, &step, &found))
			return;
	} while (found != number);
	hole = at = (home(x, hash_mark(hash)) + step - 1) & (x->room - 1);
	/* Entries behind it that are past their home move up, as lookups stop at a free place. */
	while (x->place[at = (at + 1) & (x->room - 1)].mark) {
		past = (at - home(x, x->place[at].mark)) & (x->room - 1);
		if (past < ((at - hole) & (x->room - 1)))
			continue;
		x->place[hole] = x->place[at];
		hole = at;
	}
	x->place[hole] = (struct hash_place){ 0 };
	x->n--;
}

bool hash_index_walk(const struct hash_index *x, uint32_t *at, uint32_t *ret)
{
	while (*at < x->room) {
		const struct hash_place *p = &x->place[(*at)++];

		if (!p->mark)
			continue;
		*ret = p->number;
		return true;
	}
	return false;
}

void hash_index_clear(struct hash_index *x)
{
	if (x->n)
		memset(x->place, 0, x->room * sizeof(*x->place));
	x->n = 0;
}

void hash_index_free(struct hash_index *x)
{
	free(x->place);
	*x = (struct hash_index){ 0 };
}

int hash_set_add(struct hash_index *x, uint64_t hash)
{
	return hash_set_has(x, hash) ? 0 : hash_index_add(x, hash, (uint32_t)hash);
}

/* Makes room for the entry numbered `end`. */
static bool extend(const struct hash_type *type, struct hash_table *t)
{
	uint32_t i = t->end + (1U << HASH_FIRST_SHIFT), chunk = 31U - (uint32_t)__builtin_clz(i) - HASH_FIRST_SHIFT;

	if (chunk >= HASH_CHUNKS)
		return false;
	/* At its first entry, i is the size of a chunk. */
	if (!t->chunk[chunk])
		t->chunk[chunk] = calloc(i, type->size);
	return t->chunk[chunk];
}

void *hash_add(const struct hash_type *type, struct hash_table *t, const void *like)
{
	uint32_t number = t->free ? t->free - 1 : t->end;
	struct hash_entry *entry;

	if ((type->max && t->n >= type->max) || (!t->free && !extend(type, t)) ||
	    hash_index_add(&t->index, type->hash(like), number))
		return NULL;
	entry = hash_at(type, t, number);
	if (t->free)
		t->free = entry->number & ~HASH_FREE;
	else
		t->end++;
	memcpy(entry, like, type->size);
	entry->number = number;
	t->n++;
	return entry;
}

void hash_del(const struct hash_type *type, struct hash_table *t, void *entry)
{
	struct hash_entry *e = entry;
	uint32_t number = e->number;

	hash_index_del(&t->index, type->hash(entry), number);
	e->number = HASH_FREE | t->free;
	t->free = number + 1;
	t->n--;
}

void *hash_walk(const struct hash_type *type, const struct hash_table *t, uint32_t *at)
{
	while (*at < t->end) {
		void *entry = hash_get(type, t, (*at)++);

		if (entry)
			return entry;
	}
	return NULL;
}

void hash_clear(struct hash_table *t)
{
	hash_index_clear(&t->index);
	t->n = t->end = t->free = 0;
}

void hash_free(struct hash_table *t)
{
	for (size_t i = 0; i < HASH_CHUNKS; i++)
		free(t->chunk[i]);
	hash_index_free(&t->index);
	*t = (struct hash_table){ 0 };
}

size_t hash_memory(const struct hash_type *type, const struct hash_table *t)
{
	size_t entries = 0;

	for (size_t i = 0; i < HASH_CHUNKS && t->chunk[i]; i++)
		entries += (size_t)1 << (HASH_FIRST_SHIFT + i);
	return entries * type->size + hash_index_memory(&t->index);
}

static void *at_link(const struct hash_multimap *m, uint32_t link)
{
	return link ? hash_at(m->type, m->table, link - 1) : NULL;
}

static struct hash_links *links_of(const struct hash_multimap *m, const void *entry)
{
	return (struct hash_links *)((char *)entry + m->links);
}

static uint32_t number_of(const void *entry)
{
	return ((const struct hash_entry *)entry)->number;
}

void *hash_multimap_next(const struct hash_multimap *m, uint64_t key, const void *before)
{
	uint32_t number;

	if (before)
		return at_link(m, links_of(m, before)->next);
	for (uint32_t step = 0; hash_index_next(&m->first, HASH_OF(key), &step, &number);) {
		void *entry = hash_at(m->type, m->table, number);

		if (m->key(entry) == key)
			return entry;
	}
	return NULL;
}

int hash_multimap_add(struct hash_multimap *m, void *entry)
{
	const uint64_t key = m->key(entry);
	void *second = key ? hash_multimap_next(m, key, NULL) : NULL;

	/* Reuses the room of the removed one. */
	if (second)
		hash_index_del(&m->first, HASH_OF(key), number_of(second));
	if (key && hash_index_add(&m->first, HASH_OF(key), number_of(entry)))
		return -ENOMEM;
	*links_of(m, entry) = (struct hash_links){ .next = second ? number_of(second) + 1 : 0 };
	if (second)
		links_of(m, second)->before = number_of(entry) + 1;
	return 0;
}

void hash_multimap_del(struct hash_multimap *m, const void *entry)
{
	const struct hash_links l = *links_of(m, entry);
	const uint64_t key = m->key(entry);

	if (!key)
		return;
	if (l.next)
		links_of(m, at_link(m, l.next))->before = l.before;
	if (l.before)
		links_of(m, at_link(m, l.before))->next = l.next;
	else
		hash_index_del(&m->first, HASH_OF(key), number_of(entry));
	if (!l.before && l.next)
		hash_index_add(&m->first, HASH_OF(key), l.next - 1);
}
