/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hash tables. A table keeps entries of one size; an entry has a number and an address, and keeps both until it is
 * removed. Where entries are kept otherwise, an index finds their numbers. Hosts may choose keys: hashes are keyed with
 * a secret that each process draws anew, so no host can choose keys that collide.
 */
#ifndef DETNAT_HASH_H
#define DETNAT_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SipHash-1-3 of 64-bit words. */
uint64_t siphash13(const uint64_t key[static 2], const uint64_t *words, size_t n);

/* The same with the secret of this process, for tables in memory; not a digest, as it differs between processes. */
uint64_t hash_words(const uint64_t *words, size_t n);

/* The same of octets. */
uint64_t hash_octets(const void *data, size_t size);

/* The hash of a key given as words: HASH_OF(addr, port). */
#define HASH_OF(...) \
	hash_words((const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/* A place of an index; free if `mark` is 0. */
struct hash_place {
	uint32_t mark; /* top bits of the hash */
	uint32_t number;
};

/*
 * An index: numbers by hash, in 16 to 32 octets each, with linear probing. Different keys may have the same hash, and
 * equal keys many numbers, but each addition and removal then takes as many steps. Zero-initialised.
 */
struct hash_index {
	struct hash_place *place;
	uint32_t room; /* a power of two, or 0; at least one place is free */
	uint32_t n;
};

/* 0 or -ENOMEM. */
int hash_index_add(struct hash_index *x, uint64_t hash, uint32_t number);

/* Removes a number that was added with this hash, if it is there. */
void hash_index_del(struct hash_index *x, uint64_t hash, uint32_t number);

/* Removes all; the memory stays for others. */
void hash_index_clear(struct hash_index *x);
void hash_index_free(struct hash_index *x);

static inline uint32_t hash_mark(uint64_t hash)
{
	return (uint32_t)(hash >> 32) | 1;
}

/*
 * The next number with this hash; false: no more. *step begins as 0; nothing may be added or removed until the end. The
 * caller compares the keys.
 */
static inline bool hash_index_next(const struct hash_index *x, uint64_t hash, uint32_t *step, uint32_t *ret)
{
	uint32_t mark = hash_mark(hash), home = (uint32_t)((uint64_t)mark * x->room >> 32);

	while (x->room) {
		const struct hash_place *p = &x->place[(home + (*step)++) & (x->room - 1)];

		if (!p->mark)
			return false;
		if (p->mark == mark) {
			*ret = p->number;
			return true;
		}
	}
	return false;
}

/* All numbers in turn, from *at on, which begins as 0; false: no more. */
bool hash_index_walk(const struct hash_index *x, uint32_t *at, uint32_t *ret);

/* A set of hashes, without further data: two keys count as one if all 64 bits agree. 0 or -ENOMEM. */
int hash_set_add(struct hash_index *x, uint64_t hash);

static inline bool hash_set_has(const struct hash_index *x, uint64_t hash)
{
	uint32_t number;

	for (uint32_t step = 0; hash_index_next(x, hash, &step, &number);)
		if (number == (uint32_t)hash)
			return true;
	return false;
}

static inline size_t hash_index_memory(const struct hash_index *x)
{
	return x->room * sizeof(*x->place);
}

/* The first member of an entry of a table. */
struct hash_entry {
	uint32_t number;
};

#define HASH_FREE 0x80000000U /* in a number: the entry is free */

/* Describes the entries of a table. The functions get whole entries, but read only the key. */
struct hash_type {
	uint32_t size; /* octets of an entry */
	uint32_t max;  /* entries that a table may have; 0: no limit */
	uint64_t (*hash)(const void *entry);
	bool (*same)(const void *a, const void *b);
};

/* Room for entries comes in chunks, each twice as large as the one before. Entries in the first: 1 << */
#define HASH_FIRST_SHIFT 6U
#define HASH_CHUNKS	 (31U - HASH_FIRST_SHIFT)

/* Zero-initialised. */
struct hash_table {
	struct hash_index index;
	void *chunk[HASH_CHUNKS];
	uint32_t n;    /* entries */
	uint32_t end;  /* all numbers in use are below */
	uint32_t free; /* a list of free entries below `end`: number plus one */
};

/* The entry with a number below `end`, free or not. */
static inline void *hash_at(const struct hash_type *type, const struct hash_table *t, uint32_t number)
{
	uint32_t i = number + (1U << HASH_FIRST_SHIFT), chunk = 31U - (uint32_t)__builtin_clz(i);

	return (char *)t->chunk[chunk - HASH_FIRST_SHIFT] + (size_t)(i - (1U << chunk)) * type->size;
}

/* The entry with a number, or NULL. */
static inline void *hash_get(const struct hash_type *type, const struct hash_table *t, uint32_t number)
{
	struct hash_entry *entry = number < t->end ? (struct hash_entry *)hash_at(type, t, number) : NULL;

	return entry && !(entry->number & HASH_FREE) ? entry : NULL;
}

/* The entry with the same key as this one, or NULL. */
static inline void *hash_find(const struct hash_type *type, const struct hash_table *t, const void *like)
{
	uint64_t hash;
	uint32_t number;

	if (!t->n)
		return NULL;
	hash = type->hash(like);
	for (uint32_t step = 0; hash_index_next(&t->index, hash, &step, &number);) {
		void *entry = hash_at(type, t, number);

		if (type->same(entry, like))
			return entry;
	}
	return NULL;
}

/* Adds a copy of an entry whose key must not exist. NULL: out of memory, or the limit is reached. */
void *hash_add(const struct hash_type *type, struct hash_table *t, const void *like);

void hash_del(const struct hash_type *type, struct hash_table *t, void *entry);

/*
 * The entries in the order of their numbers, from *at on, which begins as 0; NULL: no more. Entries may be removed
 * meanwhile; added ones may be skipped.
 */
void *hash_walk(const struct hash_type *type, const struct hash_table *t, uint32_t *at);

/* Removes all entries; the memory stays for others. */
void hash_clear(struct hash_table *t);
void hash_free(struct hash_table *t);

/* Octets in use, with those of free entries. */
size_t hash_memory(const struct hash_type *type, const struct hash_table *t);

/*
 * A multimap: entries of a table that have another key in common are in a list, whose first one an index finds by that
 * key. However many have it, each addition and removal takes the same time.
 */
struct hash_links {
	/* Numbers plus one of the neighbours; 0: none. */
	uint32_t next;
	uint32_t before;
};

struct hash_multimap {
	const struct hash_type *type;
	const struct hash_table *table;
	uint32_t links;			    /* offset of its struct hash_links in an entry */
	uint64_t (*key)(const void *entry); /* 0: it is in no list */
	struct hash_index first;
};

/* Puts an entry of the table before all others with its key. 0 or -ENOMEM. */
int hash_multimap_add(struct hash_multimap *m, void *entry);

/* Takes it out, by the key that it had when it was put there. */
void hash_multimap_del(struct hash_multimap *m, const void *entry);

/* The first one with a key, or the one behind another; NULL: no more. */
void *hash_multimap_next(const struct hash_multimap *m, uint64_t key, const void *before);

#endif
