// SPDX-License-Identifier: BSD-2-Clause
/* Sessions of a replay beyond the slots, found by either endpoint. */
#include "planner/replay_private.h"

static uint64_t beyond_hash(const void *entry)
{
	const struct beyond *b = entry;

	return HASH_OF(b->key, b->proto);
}

static bool beyond_same(const void *a, const void *b)
{
	const struct beyond *x = a, *y = b;

	return x->key == y->key && x->proto == y->proto;
}

static const struct hash_type type = { .size = sizeof(struct beyond), .hash = beyond_hash, .same = beyond_same };

static uint64_t port_hash(uint64_t key, uint8_t proto, uint32_t offset)
{
	return HASH_OF(key >> 16, (uint64_t)proto << 32 | offset);
}

struct beyond *beyond_find(struct replay *r, uint64_t key, uint8_t proto)
{
	struct beyond like = { .key = key, .proto = proto };

	return hash_find(&type, &r->beyond, &like);
}

int beyond_add(struct replay *r, uint64_t key, uint8_t proto, uint64_t word)
{
	struct beyond like = { .key = key, .proto = proto, .word = word }, *b = hash_add(&type, &r->beyond, &like);

	if (!b)
		return -ENOMEM;
	if (!hash_index_add(&r->beyond_ports, port_hash(key, proto, word_out_port(word)), b->entry.number))
		return 0;
	hash_del(&type, &r->beyond, b);
	return -ENOMEM;
}

void beyond_del(struct replay *r, struct beyond *b)
{
	hash_index_del(&r->beyond_ports, port_hash(b->key, b->proto, word_out_port(b->word)), b->entry.number);
	hash_del(&type, &r->beyond, b);
	r->sessions--;
}

bool beyond_port_held(struct replay *r, uint64_t key, uint8_t proto, uint32_t offset, uint32_t now, bool take_reset)
{
	uint64_t hash = port_hash(key, proto, offset);
	uint32_t number;

	if (!r->beyond.n)
		return false;
	for (uint32_t step = 0; hash_index_next(&r->beyond_ports, hash, &step, &number);) {
		struct beyond *b = hash_get(&type, &r->beyond, number);

		if (!b || (b->key ^ key) >> 16 || b->proto != proto || word_out_port(b->word) != offset)
			continue;
		if (!word_expired(b->word, now, r->timeout_ticks) &&
		    !(take_reset && word_state(b->word) & SESSION_RESET))
			return true;
		beyond_del(r, b);
		return false;
	}
	return false;
}

void beyond_sweep(struct replay *r, uint32_t now)
{
	struct beyond *b;

	for (uint32_t at = 0; (b = hash_walk(&type, &r->beyond, &at));)
		if (word_expired(b->word, now, r->timeout_ticks))
			beyond_del(r, b);
}

struct beyond *beyond_reset(struct replay *r)
{
	struct beyond *b, *oldest = NULL;

	for (uint32_t at = 0; (b = hash_walk(&type, &r->beyond, &at));)
		if (word_state(b->word) & SESSION_RESET &&
		    (!oldest || (int32_t)(word_seen(b->word) - word_seen(oldest->word)) < 0))
			oldest = b;
	return oldest;
}

void beyond_clear(struct replay *r)
{
	hash_clear(&r->beyond);
	hash_index_clear(&r->beyond_ports);
}
