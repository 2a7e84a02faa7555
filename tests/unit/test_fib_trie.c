/* SPDX-License-Identifier: BSD-2-Clause */
/* The trie of routes against a list that is searched from end to end, and what readers see meanwhile. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "fib/store.h"
#include "fib/trie.h"

#define STEPS	 20000
#define PREFIXES 400U
#define CHUNKS	 4U

static struct fib *fib;
static struct fib_node *chunks[MAX_FIB_CHUNKS];
static struct fib_trie trie;
static unsigned seed;
static uint32_t met[4096];
static size_t n_met;

static struct fib_node *add_chunk(uint32_t number, void *arg)
{
	chunks[number] = calloc(FIB_CHUNK, sizeof(struct fib_node));
	return chunks[number];
}

static void met_neighbour(uint32_t addr, void *arg)
{
	if (n_met < ARRAY_SIZE(met))
		met[n_met++] = addr;
}

static void start(uint32_t max_chunks)
{
	const struct fib_trie_calls calls = { .add_chunk = add_chunk, .met_neighbour = met_neighbour };

	fib = calloc(1, sizeof(*fib));
	fib_trie_init(&trie, fib, max_chunks, &calls);
	seed = 1;
}

static void set_up(void)
{
	start(CHUNKS);
}

static void tear_down(void)
{
	fib_trie_done(&trie);
	for (size_t i = 0; i < MAX_FIB_CHUNKS; i++)
		free(chunks[i]);
	free(fib);
}

TestSuite(fib_trie, .init = set_up, .fini = tear_down);

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)rand_r(&seed) % n;
}

static void settle(void)
{
	fib_trie_settle_begin(&trie);
	fib_trie_settle_end(&trie);
}

/* Octets from a few values, so that prefixes overlap and fill nodes. */
static uint32_t random_address(void)
{
	static const uint8_t octets[] = { 0, 1, 2, 127, 128, 255 };
	uint32_t addr = 0;

	for (int i = 0; i < 4; i++)
		addr = addr << 8 | (random_below(8) ? octets[random_below(ARRAY_SIZE(octets))] : random_below(256));
	return addr;
}

struct model_prefix {
	uint32_t base;
	uint32_t hop;
	uint8_t plen;
	uint8_t rank;
	bool present;
};

static struct model_prefix model[PREFIXES];

/* The entry of an address, and that of a range without the prefixes of a rank and above. */
static uint32_t model_entry(uint32_t addr, unsigned below)
{
	unsigned rank = 0;
	uint32_t hop = 0;

	for (size_t i = 0; i < PREFIXES; i++) {
		const struct model_prefix *m = &model[i];

		if (m->present && m->rank < below && m->rank >= rank && !((addr ^ m->base) & fib_mask(m->plen))) {
			rank = m->rank;
			hop = m->hop;
		}
	}
	return rank << 24 | hop;
}

static void draw_prefix(struct model_prefix *m)
{
	bool again = true;

	while (again) {
		m->plen = (uint8_t)(1 + random_below(32));
		m->rank = m->plen;
		if (m->plen == 32)
			m->rank = random_below(2) ? 32 : random_below(2) ? FIB_RANK_NEIGHBOUR : FIB_RANK_LOCAL;
		m->base = random_address() & fib_mask(m->plen);
		again = false;
		for (const struct model_prefix *o = model; o < model + PREFIXES; o++)
			again |= o != m && o->present && o->base == m->base && o->rank == m->rank;
	}
}

static void step(void)
{
	struct model_prefix *m = &model[random_below(PREFIXES)];

	if (m->present && random_below(2)) {
		uint32_t cover = (m->present = false, model_entry(m->base, m->rank));

		fib_trie_clear(&trie, m->base, m->plen, m->rank, FIB_RANK(cover), FIB_HOP(cover));
		return;
	}
	if (!m->present)
		draw_prefix(m);
	m->present = true;
	m->hop = 4 + random_below(3);
	fib_trie_set(&trie, m->base, m->plen, m->rank, m->hop);
}

static void check(uint32_t addr, int steps)
{
	cr_assert_eq(fib_trie_entry(&trie, addr), model_entry(addr, 64), "step %d, %08x: %08x instead of %08x", steps,
		     addr, fib_trie_entry(&trie, addr), model_entry(addr, 64));
}

Test(fib_trie, agrees_with_a_list_of_prefixes_after_each_change)
{
	for (int i = 0; i < STEPS; i++) {
		step();
		if (i % 64 == 0)
			settle();
		for (int k = 0; k < 4; k++) {
			const struct model_prefix *m = &model[random_below(PREFIXES)];
			uint32_t last = m->base | ~fib_mask(m->plen);

			check(m->base, i);
			check(m->base - 1, i);
			check(last, i);
			check(last + 1, i);
			check(m->base | (random_address() & ~fib_mask(m->plen)), i);
		}
	}
	cr_expect_eq(trie.full, 0);
	/* All gone: no node is left, and all can be had again. */
	for (size_t i = 0; i < PREFIXES; i++) {
		struct model_prefix *m = &model[i];

		if (!m->present)
			continue;
		m->present = false;

		uint32_t cover = model_entry(m->base, m->rank);

		fib_trie_clear(&trie, m->base, m->plen, m->rank, FIB_RANK(cover), FIB_HOP(cover));
	}
	settle();
	cr_expect_eq(fib_trie_nodes(&trie), 0, "%zu nodes", fib_trie_nodes(&trie));
	cr_expect_eq(fib_trie_room(&trie), CHUNKS * FIB_CHUNK);
	for (uint32_t i = 0; i < 256; i++)
		cr_assert_eq(fib->first.entry[i], 0);
}

Test(fib_trie, tells_of_neighbours_that_a_prefix_passes_over)
{
	fib_trie_set(&trie, 0x0a000005, 32, FIB_RANK_NEIGHBOUR, 7);
	fib_trie_set(&trie, 0x0a000105, 32, FIB_RANK_NEIGHBOUR, 8);
	n_met = 0;
	fib_trie_set(&trie, 0x0a000000, 24, 24, 9);
	cr_assert_eq(n_met, 1);
	cr_expect_eq(met[0], 0x0a000005);
	fib_trie_set(&trie, 0x0a000000, 16, 16, 9);
	cr_expect_eq(n_met, 3);
	cr_expect_eq(FIB_HOP(fib_trie_entry(&trie, 0x0a000005)), 7);
	n_met = 0;
	fib_trie_set(&trie, 0x0a000105, 32, 32, 9);
	cr_expect_eq(n_met, 1);
	n_met = 0;
	fib_trie_clear(&trie, 0x0a000105, 32, FIB_RANK_NEIGHBOUR, 32, 9);
	fib_trie_set(&trie, 0x0a000100, 24, 24, 9);
	cr_expect_eq(n_met, 0);
}

Test(fib_trie, special_ranges_hide_routes_and_own_addresses_hide_both)
{
	fib_trie_set(&trie, 0xa9fe0000, 16, FIB_RANK_SPECIAL, FIB_HOP_KERNEL);
	fib_trie_set(&trie, 0xa9fe0100, 24, 24, 9);
	cr_expect_eq(FIB_HOP(fib_trie_entry(&trie, 0xa9fe0101)), FIB_HOP_KERNEL);
	fib_trie_set(&trie, 0xa9fe0101, 32, FIB_RANK_LOCAL, FIB_HOP_LOCAL);
	cr_expect_eq(FIB_HOP(fib_trie_entry(&trie, 0xa9fe0101)), FIB_HOP_LOCAL);
	fib_trie_clear(&trie, 0xa9fe0101, 32, FIB_RANK_LOCAL, FIB_RANK_SPECIAL, FIB_HOP_KERNEL);
	settle();
	cr_expect_eq(fib_trie_entry(&trie, 0xa9fe0101), FIB_RANK_SPECIAL << 24 | FIB_HOP_KERNEL);
	cr_expect_eq(fib_trie_nodes(&trie), 0);
}

Test(fib_trie, ranges_without_a_node_are_the_kernels, .init = NULL)
{
	const uint32_t room = FIB_CHUNK;
	size_t wrong = 0;

	start(1);
	fib_trie_set(&trie, 0x0a000000, 8, 8, 5);
	/* Two nodes each: for the third octet and for the fourth. */
	for (uint32_t i = 0; i < room; i++)
		fib_trie_set(&trie, 0x0a000000 + (i << 12), 30, 30, 6);
	cr_expect_eq(fib_trie_nodes(&trie), room);
	cr_expect_gt(trie.full, 0);
	for (uint32_t i = 0; i < room; i++) {
		uint32_t inside = FIB_HOP(fib_trie_entry(&trie, 0x0a000000 + (i << 12)));
		uint32_t beside = FIB_HOP(fib_trie_entry(&trie, 0x0a000004 + (i << 12)));

		wrong += !(inside == 6 && beside == 5) && !(inside == FIB_HOP_KERNEL && beside == FIB_HOP_KERNEL);
	}
	cr_expect_eq(wrong, 0, "%zu ranges lead neither to their next hops nor to the kernel", wrong);
	/* Nothing changes a range that is the kernel's, as the routes in it are not known there. */
	fib_trie_set(&trie, 0x0a000000, 8, 8, 7);
	cr_expect_eq(FIB_HOP(fib_trie_entry(&trie, 0x0a000004 + ((room - 1) << 12))), FIB_HOP_KERNEL);
	fib_trie_empty(&trie);
	cr_expect_eq(fib_trie_nodes(&trie), 0);
	fib_trie_set(&trie, 0x0a000000 + ((room - 1) << 12), 30, 30, 6);
	cr_expect_eq(FIB_HOP(fib_trie_entry(&trie, 0x0a000000 + ((room - 1) << 12))), 6);
}

Test(fib_trie, nodes_are_used_again_only_once_settled)
{
	uint32_t node;

	fib_trie_set(&trie, 0x0a000000, 24, 24, 5);
	node = fib->second[10].entry[0];
	cr_assert(node & FIB_NODE);
	fib_trie_clear(&trie, 0x0a000000, 24, 24, 0, 0);
	cr_expect_eq(fib->first.entry[10], 0);
	fib_trie_settle_begin(&trie);
	fib_trie_set(&trie, 0x0b000000, 24, 24, 5);
	cr_expect_neq(fib->second[11].entry[0], node);
	fib_trie_settle_end(&trie);
	fib_trie_set(&trie, 0x0c000000, 24, 24, 5);
	cr_expect_eq(fib->second[12].entry[0], node);
}

static atomic_bool ended;
static atomic_uint lookups; /* odd while one is under way */
static atomic_uint bad;

static void *read_on(void *arg)
{
	static const uint32_t addresses[] = { 0x0a000001, 0x0a000101, 0x0a010001, 0x0a0001ff, 0x0b000001 };

	for (size_t i = 0; !ended; i++) {
		uint32_t entry;

		lookups++;
		entry = fib_trie_entry(&trie, addresses[i % ARRAY_SIZE(addresses)]);
		lookups++;
		if (FIB_HOP(entry) != 4 && FIB_HOP(entry) != 5 + i % ARRAY_SIZE(addresses))
			bad++;
	}
	return NULL;
}

/* As the kernel's grace period: look-ups that were under way have ended. */
static void wait_for_reader(void)
{
	unsigned at = lookups;

	while (at & 1 && lookups == at)
		;
}

Test(fib_trie, readers_see_the_old_or_the_new_next_hop)
{
	/* Prefixes that make and remove nodes of all levels, each with a next hop of its own. */
	static const struct {
		uint32_t base;
		unsigned plen;
	} prefixes[] = {
		{ 0x0a000001, 32 }, { 0x0a000100, 25 }, { 0x0a010000, 16 }, { 0x0a0001fe, 31 }, { 0x0b000000, 9 }
	};
	pthread_t thread;

	fib_trie_set(&trie, 0, 1, 1, 4);
	cr_assert_eq(pthread_create(&thread, NULL, read_on, NULL), 0);
	for (int i = 0; i < 200000; i++) {
		uint32_t k = random_below(ARRAY_SIZE(prefixes));

		if (random_below(2))
			fib_trie_set(&trie, prefixes[k].base, prefixes[k].plen, prefixes[k].plen, 5 + k);
		else
			fib_trie_clear(&trie, prefixes[k].base, prefixes[k].plen, prefixes[k].plen, 1, 4);
		if (i % 8 == 0) {
			fib_trie_settle_begin(&trie);
			wait_for_reader();
			fib_trie_settle_end(&trie);
		}
	}
	ended = true;
	pthread_join(thread, NULL);
	cr_expect_eq(bad, 0, "%u look-ups saw neither", bad);
	cr_expect_gt(lookups, 1000);
}
