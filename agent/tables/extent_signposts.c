/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables/extent_signposts.h"

#include <stddef.h>

#include <detnat/growth.h>
#include <detnat/slots.h>

#include "tables/mappings.h"

/* The i-th of the two buckets of a session, or of a signpost, by its offset. */
static const struct bucket *bucket_of(const struct extent_slots *e, uint64_t key, uint8_t proto, uint32_t offset,
				      unsigned i)
{
	uint32_t shift = (uint32_t)__builtin_ctz(e->n / BUCKET_SLOTS);
	struct bucket_pair pair = extent_buckets_at(key, proto, offset, shift);

	return (const struct bucket *)&e->slot[(size_t)(i ? pair.second : pair.first) * BUCKET_SLOTS];
}

int signpost_port(const struct extent_slots *e, uint64_t key, uint64_t word)
{
	const uint8_t proto = word_proto(word);

	for (unsigned i = 0; e->n && i < 2 * BUCKET_SLOTS; i++) {
		const struct bucket *b = bucket_of(e, key, proto, signpost_offset(key), i / BUCKET_SLOTS);
		const struct slot *s = &b->slot[i % BUCKET_SLOTS];
		uint64_t post = LOAD(s->truth);

		if (LOAD(s->key) == key && word_is_signpost_of(post, proto) && mapping_same_host(e->map, post, word))
			return word_out_port(post);
	}
	return -1;
}

/* Whether the session to which a signpost leads is there, expired or not. */
static bool leads(const struct extent_slots *e, uint64_t key, uint64_t word)
{
	const struct geometry *g = &e->map->geo;
	uint8_t proto = signpost_proto(word);
	uint32_t offset =
		growth_far_offset(g, e->map->growth.block, mapping_port_lo(g, e->subscriber), word_out_port(word));

	for (unsigned i = 0; i < 2; i++) {
		const struct bucket *b = bucket_of(e, key, proto, offset, i);
		int at = bucket_find_out(b, key, word_out_port(word), proto);

		if (at >= 0 && LOAD(b->slot[at].key) == key && mapping_same_host(e->map, LOAD(b->slot[at].truth), word))
			return true;
	}
	return false;
}

/* Takes a signpost down if it leads nowhere. Another one by now has another tick. Returns whether the slot is free. */
static bool take_down(const struct extent_slots *e, struct slot *s, __u64 word, uint32_t now)
{
	uint64_t key = __atomic_load_n(&s->key, __ATOMIC_ACQUIRE);

	return word_age_of(word, now, mapping_host_bits(e->map)) >= (int32_t)SIGNPOST_TICKS && !leads(e, key, word) &&
	       __atomic_compare_exchange_n(&s->truth, &word, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

bool signposts_sweep(const struct extent_slots *e, uint32_t now)
{
	bool free = true;

	for (uint32_t i = 0; i < e->n; i++) {
		uint64_t word = __atomic_load_n(&e->slot[i].truth, __ATOMIC_ACQUIRE);

		free &= word_is_free(word) || (word_is_signpost(word) && take_down(e, &e->slot[i], word, now));
	}
	return free;
}
