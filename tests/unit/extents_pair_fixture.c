/* SPDX-License-Identifier: BSD-2-Clause */
#include "extents_pair_fixture.h"

#include <netinet/in.h>

static void give_extent(struct gateway *g)
{
	/* It has that one, and no further one. */
	g->d.pool->next = GATEWAY_EXTENTS;
	g->d.pool->used = extent_buckets(EXTENT);
	mappings_subscriber(g->m, g->number, HOST)->hairpins = EXTENT << EXTENT_AT;
}

void extents_pair_make(void)
{
	pair_make();
	give_extent(&a);
	give_extent(&b);
}

uint64_t extents_key(uint16_t in_port)
{
	return slot_key(0xc6336407, 443, in_port);
}

static uint32_t offset_of(const struct gateway *g, uint16_t in_port)
{
	return mapping_first_choice(&mappings_get(g->m, g->number)->geo, in_port);
}

struct slot *extents_place(struct gateway *g, uint32_t extent, uint16_t in_port)
{
	const struct bucket_pair pair = extent_pair(extent, extents_key(in_port), IPPROTO_TCP, offset_of(g, in_port));

	return &g->d.extent[pair.first].slot[offset_of(g, in_port) % BUCKET_SLOTS];
}

/* A connection to the peer of those of beyond_fixture.h, on the port of an inside port's first choice. */
struct slot *extents_open(struct gateway *g, uint16_t in_port)
{
	struct subscriber *s = mappings_subscriber(g->m, g->number, HOST);
	struct slot *slot = extents_place(g, EXTENT, in_port);

	slot->key = extents_key(in_port);
	slot->truth =
		state_word(first_port(g, HOST, in_port), IPPROTO_TCP, SESSION_ESTABLISHED, datapath_ticks(&g->d) - 40);
	s->displaced = ~0U;
	s->sessions++;
	return slot;
}

/* A packet of the session from inside at this tick, as the datapath applies it. */
void extents_touch(struct gateway *g, uint16_t in_port, uint32_t tick)
{
	struct slot *s = extents_place(g, EXTENT, in_port);

	s->truth = word_with(word_owner(s->truth) ? word_taken(s->truth) : s->truth, word_state(s->truth), tick);
}

void extents_end(struct gateway *g, uint16_t in_port)
{
	extents_place(g, EXTENT, in_port)->truth = 0;
	mappings_subscriber(g->m, g->number, HOST)->sessions--;
}

/* Passes of both, and another try of what waits, until nothing changes any more. */
void extents_settle(void)
{
	struct gateway *const both[] = { &a, &b };

	for (unsigned round = 0; round < 3; round++) {
		exchange(&a, &b);
		for (unsigned i = 0; i < ARRAY_SIZE(both); i++) {
			struct gateway *g = both[i];
			uint32_t at = 0;

			for (struct waiting_copy *e; (e = hash_walk(&waiting_copies, &g->c->waiting, &at));)
				e->tick -= ticks_of_seconds(40, g->d.hz);
			cr_assert_eq(copying_retry(g->c, 1, &g->counts), 0);
		}
	}
}
