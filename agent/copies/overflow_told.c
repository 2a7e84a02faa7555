/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/overflow_told.h"

uint64_t overflow_id_hash(const struct overflow_id *id)
{
	return HASH_OF(id->key, (uint64_t)id->subscriber << 32 | id->proto, (uint64_t)id->mapping << 16 | id->out_port);
}

bool overflow_id_equal(const struct overflow_id *a, const struct overflow_id *b)
{
	return a->key == b->key && a->subscriber == b->subscriber && a->mapping == b->mapping &&
	       a->out_port == b->out_port && a->proto == b->proto;
}

static uint64_t hash(const void *entry)
{
	const struct overflow_told *t = entry;

	return overflow_id_hash(&t->id);
}

static bool same(const void *a, const void *b)
{
	const struct overflow_told *x = a, *y = b;

	return overflow_id_equal(&x->id, &y->id);
}

const struct hash_type overflow_tolds = {
	.size = sizeof(struct overflow_told),
	.max = 1U << 24, /* sessions that an overflow may hold */
	.hash = hash,
	.same = same,
};

struct overflow_told *overflow_tolds_find(const struct hash_table *t, const struct overflow_id *id)
{
	const struct overflow_told like = { .id = *id };

	return hash_find(&overflow_tolds, t, &like);
}

struct overflow_told *overflow_tolds_add(struct hash_table *t, const struct overflow_id *id)
{
	const struct overflow_told like = { .id = *id };

	return hash_add(&overflow_tolds, t, &like);
}

uint32_t overflow_tolds_del_mapping(struct hash_table *t, uint16_t mapping)
{
	uint32_t told = 0, at = 0;

	for (struct overflow_told *e; (e = hash_walk(&overflow_tolds, t, &at));) {
		if (e->id.mapping != mapping)
			continue;
		told += e->state != 0;
		hash_del(&overflow_tolds, t, e);
	}
	return told;
}
