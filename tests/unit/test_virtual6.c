/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual addresses of IPv6 subscribers: which are given to which prefixes, and the texts of both. */
#include <criterion/criterion.h>
#include <errno.h>

#include "base/virtual6.h"

TestSuite(virtual6, .init = virtual6_forget, .fini = virtual6_forget);

static struct prefixes6 of(const char *text, unsigned plen)
{
	struct prefixes6 p;

	cr_assert_eq(prefixes6_parse(text, plen, &p), 0, "%s", text);
	return p;
}

static uint32_t placed(const char *text, unsigned plen)
{
	struct prefixes6 p = of(text, plen);
	struct prefix in;

	cr_assert_eq(virtual6_place(&p, &in), 0, "%s", text);
	cr_assert(prefix_is_virtual(in) && prefix_last(in) - in.base == p.last);
	cr_assert_leq(in.plen, 32, "%s: a prefix of virtual addresses", text);
	return in.base;
}

static int claimed(const char *text, unsigned plen, uint32_t first)
{
	struct prefixes6 p = of(text, plen);

	return virtual6_claim(&p, first);
}

static void expect_text(uint32_t addr, const char *wanted)
{
	char text[INSIDE_TEXT];

	cr_expect_str_eq(inside_text(addr, text), wanted);
}

static void expect_prefix(struct prefix in, const char *wanted)
{
	char text[INSIDE_TEXT];

	cr_expect_str_eq(inside_prefix_text(in, text), wanted);
}

Test(virtual6, a_prefix_has_one_range_and_a_nested_one_its_part)
{
	uint32_t outer = placed("2001:db8:4000::/36", 56), other = placed("2001:db8:5000::/36", 56);

	cr_expect_eq(placed("2001:db8:4000::/36", 56), outer);
	cr_expect_eq(placed("2001:db8:4100::/40", 56), outer + 0x10000);
	cr_expect_eq(placed("2001:db8:4fff:ff00::/56", 56), outer + 0xfffff);
	cr_expect_neq(outer, other);
	/* Subscribers of another length are others. */
	cr_expect_neq(placed("2001:db8:4000::/40", 60), outer);
}

/* Whatever order they come in, of prefixes with the same first bits none ever moves. */
Test(virtual6, a_prefix_around_others_leaves_them_where_they_are)
{
	static const char *const order[] = { "2001:db8:6000::/40",  "2001:db8:7000::/40", "2001:db8:4000::/40",
					     "2001:db8:4080::/44",  "2001:db8:6000::/36", "2001:db8:4000::/36",
					     "2001:db8:7000::/36",  "2001:db8::/32",	  "2001:db8:ffff::/48",
					     "2001:db8:7000:1::/64" };
	uint32_t base = placed(order[0], 56) - 0x600000;

	for (size_t i = 0; i < 9; i++) {
		struct prefixes6 p = of(order[i], 56);

		virtual6_keep(placed(order[i], 56));
		for (size_t k = 0; k <= i; k++) {
			p = of(order[k], 56);
			cr_expect_eq(placed(order[k], 56), base + (uint32_t)((p.hi & 0xffffffff) >> 8), "%s after %s",
				     order[k], order[i]);
		}
	}
}

/* Prefixes that begin otherwise are in cells of their own: eight of them, and more where others are in their places. */
Test(virtual6, prefixes_that_begin_otherwise_have_room_around)
{
	uint32_t inner[17];
	char text[64];

	for (unsigned i = 0; i < 16; i++) {
		snprintf(text, sizeof(text), "2001:%x:1000::/40", 0x100 + i);
		inner[i] = placed(text, 56);
		virtual6_keep(inner[i]);
		for (unsigned k = 0; k < i; k++)
			cr_expect_neq(inner[i] >> 24, inner[k] >> 24);
	}
	for (unsigned i = 0; i < 16; i++) {
		snprintf(text, sizeof(text), "2001:%x::/33", 0x100 + i);
		cr_expect_eq(placed(text, 56), inner[i] - 0x100000, "%s", text);
	}
	/* In all sixteen its place is another's: it is where there is room, and keeps that. */
	inner[16] = placed("2001:200:1000::/40", 56);
	cr_expect_neq(inner[16] & 0xffffff, 0x100000);
	virtual6_keep(inner[16]);
	cr_expect_eq(placed("2001:200:1000::/40", 56), inner[16]);
}

Test(virtual6, half_of_the_cells_wait_for_large_prefixes)
{
	char text[64];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "2001:%x:%x00::/40", 0x100 + i, i);
		virtual6_keep(placed(text, 56));
	}
	for (unsigned i = 0; i < 8; i++) {
		snprintf(text, sizeof(text), "2001:%x::/32", 0x200 + i);
		virtual6_keep(placed(text, 56));
	}
}

/* Ranges of a history that was written when the lowest free addresses were taken. */
Test(virtual6, a_range_that_lies_elsewhere_is_continued_there)
{
	cr_assert_eq(claimed("2001:db8:4000::/40", 56, VIRTUAL_BASE), 0);
	cr_expect_eq(placed("2001:db8:4000::/36", 56), VIRTUAL_BASE);
	cr_assert_eq(claimed("2001:db8:6000::/40", 56, VIRTUAL_BASE + 0x100000), 0);
	cr_assert_eq(claimed("2001:db8:7000::/40", 56, VIRTUAL_BASE + 0x110000), 0);
	/* There is no room around it: what comes around it lies elsewhere, and has what lies within from then on. */
	cr_expect_eq(placed("2001:db8:6000::/36", 56) & 0xffffff, 0x600000);
	cr_expect_eq(placed("2001:db8:6000::/40", 56) & 0xffffff, 0x600000);
	cr_expect_eq(placed("2001:db8:7000::/40", 56), VIRTUAL_BASE + 0x110000);
}

Test(virtual6, texts_of_subscribers_and_prefixes)
{
	uint32_t base = placed("2001:db8:4000::/36", 56);

	expect_text(base, "2001:db8:4000::/56");
	expect_text(base + 0x12, "2001:db8:4000:1200::/56");
	expect_text(base + 0xfffff, "2001:db8:4fff:ff00::/56");
	expect_text(0x0a000002, "10.0.0.2");
	/* A virtual address that means nothing. */
	expect_text(base + 0x100000, "224.80.0.0");
	expect_prefix((struct prefix){ base, 12, 0 }, "2001:db8:4000::/36");
	expect_prefix((struct prefix){ base + 0x10000, 16, 0 }, "2001:db8:4100::/40");
	expect_prefix(prefix_of(base + 1, base + 3), "2001:db8:4000:100::/56-2001:db8:4000:300::/56");
	/* Two, but of no prefix. */
	expect_prefix(prefix_of(base + 1, base + 2), "2001:db8:4000:100::/56-2001:db8:4000:200::/56");
	expect_prefix((struct prefix){ 0x0a000000, 18, 0 }, "10.0.0.0/18");
	expect_prefix(PREFIX_NONE, "none");
}

Test(virtual6, a_claimed_range_is_taken_over_and_never_means_anything_else)
{
	cr_expect_eq(claimed("2001:db8:4100::/40", 56, 0xe5010000), 0);
	cr_expect_eq(claimed("2001:db8:4100::/40", 56, 0xe5010000), 0);
	cr_expect_eq(claimed("2001:db8:4200::/40", 56, 0xe5010000), -EEXIST);
	cr_expect_eq(claimed("2001:db8:4100::/40", 60, 0xe5010000), -EEXIST);
	cr_expect_eq(claimed("2001:db8:4200::/40", 56, 0x0a000000), -EINVAL);
	/* What is consistent with it extends it; a prefix around it is placed around it. */
	cr_expect_eq(claimed("2001:db8:4200::/40", 56, 0xe5020000), 0);
	cr_expect_eq(placed("2001:db8:4000::/36", 56), 0xe5000000);
	cr_expect_eq(placed("2001:db8:4300::/40", 56), 0xe5030000);
}

Test(virtual6, subscribers_of_an_address_are_found_whatever_their_length)
{
	struct address6 addr;
	uint32_t a = placed("2001:db8:4000::/36", 56), b = placed("2001:db8:4000::/40", 60), virt;
	size_t at = 0;

	cr_assert_eq(address6_parse("2001:db8:4000:1234::1", &addr), 0);
	cr_assert(virtual6_next(&addr, &at, &virt));
	cr_expect_eq(virt, a + 0x12);
	cr_assert(virtual6_next(&addr, &at, &virt));
	cr_expect_eq(virt, b + 0x123);
	cr_expect_not(virtual6_next(&addr, &at, &virt));
	cr_assert_eq(address6_parse("2001:db8:3fff:ffff:ffff:ffff:ffff:ffff", &addr), 0);
	at = 0;
	cr_expect_not(virtual6_next(&addr, &at, &virt));
}

/* 2^28 virtual addresses are 16 ranges of 2^24. */
Test(virtual6, what_nothing_keeps_makes_room_and_what_is_kept_does_not)
{
	char text[64];
	struct prefixes6 p;
	struct prefix in;

	for (unsigned i = 0; i < 16; i++) {
		snprintf(text, sizeof(text), "2001:%x::/32", 0x100 + i);
		in.base = placed(text, 56);
		if (i)
			virtual6_keep(in.base);
	}
	cr_expect_eq(placed("2001:200::/32", 56), VIRTUAL_BASE, "in the place of the one that was not kept");
	virtual6_keep(VIRTUAL_BASE);
	p = of("2001:201::/32", 56);
	cr_expect_eq(virtual6_place(&p, &in), -ENOSPC);
	p = of("2001:201::/48", 56);
	cr_expect_eq(virtual6_place(&p, &in), -ENOSPC);
}

Test(virtual6, prefixes_are_read_strictly)
{
	static const struct {
		const char *text;
		unsigned plen;
	} wrong[] = {
		{ "2001:db8::", 56 },
		{ "2001:db8::/57", 56 },
		{ "2001:db8::/31", 56 },
		{ "2001:db8:0:1::/56", 56 },
		{ "2001:db8::1/32", 56 },
		{ "2001:db8::/032", 56 },
		{ "2001:db8::/", 56 },
		{ "2001:db8::/32 ", 56 },
		{ "10.0.0.0/8", 56 },
		{ "::ffff:10.0.0.0/48", 56 },
		{ "2001:db8::/40", 47 },
		{ "2001:db8::/48", 65 },
		{ "2001:db8::/56-2001:db8::/48", 56 },
		{ "2001:db8:0:200::/56-2001:db8::/56", 56 },
		{ "", 56 },
	};
	struct prefixes6 p;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_eq(prefixes6_parse(wrong[i].text, wrong[i].plen, &p), -EINVAL, "%s", wrong[i].text);
	p = of("2001:db8:0:100::/56-2001:db8:0:300::/56", 56);
	cr_expect(p.hi == 0x20010db800000100 && p.last == 2 && p.plen == 56);
	p = of("2001:db8::/56", 56);
	cr_expect(!p.last);
}

Test(virtual6, lengths_of_prefixes_are_read_to_128)
{
	struct address6 addr;
	unsigned plen;

	cr_assert_eq(prefix6_parse("2001:db8::1/128", &addr, &plen), 0);
	cr_expect(plen == 128 && addr.lo == 1);
	cr_assert_eq(prefix6_parse("::/0", &addr, &plen), 0);
	cr_expect_eq(plen, 0);
	cr_expect_eq(prefix6_parse("2001:db8::/129", &addr, &plen), -EINVAL);
	cr_expect_eq(prefix6_parse("2001:db8::/00", &addr, &plen), -EINVAL);
	cr_expect_eq(prefix6_parse("2001:db8::/1000", &addr, &plen), -EINVAL);
	cr_expect_eq(prefix6_parse("2001:db8::", &addr, &plen), -EINVAL);
	cr_expect_eq(address6_parse("64:ff9b::10.0.0.1", &addr), -EINVAL, "hexadecimal digits alone");
}

/* Prefixes of 2^24 subscribers until there is no room: whether the first one's place is among those that stay. */
static bool stays(uint32_t first)
{
	char text[64];

	for (unsigned i = 0; i < 16; i++) {
		struct prefixes6 p;
		struct prefix in;

		snprintf(text, sizeof(text), "2001:%x::/32", 0x300 + i);
		p = of(text, 56);
		if (virtual6_place(&p, &in))
			return true;
		if (in.base <= first && first <= prefix_last(in))
			return false;
		virtual6_keep(in.base);
	}
	return true;
}

/* What was placed by a configuration is kept once a history or the tables have it. */
Test(virtual6, a_range_that_is_claimed_is_kept)
{
	uint32_t base = placed("2001:db8:4000::/40", 56);

	cr_assert_eq(claimed("2001:db8:4000::/40", 56, base), 0);
	cr_expect(stays(base));
}

Test(virtual6, a_range_around_one_that_is_kept_is_kept)
{
	uint32_t base = placed("2001:db8:4000::/40", 56);

	virtual6_keep(base);
	cr_assert_eq(placed("2001:db8:4000::/36", 56), base);
	cr_expect(stays(base));
}

/* A range that lies where no prefix around it could begin is left alone. */
Test(virtual6, a_range_around_others_begins_at_a_multiple_of_its_size)
{
	cr_assert_eq(claimed("2001:db8:4010::/44", 56, VIRTUAL_BASE + 0x8000), 0);
	cr_expect_eq(placed("2001:db8:4000::/40", 56) & 0xffff, 0);
}

/* 2^28 virtual addresses are all that there are. */
Test(virtual6, ranges_of_more_than_all_virtual_addresses_are_none)
{
	const struct prefixes6 all = { 0x2001000000000000, (1U << 28) - 1, 56 },
			       more = { 0x2001000000000000, 1U << 28, 56 };
	struct prefixes6 p;

	cr_expect_eq(prefixes6_parse("2001:db8::/56-2001:dc7:ffff:ff00::/56", 56, &p), 0);
	cr_expect_eq(p.last, (1U << 28) - 1);
	cr_expect_eq(prefixes6_parse("2001:db8::/56-2001:dc8::/56", 56, &p), -EINVAL);
	cr_expect_eq(prefixes6_parse("::/0", 56, &p), -EINVAL);
	cr_expect_eq(virtual6_claim(&more, VIRTUAL_BASE), -EINVAL);
	cr_expect_eq(virtual6_claim(&(struct prefixes6){ 0x2001000000000000, 0, 47 }, VIRTUAL_BASE), -EINVAL);
	cr_expect_eq(virtual6_claim(&(struct prefixes6){ 0x2001000000000000, 0, 65 }, VIRTUAL_BASE), -EINVAL);
	cr_expect_eq(virtual6_claim(&all, VIRTUAL_BASE + 1), -EEXIST, "its end would be none");
	cr_expect_eq(virtual6_claim(&all, VIRTUAL_BASE), 0);
}

/* Neighbours share no address, and a range that is said again stays as it is. */
Test(virtual6, ranges_that_adjoin_stay_apart)
{
	cr_assert_eq(claimed("2001:db8:4000::/48", 56, VIRTUAL_BASE + 256), 0);
	cr_expect_eq(claimed("2001:db8:9000::/48", 56, VIRTUAL_BASE + 512), 0, "behind it");
	cr_expect_eq(claimed("2001:db8:8000::/48", 56, VIRTUAL_BASE), 0, "before it");
	cr_expect_eq(claimed("2001:db8:7000::/47", 56, VIRTUAL_BASE), -EEXIST, "its last addresses are another's");
	cr_expect_eq(claimed("2001:db8:7000::/56", 56, VIRTUAL_BASE + 511), -EEXIST, "so is the only one");
	expect_text(VIRTUAL_BASE + 255, "2001:db8:8000:ff00::/56");
	expect_text(VIRTUAL_BASE + 256, "2001:db8:4000::/56");
	expect_text(VIRTUAL_BASE + 511, "2001:db8:4000:ff00::/56");
	expect_text(VIRTUAL_BASE + 512, "2001:db8:9000::/56");
	expect_prefix((struct prefix){ VIRTUAL_BASE, 23, 0 }, "224.0.0.0/23");
}

/* The last subscriber of a range is found, and keeps it. */
Test(virtual6, the_last_of_a_range_is_one_of_it)
{
	struct address6 addr;
	uint32_t base = placed("2001:db8:4000::/48", 56), virt;
	size_t at = 0;
	char text[64];

	cr_assert_eq(address6_parse("2001:db8:4000:ffff::1", &addr), 0);
	cr_assert(virtual6_next(&addr, &at, &virt));
	cr_expect_eq(virt, base + 255);
	cr_assert_eq(address6_parse("2001:db8:4001::1", &addr), 0);
	at = 0;
	cr_expect_not(virtual6_next(&addr, &at, &virt));
	virtual6_keep(base + 255);
	for (unsigned i = 0; i < 16; i++) {
		struct prefixes6 p;
		struct prefix in;

		snprintf(text, sizeof(text), "2001:%x::/32", 0x100 + i);
		p = of(text, 56);
		if (!virtual6_place(&p, &in))
			virtual6_keep(in.base);
	}
	expect_text(base + 255, "2001:db8:4000:ff00::/56");
}

/* Where others with the same first bits are, also if an earlier place is as roomy. */
Test(virtual6, prefixes_with_the_same_first_bits_are_in_one_cell)
{
	cr_assert_eq(claimed("2001:db8:6000::/40", 56, VIRTUAL_BASE + (5U << 24) + 0x600000), 0);
	cr_expect_eq(placed("2001:db8:7000::/40", 56), VIRTUAL_BASE + (5U << 24) + 0x700000);
}

/* Has something in the place of a cell: in cell 9 far from 0x100000, in the others beside it. */
static void fill_cells(void)
{
	char text[64];

	for (unsigned i = 0; i < 16; i++) {
		unsigned at = i == 9 ? 0x8000 : 0x1100;

		snprintf(text, sizeof(text), "2001:%x:%x::/40", 0x100 + i, at);
		cr_assert_eq(claimed(text, 56, VIRTUAL_BASE + (i << 24) + (at << 8)), 0);
	}
}

Test(virtual6, a_prefix_is_where_most_room_is_around_it)
{
	fill_cells();
	cr_expect_eq(placed("2001:db8:1000::/40", 56), VIRTUAL_BASE + (9U << 24) + 0x100000);
}

/* Of no prefix within a cell: it lies where there is room, and in one cell. */
Test(virtual6, a_range_across_two_cells_is_in_one)
{
	const struct prefixes6 across = { 0x20010db8ffffff00ULL, 1, 56 };
	struct prefix in;

	cr_assert_eq(virtual6_place(&across, &in), 0);
	cr_expect_eq(in.base, VIRTUAL_BASE);
}

/* The last prefix of all is not before the first. */
Test(virtual6, a_list_that_ends_before_it_begins_is_none)
{
	struct prefixes6 p;

	cr_expect_eq(prefixes6_parse("ffff:ffff:ffff:ff00::/56-::/56", 56, &p), -EINVAL);
}

Test(virtual6, endpoints_are_read_with_brackets)
{
	struct address6 addr;
	uint16_t port = 0;

	cr_assert_eq(endpoint6_parse("[2001:db8:4000:1200::1]:40001", &addr, &port), 0);
	cr_expect(addr.hi == 0x20010db840001200 && addr.lo == 1 && port == 40001);
	cr_expect_eq(endpoint6_parse("[2001:db8::1]", &addr, &port), -EINVAL);
	cr_expect_eq(endpoint6_parse("[2001:db8::1]:65536", &addr, &port), -EINVAL);
	cr_expect_eq(endpoint6_parse("[2001:db8::1]:1x", &addr, &port), -EINVAL);
	cr_expect_eq(endpoint6_parse("[2001:db8::1]:000000000000000000000000000000000000000000000000080", &addr, &port),
		     -EINVAL);
	cr_expect_eq(endpoint6_parse("2001:db8::1:80", &addr, &port), -EINVAL);
	cr_expect_eq(endpoint6_parse("[10.0.0.1]:80", &addr, &port), -EINVAL);
	cr_expect_eq(endpoint6_parse("[]:80", &addr, &port), -EINVAL);
}
