/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/beyond_notes.h"

static uint64_t hash(const void *entry)
{
	const struct beyond_note *n = entry;

	return tuple_hash(&n->id);
}

static bool same(const void *a, const void *b)
{
	const struct beyond_note *x = a, *y = b;

	return tuple_equal(&x->id, &y->id);
}

const struct hash_type beyond_notes = { sizeof(struct beyond_note), 1U << 24, hash, same };

struct beyond_note *beyond_note_find(const struct hash_table *t, const struct session_tuple *id)
{
	return hash_find(&beyond_notes, t, &(struct beyond_note){ .id = *id });
}

struct beyond_note *beyond_note_add(struct hash_table *t, const struct session_tuple *id)
{
	return hash_add(&beyond_notes, t, &(struct beyond_note){ .id = *id });
}

uint32_t beyond_notes_del_mapping(struct hash_table *t, uint16_t mapping)
{
	uint32_t told = 0, at = 0;

	for (struct beyond_note *n; (n = hash_walk(&beyond_notes, t, &at));) {
		if (n->id.mapping != mapping)
			continue;
		told += n->state != 0;
		hash_del(&beyond_notes, t, n);
	}
	return told;
}
