/* SPDX-License-Identifier: BSD-2-Clause */
/* The prefix index, compiled in here with each of its stores followed by a look at what a reader then finds. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define WATCHED(name) watched_##name
#include "watched_index.h"

static struct prefix at(uint32_t base, unsigned plen)
{
	return (struct prefix){ .base = base, .plen = (uint8_t)plen };
}

static struct index_node nodes[INDEX_NODES], snapshot[INDEX_NODES];
static struct prefix_index x, copy;

struct row {
	uint32_t base;
	unsigned plen;
};

/* No two overlap; neighbours share nodes of both depths. */
static const struct row rows[] = {
	{ 0x0a000000, 8 },  { 0x0b000000, 16 }, { 0x0b010000, 17 }, { 0x0b018000, 24 }, { 0x0b018100, 25 },
	{ 0x0b018180, 32 }, { 0x0b018181, 32 }, { 0x0b018184, 30 }, { 0x0b020000, 32 }, { 0x80000000, 1 },
	{ 0x00000000, 9 },  { 0x0b030000, 18 }, { 0x0b034001, 32 },
};

static int expected(uint32_t addr, unsigned without)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (i != without && prefix_contains(rows[i].base, rows[i].plen, addr))
			return (int)i;
	return -ENOENT;
}

/* First and last address of each prefix and those beside them; the prefix `changing` may be there or not. */
static void check_all(const struct prefix_index *index, unsigned without, unsigned changing)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t last = rows[i].base | ~prefix_mask(rows[i].plen);
		uint32_t addrs[] = { rows[i].base - 1, rows[i].base, rows[i].base + (last - rows[i].base) / 2, last,
				     last + 1 };

		for (unsigned k = 0; k < ARRAY_SIZE(addrs); k++) {
			int found = watched_find(index, addrs[k]), should = expected(addrs[k], without);

			if (should >= 0 && (unsigned)should == changing && found == -ENOENT)
				continue;
			cr_assert_eq(found, should, "%08x: %d, not %d", addrs[k], found, should);
		}
	}
}

static void fill(void)
{
	memset(nodes, 0, sizeof(nodes));
	cr_assert_eq(open_anew(&x, nodes, false), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		cr_assert_eq(watched_insert(&x, 0, at(rows[i].base, rows[i].plen), i), 0);
}

Test(prefix_index, finds_the_mapping_of_every_address)
{
	fill();
	check_all(&x, UINT32_MAX, UINT32_MAX);
}

Test(prefix_index, refuses_overlaps_and_changes_nothing)
{
	static const struct row overlapping[] = {
		{ 0, 0 },	    { 0x0a010000, 16 }, { 0x0a010101, 32 }, { 0x0b000000, 15 }, { 0x0b010000, 18 },
		{ 0x0b018180, 31 }, { 0x0b018000, 17 }, { 0x0b018181, 32 }, { 0x0b018101, 32 }, { 0x0b018100, 24 },
		{ 0xffffffff, 32 }, { 0x0b034000, 24 }, { 0x0b020000, 30 },
	};

	fill();
	memcpy(snapshot, nodes, sizeof(nodes));
	for (unsigned i = 0; i < ARRAY_SIZE(overlapping); i++)
		cr_assert_eq(watched_insert(&x, 0, at(overlapping[i].base, overlapping[i].plen), 1000), -EEXIST,
			     "row %u", i);
	cr_assert_eq(memcmp(snapshot, nodes, sizeof(nodes)), 0);
}

Test(prefix_index, forgets_what_is_removed_and_nothing_else)
{
	fill();
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		watched_remove(&x, at(rows[i].base, rows[i].plen), i);
		check_all(&x, i, UINT32_MAX);
		watched_settle(&x);
		cr_assert_eq(watched_insert(&x, 0, at(rows[i].base, rows[i].plen), i), 0);
		watched_remove_number(&x, i);
		check_all(&x, i, UINT32_MAX);
		watched_settle(&x);
		cr_assert_eq(watched_insert(&x, 0, at(rows[i].base, rows[i].plen), i), 0);
	}
	check_all(&x, UINT32_MAX, UINT32_MAX);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		watched_remove(&x, at(rows[i].base, rows[i].plen), i);
	memset(snapshot, 0, sizeof(snapshot));
	cr_assert_eq(memcmp(nodes, snapshot, INDEX_ROOTS * sizeof(*nodes)), 0);
}

static unsigned changing_row, stores;

/* What a packet finds between two stores, and what an agent does that starts after a crash there. */
static void look(void)
{
	stores++;
	check_all(&x, UINT32_MAX, changing_row);
	memcpy(snapshot, nodes, sizeof(nodes));
	after_store = NULL;
	open_anew(&copy, snapshot, false);
	check_all(&copy, UINT32_MAX, changing_row);
	watched_remove_number(&copy, changing_row);
	watched_settle(&copy);
	cr_assert_eq(watched_insert(&copy, 0, at(rows[changing_row].base, rows[changing_row].plen), changing_row), 0);
	check_all(&copy, UINT32_MAX, UINT32_MAX);
	after_store = look;
}

Test(prefix_index, is_right_after_every_single_store)
{
	fill();
	for (unsigned i = 1; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].plen < 14)
			continue;
		changing_row = i;
		after_store = look;
		watched_remove(&x, at(rows[i].base, rows[i].plen), i);
		watched_settle(&x);
		cr_assert_eq(watched_insert(&x, 0, at(rows[i].base, rows[i].plen), i), 0);
		after_store = NULL;
	}
	cr_assert_gt(stores, 100);
}

Test(prefix_index, does_not_reuse_a_node_before_it_has_settled)
{
	fill();

	uint16_t second = nodes[0x0b].entry[2];

	watched_remove(&x, at(0x0b020000, 32), 8);
	cr_assert_eq(nodes[0x0b].entry[2], 0);
	for (unsigned i = 0; i < 8; i++) {
		cr_assert_eq(watched_insert(&x, 0, at(0x0c000000 + (i << 16), 24), 100 + i), 0);
		cr_assert_neq(nodes[0x0c].entry[i], second);
	}
	watched_settle(&x);
	cr_assert_eq(watched_insert(&x, 0, at(0x0d000000, 24), 200), 0);
	cr_assert_eq(nodes[0x0d].entry[0], second);
	cr_assert_eq(watched_find(&x, 0x0d010000), -ENOENT);
}

Test(prefix_index, holds_as_many_mappings_as_there_may_be)
{
	memset(nodes, 0, sizeof(nodes));
	open_anew(&x, nodes, false);
	const unsigned most = (INDEX_NODES - INDEX_ROOTS) / 2; /* prefixes that take two nodes each */

	cr_assert_geq(most, MAX_MAPPINGS);
	for (unsigned i = 0; i < most; i++)
		cr_assert_eq(watched_insert(&x, 0, at(i << 16 | 1, 32), i % MAX_MAPPINGS), 0, "%u", i);
	cr_assert_eq(watched_insert(&x, 0, at(0x80000001, 32), 1), -ENOSPC);
	cr_assert_eq(watched_insert(&x, 0, at(0x80000000, 24), 1), -ENOSPC);
	cr_assert_eq(watched_insert(&x, 0, at(0x80000000, 16), 1), 0);
	for (unsigned i = 0; i < MAX_MAPPINGS; i++)
		cr_assert_eq(watched_find(&x, i << 16 | 1), (int)i);
}

Test(prefix_index, finds_nothing_of_what_was_in_a_node_before)
{
	memset(nodes, 0, sizeof(nodes));
	/* Nodes filled by an agent that was killed before it linked them. */
	for (uint32_t node = INDEX_ROOTS; node < INDEX_NODES; node++)
		nodes[node].entry[9] = INDEX_LEAF | 5;
	open_anew(&x, nodes, false);
	cr_assert_eq(watched_insert(&x, 0, at(0x0a000001, 32), 1), 0);
	cr_assert_eq(watched_find(&x, 0x0a000009), -ENOENT);
	cr_assert_eq(watched_find(&x, 0x0a000901), -ENOENT);
}

Test(prefix_index, takes_over_damaged_nodes)
{
	fill();
	nodes[1].entry[0] = 17;			       /* a root */
	nodes[1].entry[1] = INDEX_NODES;	       /* beyond the end */
	nodes[1].entry[2] = INDEX_LEAF | MAX_MAPPINGS; /* no such mapping */
	nodes[1].entry[3] = nodes[0x0b].entry[1];      /* linked from elsewhere, later in the walk */
	nodes[1].entry[4] = INDEX_NODES - 1;	       /* linked to itself */
	nodes[INDEX_NODES - 1].entry[0] = INDEX_NODES - 1;
	nodes[1].entry[5] = INDEX_NODES - 2; /* empty */
	cr_assert_geq(open_anew(&x, nodes, false), 6);
	for (unsigned i = 0; i < 6; i++)
		if (i != 3)
			cr_assert_eq(nodes[1].entry[i], 0, "%u", i);
	for (uint32_t addr = 0; addr < 0xfff00000; addr += 0x3fff)
		cr_assert_lt(watched_find(&x, addr), (int)MAX_MAPPINGS);
}

enum { AROUND = 1, FORMER = 2, LATTER = 3 };

/* Lengths on both sides of each level's, with the prefix around. */
static const struct {
	unsigned around;
	unsigned plen;
} held_lengths[] = { { 8, 12 },	 { 8, 16 },  { 12, 17 }, { 16, 24 }, { 17, 20 }, { 16, 25 }, { 24, 28 },
		     { 20, 32 }, { 25, 32 }, { 8, 30 },	 { 31, 32 }, { 15, 16 }, { 23, 24 }, { 24, 25 } };
static const uint32_t held_base = 0x0a408080;
static unsigned held_plen, around_plen;

static int published_at(uint32_t addr)
{
	uint16_t entry = nodes[octet(addr, 0)].entry[octet(addr, 1)];

	for (unsigned n = 2; entry && !is_leaf(entry); n++)
		entry = nodes[entry].entry[octet(addr, n)];
	return entry ? (int)(entry & ~INDEX_LEAF) : 0;
}

static void look_beside(void)
{
	uint32_t base = held_base & prefix_mask(held_plen), last = last_addr(base, held_plen);

	if (base > (held_base & prefix_mask(around_plen)))
		cr_assert_eq(published_at(base - 1), AROUND, "around /%u, before /%u", around_plen, held_plen);
	if (last < last_addr(held_base & prefix_mask(around_plen), around_plen))
		cr_assert_eq(published_at(last + 1), AROUND, "around /%u, behind /%u", around_plen, held_plen);
}

static void look_at_held(void)
{
	uint32_t base = held_base & prefix_mask(held_plen);

	stores++;
	look_beside();
	cr_assert_neq(published_at(base), AROUND, "/%u in /%u", held_plen, around_plen);
	cr_assert_neq(published_at(last_addr(base, held_plen)), AROUND, "/%u in /%u", held_plen, around_plen);
}

static void check_held(int wanted)
{
	uint32_t base = held_base & prefix_mask(held_plen);

	look_beside();
	cr_assert_eq(published_at(base), wanted, "/%u in /%u", held_plen, around_plen);
	cr_assert_eq(published_at(last_addr(base, held_plen)), wanted, "/%u in /%u", held_plen, around_plen);
}

Test(prefix_index, a_held_place_is_that_of_no_prefix_until_its_next_one_is_there)
{
	for (size_t i = 0; i < ARRAY_SIZE(held_lengths); i++) {
		around_plen = held_lengths[i].around;
		held_plen = held_lengths[i].plen;

		uint32_t base = held_base & prefix_mask(held_plen), around = held_base & prefix_mask(around_plen);

		memset(nodes, 0, sizeof(nodes));
		cr_assert_eq(open_anew(&x, nodes, true), 0);
		cr_assert_eq(watched_insert(&x, 0, at(around, around_plen), AROUND), 0);
		cr_assert_eq(watched_insert(&x, 0, at(base, held_plen), FORMER), 0);
		check_held(FORMER);
		after_store = look_at_held;
		cr_assert_eq(watched_hold(&x, 0, at(base, held_plen)), 0);
		cr_assert_eq(watched_hold(&x, 0, at(base, held_plen)), 0, "twice is once");
		check_held(0);
		cr_assert_eq(watched_find(&x, base), -ENOENT);
		cr_assert_eq(watched_around(&x, 0, at(base, 32)), held_plen < 32 ? FORMER : AROUND,
			     "holds are no prefixes");
		watched_release(&x);
		check_held(FORMER);
		cr_assert_eq(watched_hold(&x, 0, at(base, held_plen)), 0);
		watched_remove(&x, at(base, held_plen), FORMER);
		check_held(0);
		cr_assert_eq(watched_insert(&x, 0, at(base, held_plen), LATTER), 0);
		check_held(LATTER);
		watched_release(&x);
		check_held(LATTER);
		cr_assert_eq(watched_hold(&x, 0, at(base, held_plen)), 0);
		watched_remove(&x, at(base, held_plen), LATTER);
		after_store = NULL;
		watched_release(&x);
		check_held(AROUND);
		cr_assert_eq(watched_hold(&x, 0, at(base, held_plen)), 0, "without a mapping");
		check_held(0);
		watched_release(&x);
		check_held(AROUND);
		watched_remove(&x, at(around, around_plen), AROUND);
		for (uint32_t root = 0; root < INDEX_ROOTS; root++)
			cr_assert_eq(uniform(&x, root), 0);
	}
	cr_assert_gt(stores, 0);
}

Test(prefix_index, there_can_be_as_many_holds_as_mappings)
{
	memset(nodes, 0, sizeof(nodes));
	open_anew(&x, nodes, true);
	for (uint32_t i = 0; i < MAX_MAPPINGS; i++)
		cr_assert_eq(watched_hold(&x, 0, at(held_base + i, 32)), 0);
	cr_assert_eq(watched_hold(&x, 0, at(held_base - 1, 32)), -ENOSPC);
	watched_release(&x);
	cr_assert_eq(watched_hold(&x, 0, at(held_base - 1, 32)), 0);
	watched_release(&x);
}

/* Ranges that are no prefixes. */

static const struct prefix outer_range = { 0x0a00fff1, PLEN_RANGE, 0x0a0201fe };
static const struct prefix inner_range = { 0x0a010003, PLEN_RANGE, 0x0a010102 };

static int number_at(uint32_t addr)
{
	if (prefix_holds(inner_range, addr))
		return LATTER;
	return prefix_holds(outer_range, addr) ? AROUND : -ENOENT;
}

static void expect_ranges(int (*number)(uint32_t addr))
{
	for (uint32_t addr = 0x0a00fe00; addr < 0x0a020300; addr++)
		cr_assert_eq(watched_find(&x, addr), number(addr), "%08x", addr);
}

static int outer_at(uint32_t addr)
{
	return prefix_holds(outer_range, addr) ? AROUND : -ENOENT;
}

Test(prefix_index, a_range_has_its_addresses_alone_and_one_within_it_takes_and_returns_its_own)
{
	open_anew(&x, nodes, true);
	cr_assert_eq(watched_insert(&x, 0, outer_range, AROUND), 0);
	expect_ranges(outer_at);
	cr_assert_eq(watched_insert(&x, 0, inner_range, LATTER), 0);
	expect_ranges(number_at);
	cr_expect_eq(watched_insert(&x, 0, inner_range, FORMER), -EEXIST);
	cr_expect_eq(watched_around(&x, 0, inner_range), AROUND);
	watched_remove(&x, inner_range, LATTER);
	expect_ranges(outer_at);
	watched_remove(&x, outer_range, AROUND);
	for (uint32_t node = INDEX_ROOTS; node < INDEX_NODES; node++)
		cr_assert_neq(x.usage[node], NODE_LINKED, "node %u is still linked", node);
}

Test(prefix_index, a_range_inserted_before_the_one_around_it_keeps_its_addresses)
{
	open_anew(&x, nodes, true);
	cr_assert_eq(watched_insert(&x, 0, inner_range, LATTER), 0);
	cr_assert_eq(watched_insert(&x, 0, outer_range, AROUND), 0);
	expect_ranges(number_at);
	cr_assert_eq(watched_hold(&x, 0, inner_range), 0);
	cr_expect_eq(watched_find(&x, inner_range.base), -ENOENT);
	watched_release(&x);
	expect_ranges(number_at);
}

Test(prefix_index, outside_ranges_that_overlap_in_part_are_refused)
{
	const struct prefix other = { 0x0a0201fe, PLEN_RANGE, 0x0a020300 };

	open_anew(&x, nodes, false);
	cr_assert_eq(watched_insert(&x, 0, outer_range, AROUND), 0);
	cr_expect_eq(watched_insert(&x, 0, other, LATTER), -EEXIST);
	cr_expect_eq(watched_find(&x, other.last), -ENOENT);
}

Test(prefix_index, a_repaint_restores_ranges_within_each_other)
{
	open_anew(&x, nodes, true);
	cr_assert_eq(watched_insert(&x, 0, outer_range, AROUND), 0);
	cr_assert_eq(watched_insert(&x, 0, inner_range, LATTER), 0);
	watched_remove(&x, inner_range, LATTER);
	watched_own(&x, LATTER, 0, inner_range, false);
	watched_repaint(&x);
	expect_ranges(number_at);
}
