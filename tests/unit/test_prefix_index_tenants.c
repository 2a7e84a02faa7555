/* SPDX-License-Identifier: BSD-2-Clause */
/* The prefix index of several tenants, against a list of their prefixes, and after each of its stores. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define WATCHED(name) shared_##name
#include "watched_index.h"

#define TENANTS 4U
#define NUMBERS 24U

static struct index_node nodes[INDEX_NODES], snapshot[INDEX_NODES];
static struct prefix_index x, copy;

/* What is in the index, by number. */
static struct known {
	bool used, hidden;
	uint8_t tenant;
	struct prefix in;
} known[NUMBERS];

/* Of the number being changed, before and after each store either may be found. */
static int changing;

static uint64_t seed;

static uint32_t below(uint32_t n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % n;
}

static struct prefix prefix_at(uint32_t base, uint8_t plen)
{
	return (struct prefix){ .base = base & prefix_mask(plen), .plen = plen };
}

/* Within few addresses, so that prefixes lie within each other and beside each other. */
static struct prefix any_prefix(void)
{
	static const uint8_t lengths[] = { 8, 12, 15, 16, 17, 20, 23, 24, 25, 28, 31, 32 };
	uint32_t base = 0x0a000000 | below(3) << 16 | below(3) << 8 | below(8) << 5 | below(4);

	return prefix_at(base, lengths[below(ARRAY_SIZE(lengths))]);
}

/* The number that a tenant's address should lead to, with or without the one that changes; -ENOENT. */
static int expected(uint8_t tenant, uint32_t addr, int without)
{
	int found = -ENOENT;

	for (int i = 0; i < (int)NUMBERS; i++) {
		const struct known *k = &known[i];

		if (k->used && i != without && k->tenant == tenant && prefix_holds(k->in, addr) &&
		    (found < 0 || prefix_count(k->in) < prefix_count(known[found].in)))
			found = i;
	}
	return found;
}

/* As the datapath finds it, in the nodes that it sees. */
static int found_by_packet(uint8_t tenant, uint32_t addr)
{
	uint16_t entry = nodes[addr >> 24].entry[addr >> 16 & 255];

	for (unsigned n = 2; is_link(entry); n++)
		entry = nodes[entry].entry[octet(addr, n)];
	if (is_shared(entry))
		entry = nodes[set_of(entry)].entry[tenant];
	/* The leaf of another tenant is that of no mapping of this one. */
	if (!entry || known[number_of(entry)].tenant != tenant)
		return -ENOENT;
	return (int)number_of(entry);
}

static int shown(int number)
{
	return number >= 0 && known[number].hidden ? -ENOENT : number;
}

static void look_at(uint32_t addr)
{
	for (uint8_t tenant = 1; tenant <= TENANTS; tenant++) {
		int found = found_by_packet(tenant, addr);
		int with = shown(expected(tenant, addr, -1)), without = shown(expected(tenant, addr, changing));

		if (found != with && found != without)
			cr_assert_fail("tenant %u, %08x: %d, not %d or %d", tenant, addr, found, with, without);
	}
}

static void look_at_all(void)
{
	for (unsigned i = 0; i < NUMBERS; i++) {
		if (!known[i].used)
			continue;
		look_at(known[i].in.base - 1);
		look_at(known[i].in.base);
		look_at(prefix_last(known[i].in));
		look_at(prefix_last(known[i].in) + 1);
	}
}

static unsigned stores;

/* Large prefixes have too many stores to look after each. */
static void look(void)
{
	if (stores++ % 37 == 0)
		look_at_all();
}

static void check(const struct prefix_index *index)
{
	changing = -1;
	look_at_all();
	for (unsigned n = 0; n < 64; n++) {
		uint32_t addr = any_prefix().base + below(64);

		for (uint8_t tenant = 1; tenant <= TENANTS; tenant++)
			cr_assert_eq(shared_find_inside(index, tenant, addr), expected(tenant, addr, -1),
				     "tenant %u, %08x", tenant, addr);
	}
}

static void reopen(void)
{
	memcpy(snapshot, nodes, sizeof(nodes));
	/* Nodes without anything to be found are removed. */
	open_anew(&copy, snapshot, true);
	for (unsigned i = 0; i < NUMBERS; i++)
		if (known[i].used)
			shared_own(&copy, i, known[i].tenant, known[i].in, known[i].hidden);
	shared_repaint(&copy);
	check(&copy);
	for (uint32_t node = 0; node < INDEX_NODES; node++)
		cr_assert(copy.usage[node] != NODE_SET || copy.entries[node], "set %u has no entry", node);
	/* Again: nothing is left to do. */
	cr_assert_eq(shared_repaint(&copy), 0);
}

static void add(unsigned i)
{
	const struct known k = { true, !below(8), (uint8_t)(1 + below(TENANTS)), any_prefix() };
	bool there = false;
	int r;

	for (unsigned n = 0; n < NUMBERS; n++)
		there |= known[n].used && known[n].tenant == k.tenant && prefix_equal(known[n].in, k.in);
	if (there) {
		cr_assert_eq(shared_insert(&x, k.tenant, k.in, i), -EEXIST);
		return;
	}
	known[i] = k;
	changing = (int)i;
	r = k.hidden ? shared_insert_hidden(&x, k.tenant, k.in, i) : shared_insert(&x, k.tenant, k.in, i);
	cr_assert_eq(r, 0);
}

static void del(unsigned i)
{
	changing = (int)i;
	shared_remove(&x, known[i].in, i);
	after_store = NULL;
	known[i].used = false;
}

static void empty(void)
{
	memset(nodes, 0, sizeof(nodes));
	memset(known, 0, sizeof(known));
	cr_assert_eq(open_anew(&x, nodes, true), 0);
}

TestSuite(prefix_index_tenants, .timeout = 600);

Test(prefix_index_tenants, each_tenant_finds_the_longest_of_its_own_prefixes_whatever_the_others_have)
{
	for (seed = 1; seed <= 6;) {
		const uint64_t began = seed;

		empty();
		for (unsigned step = 0; step < 120; step++) {
			unsigned i = below(NUMBERS);

			after_store = look;
			if (known[i].used)
				del(i);
			else
				add(i);
			after_store = NULL;
			check(&x);
			shared_settle(&x);
			if (step % 20 == 19)
				reopen();
		}
		for (unsigned i = 0; i < NUMBERS; i++)
			if (known[i].used)
				del(i);
		shared_settle(&x);
		for (uint32_t node = INDEX_ROOTS; node < INDEX_NODES; node++)
			cr_assert_eq(x.usage[node], NODE_FREE, "node %u", node);
		seed = began + 1;
	}
	cr_assert_gt(stores, 1000);
}

Test(prefix_index_tenants, prefixes_that_overlap_in_part_are_each_their_tenants)
{
	empty();
	known[1] = (struct known){ true, false, 1, prefix_at(0x0a000000, 16) };
	known[2] = (struct known){ true, false, 2, prefix_at(0x0a000500, 24) };
	known[3] = (struct known){ true, false, 2, prefix_at(0x0a000000, 8) };
	for (unsigned i = 1; i <= 3; i++)
		cr_assert_eq(shared_insert(&x, known[i].tenant, known[i].in, i), 0);
	check(&x);
	cr_expect_eq(shared_find(&x, 0x0a000505), -EEXIST);
	cr_expect_eq(shared_find(&x, 0x0a010000), 3, "only one tenant has it");
	cr_expect_eq(shared_around(&x, 2, known[2].in), 3);
	cr_expect_eq(shared_around(&x, 1, known[1].in), -ENOENT);
	cr_expect(!is_shared(nodes[10].entry[1]), "what one tenant has is a plain leaf");
}

Test(prefix_index_tenants, a_hold_is_of_one_tenant_alone)
{
	empty();
	known[1] = (struct known){ true, false, 1, prefix_at(0x0a000000, 24) };
	known[2] = (struct known){ true, false, 2, prefix_at(0x0a000000, 24) };
	cr_assert_eq(shared_insert(&x, 1, known[1].in, 1), 0);
	cr_assert_eq(shared_insert(&x, 2, known[2].in, 2), 0);
	cr_assert_eq(shared_hold(&x, 1, known[1].in), 0);
	cr_expect_eq(found_by_packet(1, 0x0a000001), -ENOENT);
	cr_expect_eq(found_by_packet(2, 0x0a000001), 2);
	cr_assert_eq(shared_hold(&x, 2, known[2].in), 0);
	cr_expect_eq(found_by_packet(2, 0x0a000001), -ENOENT);
	shared_release(&x);
	cr_expect_eq(found_by_packet(1, 0x0a000001), 1);
	cr_expect_eq(found_by_packet(2, 0x0a000001), 2);
}

Test(prefix_index_tenants, another_number_takes_the_entries_of_its_own_tenant_alone)
{
	empty();
	known[1] = (struct known){ true, false, 1, prefix_at(0x0a000000, 24) };
	known[2] = (struct known){ true, false, 2, prefix_at(0x0a000000, 16) };
	cr_assert_eq(shared_insert(&x, 1, known[1].in, 1), 0);
	cr_assert_eq(shared_insert(&x, 2, known[2].in, 2), 0);
	known[3] = known[1];
	shared_replace(&x, 1, 3, false);
	known[1].used = false;
	check(&x);
	known[3].tenant = 3;
	shared_set_tenant(&x, 3, 3);
	check(&x);
}

Test(prefix_index_tenants, programs_without_tenants_find_nothing_that_is_shared)
{
	empty();
	known[1] = (struct known){ true, false, 1, prefix_at(0x0a000000, 16) };
	known[2] = (struct known){ true, false, 2, prefix_at(0x0a000500, 24) };
	cr_assert_eq(shared_insert(&x, 1, known[1].in, 1), 0);
	cr_assert_eq(shared_insert(&x, 2, known[2].in, 2), 0);
	shared_show_shared(&x, false);
	cr_expect_eq(found_by_packet(1, 0x0a000505), -ENOENT);
	cr_expect_eq(found_by_packet(2, 0x0a000505), -ENOENT);
	cr_expect_eq(found_by_packet(1, 0x0a000605), 1);
	shared_show_shared(&x, true);
	check(&x);
}

Test(prefix_index_tenants, without_a_free_node_nothing_is_changed)
{
	const struct prefix in = prefix_at(0x0a000000, 16);

	empty();
	cr_assert_eq(shared_insert(&x, 1, in, 1), 0);
	memset(x.usage + INDEX_ROOTS, NODE_LINKED, sizeof(x.usage) - INDEX_ROOTS);
	memcpy(snapshot, nodes, sizeof(nodes));
	cr_expect_eq(shared_insert(&x, 2, in, 2), -ENOSPC);
	cr_expect_eq(memcmp(snapshot, nodes, sizeof(nodes)), 0);
	cr_expect_eq(shared_find_inside(&x, 1, in.base), 1);
	cr_expect_eq(shared_find_inside(&x, 2, in.base), -ENOENT);
}
