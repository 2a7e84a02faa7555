/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables by hash, against an array that is searched from one end to the other. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define NUMBERS 3000U

struct thing {
	struct hash_entry entry;
	uint32_t key;
	uint64_t value;
};

static uint64_t thing_hash(const void *entry)
{
	const struct thing *t = entry;

	return HASH_OF(t->key);
}

/* Few hashes, which are not in the order of the keys: most entries are away from home, and some wrap around. */
static uint64_t few_hashes(const void *entry)
{
	const struct thing *t = entry;

	return 0 - (uint64_t)(t->key * 2654435761U % 5) * 0x1111111100000000U;
}

static bool thing_same(const void *a, const void *b)
{
	const struct thing *x = a, *y = b;

	return x->key == y->key;
}

static const struct hash_type things = { sizeof(struct thing), 0, thing_hash, thing_same };
static const struct hash_type clustered = { sizeof(struct thing), 0, few_hashes, thing_same };
static const struct hash_type bounded = { sizeof(struct thing), 100, thing_hash, thing_same };

static struct thing *find(const struct hash_type *type, const struct hash_table *t, uint32_t key)
{
	return hash_find(type, t, &(struct thing){ .key = key });
}

static struct thing *add(const struct hash_type *type, struct hash_table *t, uint32_t key, uint64_t value)
{
	return hash_add(type, t, &(struct thing){ .key = key, .value = value });
}

static void assert_like(const struct hash_type *type, const struct hash_table *t, const uint64_t *model, uint32_t keys)
{
	uint32_t n = 0, at = 0, seen = 0;

	for (uint32_t key = 0; key < keys; key++) {
		const struct thing *e = find(type, t, key);

		cr_assert_eq(e != NULL, model[key] != 0, "key %u", key);
		cr_assert(!e || e->value == model[key], "key %u", key);
		n += e != NULL;
	}
	cr_assert_eq(t->n, n);
	for (const struct thing *e; (e = hash_walk(type, t, &at)); seen++) {
		cr_assert_eq(e->value, model[e->key]);
		cr_assert_eq(e->entry.number, at - 1);
		cr_assert_eq(hash_get(type, t, e->entry.number), e);
	}
	cr_assert_eq(seen, n);
}

static void add_and_remove_at_random(const struct hash_type *type, uint32_t keys, unsigned steps)
{
	uint64_t *model = calloc(keys, sizeof(*model));
	struct thing **where = calloc(keys, sizeof(*where));
	struct hash_table t = { 0 };

	for (unsigned i = 1; i <= steps; i++) {
		uint32_t key = (uint32_t)random() % keys;

		if (!model[key]) {
			where[key] = add(type, &t, key, i);
			cr_assert(where[key]);
			model[key] = i;
		} else {
			cr_assert_eq(find(type, &t, key), where[key], "an entry has moved");
			hash_del(type, &t, where[key]);
			model[key] = 0;
		}
		if (i % (steps / 8) == 0)
			assert_like(type, &t, model, keys);
	}
	hash_free(&t);
	assert_like(type, &t, (const uint64_t[1]){ 0 }, 1);
	free(where);
	free(model);
}

Test(hash, a_table_holds_what_was_added_and_not_removed)
{
	srandom(1);
	add_and_remove_at_random(&things, 40, 20000);
	add_and_remove_at_random(&things, 20000, 100000);
}

Test(hash, keys_with_the_same_hash_stay_apart)
{
	srandom(2);
	add_and_remove_at_random(&clustered, 60, 20000);
	add_and_remove_at_random(&clustered, 700, 5000);
}

Test(hash, an_entry_keeps_its_place_and_number_while_others_come_and_go)
{
	struct thing *first, *later[NUMBERS];
	struct hash_table t = { 0 };

	first = add(&things, &t, NUMBERS, 7);
	for (uint32_t i = 0; i < NUMBERS; i++)
		later[i] = add(&things, &t, i, i);
	for (uint32_t i = 0; i < NUMBERS; i += 2)
		hash_del(&things, &t, later[i]);
	cr_assert_eq(first->value, 7);
	cr_assert_eq(first->entry.number, 0);
	for (uint32_t i = 1; i < NUMBERS; i += 2)
		cr_assert(later[i]->key == i && later[i]->entry.number == i + 1);
	hash_free(&t);
}

Test(hash, a_removed_entry_makes_room_for_the_next)
{
	struct hash_table t = { 0 };
	size_t memory;

	for (uint32_t i = 0; i < 100; i++)
		cr_assert(add(&bounded, &t, i, 0));
	memory = hash_memory(&bounded, &t);
	cr_assert_null(add(&bounded, &t, 100, 0), "the limit is exceeded");
	for (uint32_t i = 0; i < NUMBERS; i++) {
		hash_del(&bounded, &t, find(&bounded, &t, i));
		cr_assert(add(&bounded, &t, 100 + i, 0));
	}
	cr_assert_eq(hash_memory(&bounded, &t), memory);
	hash_free(&t);
	cr_assert_eq(hash_memory(&bounded, &t), 0);
}

Test(hash, a_number_has_no_entry_once_that_is_removed)
{
	struct hash_table t = { 0 };

	cr_assert_null(hash_get(&things, &t, 0));
	add(&things, &t, 5, 0);
	hash_del(&things, &t, add(&things, &t, 6, 0));
	cr_assert(hash_get(&things, &t, 0));
	cr_assert_null(hash_get(&things, &t, 1));
	cr_assert_null(hash_get(&things, &t, 2));
	hash_free(&t);
}

Test(hash, a_walk_goes_on_where_it_was_though_entries_are_removed)
{
	struct hash_table t = { 0 };
	uint32_t at = 0, seen = 0;

	for (uint32_t i = 0; i < NUMBERS; i++)
		add(&things, &t, i, 0);
	for (struct thing *e; (e = hash_walk(&things, &t, &at)); seen++) {
		struct thing *behind = find(&things, &t, e->key + 1);

		cr_assert_eq(e->key, 2 * seen);
		hash_del(&things, &t, e);
		if (behind)
			hash_del(&things, &t, behind);
	}
	cr_assert_eq(seen, NUMBERS / 2);
	cr_assert_eq(t.n, 0);
	hash_free(&t);
}

Test(hash, a_cleared_table_is_empty_and_takes_entries_without_more_memory)
{
	struct hash_table t = { 0 };
	size_t memory = 0;

	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < NUMBERS; i++) {
			cr_assert_null(find(&things, &t, i));
			add(&things, &t, i, round);
		}
		cr_assert(!memory || hash_memory(&things, &t) == memory);
		memory = hash_memory(&things, &t);
		hash_clear(&t);
		cr_assert_null(hash_walk(&things, &t, &(uint32_t){ 0 }));
	}
	hash_free(&t);
}

Test(hash, an_index_gives_all_numbers_of_a_hash)
{
	struct hash_index x = { 0 };
	uint32_t step = 0, number, sum = 0;

	for (uint32_t i = 0; i < 100; i++)
		for (uint32_t k = 0; k < 3; k++)
			cr_assert_eq(hash_index_add(&x, HASH_OF(i), i * 3 + k), 0);
	hash_index_del(&x, HASH_OF(41), 41 * 3 + 1);
	hash_index_del(&x, HASH_OF(42), 5);
	while (hash_index_next(&x, HASH_OF(41), &step, &number))
		sum += number;
	cr_assert_eq(sum, 41 * 6 + 2);
	cr_assert_eq(x.n, 299);
	for (sum = step = 0; hash_index_walk(&x, &step, &number);)
		sum += number;
	cr_assert_eq(sum, 300 * 299 / 2 - (41 * 3 + 1));
	hash_index_clear(&x);
	cr_assert_eq(x.n, 0);
	cr_assert(!hash_index_next(&x, HASH_OF(41), &(uint32_t){ 0 }, &number));
	hash_index_free(&x);
}

Test(hash, a_set_has_what_was_added_once_or_more)
{
	struct hash_index x = { 0 };

	for (uint32_t i = 0; i < NUMBERS; i++)
		cr_assert_eq(hash_set_add(&x, HASH_OF(i % (NUMBERS / 2))), 0);
	cr_assert_eq(x.n, NUMBERS / 2);
	for (uint32_t i = 0; i < NUMBERS; i++)
		cr_assert_eq(hash_set_has(&x, HASH_OF(i)), i < NUMBERS / 2);
	cr_assert(!hash_set_has(&x, HASH_OF(7) ^ 1));
	hash_index_free(&x);
	cr_assert(!hash_set_has(&x, HASH_OF(7)));
}

/* As CPython 3.11 has them with PYTHONHASHSEED=0, which is the key 0: hash(struct.pack('<2Q', ...)). */
Test(hash, siphash_gives_the_values_of_another_implementation)
{
	static const uint64_t zero[2] = { 0 };
	static const struct {
		uint64_t words[3];
		size_t n;
		uint64_t hash;
	} rows[] = {
		{ { 1 }, 1, 0x1e9f734161d62dd9 },
		{ { 0x0123456789abcdef, 0xfedcba9876543210 }, 2, 0x26a9fe81d3b46069 },
		{ { 0, 0, 0 }, 3, 0xf9003207cf9e4d4c },
	};
	uint64_t long_key[33];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_assert_eq(siphash13(zero, rows[i].words, rows[i].n), rows[i].hash, "row %zu", i);
	for (uint64_t i = 0; i < 33; i++)
		long_key[i] = i;
	cr_assert_eq(siphash13(zero, long_key, 33), 0x353b90009e4f1c37);
}

Test(hash, a_hash_depends_on_every_word_and_on_the_secret)
{
	static const uint64_t zero[2] = { 0 };

	cr_assert_eq(HASH_OF(1, 2), HASH_OF(1, 2));
	cr_assert_neq(HASH_OF(1, 2), HASH_OF(2, 1));
	cr_assert_neq(HASH_OF(1, 2), HASH_OF(1, 2, 0));
	cr_assert_neq(HASH_OF(1), siphash13(zero, (const uint64_t[]){ 1 }, 1));
}

struct member {
	struct hash_entry entry;
	struct hash_links links;
	uint32_t key, group;
};

static uint64_t member_hash(const void *entry)
{
	return HASH_OF(((const struct member *)entry)->key);
}

static bool member_same(const void *a, const void *b)
{
	return ((const struct member *)a)->key == ((const struct member *)b)->key;
}

static uint64_t group_key(const void *entry)
{
	return ((const struct member *)entry)->group;
}

static const struct hash_type members = { sizeof(struct member), 0, member_hash, member_same };

#define GROUPS 7U

/* Each group's list has its members once each, the last one added first, unless that has gone. Group 0 has none. */
static void assert_groups(const struct hash_multimap *groups, const bool *present, const uint32_t *newest)
{
	for (uint32_t group = 1; group < GROUPS; group++) {
		const struct member *m = hash_multimap_next(groups, group, NULL);
		uint32_t n = 0, wanted = 0;

		cr_assert(!present[newest[group]] || newest[group] % GROUPS != group || m->key == newest[group]);
		for (; m; m = hash_multimap_next(groups, group, m), n++)
			cr_assert(m->group == group && m->key % GROUPS == group && present[m->key]);
		for (uint32_t key = group; key < NUMBERS; key += GROUPS)
			wanted += present[key];
		cr_assert_eq(n, wanted, "group %u", group);
	}
	cr_assert_null(hash_multimap_next(groups, 0, NULL));
}

Test(hash, a_multimap_has_the_entries_of_a_key_while_they_come_and_go)
{
	struct hash_table t = { 0 };
	struct hash_multimap groups = { &members, &t, offsetof(struct member, links), group_key, { 0 } };
	bool present[NUMBERS] = { 0 };
	uint32_t newest[GROUPS] = { 0 };

	srand(3);
	for (unsigned i = 0; i < 10 * NUMBERS; i++) {
		const struct member like = { .key = (uint32_t)rand() % NUMBERS, .group = UINT32_MAX };
		struct member *m = hash_find(&members, &t, &like);

		cr_assert_eq(m != NULL, present[like.key]);
		if (m) {
			hash_multimap_del(&groups, m);
			hash_del(&members, &t, m);
		} else {
			m = hash_add(&members, &t, &like);
			m->group = like.key % GROUPS;
			cr_assert_eq(hash_multimap_add(&groups, m), 0);
			newest[m->group] = like.key;
		}
		present[like.key] = !present[like.key];
		if (i % 101 == 0)
			assert_groups(&groups, present, newest);
	}
	for (uint32_t key = 0, at = 0; key < NUMBERS && t.n; key++) {
		struct member *m = hash_walk(&members, &t, &at);

		hash_multimap_del(&groups, m);
		hash_del(&members, &t, m);
	}
	cr_assert_eq(groups.first.n, 0, "no list is left");
	hash_index_free(&groups.first);
	hash_free(&t);
}
