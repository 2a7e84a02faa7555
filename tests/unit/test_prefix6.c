// SPDX-License-Identifier: BSD-2-Clause
/* The arithmetic of <detnat/prefix6.h> against the examples of RFC 6052 and a slow model that moves octets. */
#include <arpa/inet.h>
#include <string.h>

#include <criterion/criterion.h>
#include <detnat/prefix6.h>

static struct address6 from_octets(const uint8_t *octets)
{
	__u64 half[2];

	memcpy(half, octets, sizeof(half));
	return (struct address6){ .hi = be64_number(half[0]), .lo = be64_number(half[1]) };
}

static void to_octets(const struct address6 *a, uint8_t *ret)
{
	__u64 half[2] = { be64_number(a->hi), be64_number(a->lo) };

	memcpy(ret, half, sizeof(half));
}

static struct address6 address(const char *text)
{
	uint8_t octets[16];

	cr_assert_eq(inet_pton(AF_INET6, text, octets), 1, "%s", text);
	return from_octets(octets);
}

static const struct {
	const char *prefix;
	__u32 plen;
	const char *address;
} examples[] = {
	{ "2001:db8::", 32, "2001:db8:c000:221::" },
	{ "2001:db8:100::", 40, "2001:db8:1c0:2:21::" },
	{ "2001:db8:122::", 48, "2001:db8:122:c000:2:2100::" },
	{ "2001:db8:122:300::", 56, "2001:db8:122:3c0:0:221::" },
	{ "2001:db8:122:344::", 64, "2001:db8:122:344:c0:2:2100::" },
	{ "2001:db8:122:344::", 96, "2001:db8:122:344::192.0.2.33" },
	{ "64:ff9b::", 96, "64:ff9b::192.0.2.33" },
};
#define N_EXAMPLES (sizeof(examples) / sizeof(examples[0]))

Test(prefix6, the_examples_of_rfc_6052_come_out)
{
	for (size_t i = 0; i < N_EXAMPLES; i++) {
		struct address6 prefix = address(examples[i].prefix), want = address(examples[i].address);
		struct address6 is = nat64_embed(&prefix, examples[i].plen, 0xc0000221);

		cr_expect(nat64_prefix_is_valid(&prefix, examples[i].plen), "%s", examples[i].prefix);
		cr_expect(address6_equal(&is, &want), "%s: %llx %llx", examples[i].address, is.hi, is.lo);
		cr_expect_eq(nat64_extract(examples[i].plen, &want), 0xc0000221, "%s", examples[i].address);
	}
}

/* Octet after octet behind the prefix, past the one that stays 0. */
static void model_embed(uint8_t *octets, __u32 plen, __u32 addr)
{
	__u32 at = plen / 8;

	for (int i = 3; i >= 0; i--) {
		if (at == 8)
			at++;
		octets[at++] = (uint8_t)(addr >> 8 * i);
	}
}

Test(prefix6, every_length_moves_octets_as_a_model_does_and_back)
{
	__u32 addr = 1;

	for (int round = 0; round < 10000; round++, addr = addr * 1664525 + 1013904223) {
		for (size_t i = 0; i < N_EXAMPLES; i++) {
			struct address6 prefix = address(examples[i].prefix), is, back;
			uint8_t want[16], got[16];

			to_octets(&prefix, want);
			model_embed(want, examples[i].plen, addr);
			is = nat64_embed(&prefix, examples[i].plen, addr);
			to_octets(&is, got);
			cr_assert(!memcmp(got, want, sizeof(want)), "/%u of %08x", examples[i].plen, addr);
			back = from_octets(want);
			cr_assert_eq(nat64_extract(examples[i].plen, &back), addr, "/%u of %08x", examples[i].plen,
				     addr);
		}
	}
}

Test(prefix6, suffixes_are_not_read)
{
	for (size_t i = 0; i < N_EXAMPLES; i++) {
		struct address6 a = address(examples[i].address);

		if (examples[i].plen < 96)
			a.lo |= 0xffff;
		cr_expect_eq(nat64_extract(examples[i].plen, &a), 0xc0000221, "/%u", examples[i].plen);
	}
}

Test(prefix6, prefixes_that_rfc_6052_does_not_allow_are_invalid)
{
	static const struct {
		const char *prefix;
		__u32 plen;
		int valid;
	} rows[] = {
		{ "64:ff9b::", 96, 1 },	       { "2001:db8::", 64, 1 },	      { "2001:db8::", 0, 0 },
		{ "2001:db8::", 24, 0 },       { "2001:db8::", 36, 0 },	      { "2001:db8::", 72, 0 },
		{ "2001:db8::", 80, 0 },       { "2001:db8::", 128, 0 },      { "2001:db8:0:1::", 56, 0 },
		{ "2001:db8::1", 96, 0 },      { "2001:db8::1:0:0", 96, 1 },  { "2001:db8:0:0:100::", 96, 0 },
		{ "2001:db8:0:0:1::", 96, 1 }, { "2001:db8:0:0:1::", 64, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address6 prefix = address(rows[i].prefix);

		cr_expect_eq(nat64_prefix_is_valid(&prefix, rows[i].plen), rows[i].valid, "%s/%u", rows[i].prefix,
			     rows[i].plen);
	}
}

/* As the datapath tests it: an address in the prefix whose u octet is 0. */
static int is_in(const struct record6 *r, const char *text)
{
	struct address6 a = address(text);

	return !(((be64_number(a.hi) ^ r->nat64[0]) & r->nat64_mask[0]) |
		 ((be64_number(a.lo) ^ r->nat64[1]) & r->nat64_mask[1]));
}

Test(prefix6, a_record_tells_addresses_of_its_prefix)
{
	struct address6 prefix = address("64:ff9b::"), other = address("2001:db8:100::");
	struct record6 r = {};

	record6_set_prefix(&r, &prefix, 96);
	cr_expect_eq(r.flags, RECORD6_WELL_KNOWN);
	cr_expect(is_in(&r, "64:ff9b::1.2.3.4"));
	cr_expect(!is_in(&r, "64:ff9b::1:1.2.3.4"));
	cr_expect(!is_in(&r, "64:ff9c::1.2.3.4"));
	record6_set_prefix(&r, &other, 40);
	cr_expect_eq(r.flags, 0);
	cr_expect_eq(r.nat64_plen, 40);
	cr_expect(is_in(&r, "2001:db8:1c0:2:21::"));
	cr_expect(is_in(&r, "2001:db8:1c0:2:21::ffff"));
	cr_expect(!is_in(&r, "2001:db8:1c0:2:121::"), "u octet");
	cr_expect(!is_in(&r, "2001:db8:2c0:2:21::"));
}

Test(prefix6, subscribers_are_numbered_by_the_bits_up_to_their_length)
{
	for (__u32 plen = SUBSCRIBER_PLEN_MIN; plen <= SUBSCRIBER_PLEN_MAX; plen++) {
		struct record6 r = { .in_hi = address("2001:db8:4000::").hi, .subscriber_plen = (__u8)plen };
		__u64 low = plen < 64 ? 0x5555 & ~mask64(plen) : 0, hi = r.in_hi + (77ULL << (64 - plen)) + low;

		cr_expect_eq(subscriber6_number(&r, hi), 77, "/%u", plen);
		cr_expect_eq(subscriber6_hi(&r, 77) + host6_hi(&r, hi), hi, "/%u", plen);
		cr_expect_eq(host6_hi(&r, hi), low, "/%u", plen);
	}
}

Test(prefix6, a_prefix_contains_what_its_length_says)
{
	struct address6 a = address("2001:db8:4000::"), b = address("2001:db8:4fff:ffff:ffff:ffff:ffff:ffff");
	struct address6 c = address("2001:db8:5000::"), d = address("2001:db8:4000::1");

	cr_expect(prefix6_contains(&a, 36, &b));
	cr_expect(!prefix6_contains(&a, 36, &c));
	cr_expect(prefix6_contains(&a, 0, &c));
	cr_expect(prefix6_contains(&a, 127, &d));
	cr_expect(!prefix6_contains(&a, 128, &d));
	cr_expect(prefix6_overlaps(&b, 64, &a, 36));
	cr_expect(prefix6_overlaps(&a, 36, &b, 64));
	cr_expect(!prefix6_overlaps(&a, 36, &c, 36));
}

/* n ranges of 16 subscribers each, with room between them. */
static void fill(struct index6 *x, __u32 n)
{
	memset(x, 0, sizeof(*x));
	x->n = n;
	for (__u32 i = 0; i < MAX_RANGES6; i++)
		x->range[i] = i < n ? (struct range6){ .first = (i + 1ULL) << 16,
						       .last = ((i + 1ULL) << 16) + 0xfff,
						       .virt = VIRTUAL_BASE + 16 * i,
						       .leaf = (__u16)(0x8000 | i),
						       .shift = 8 }
				    : (struct range6){ .first = ~0ULL, .last = ~0ULL };
}

Test(prefix6, the_search_finds_the_range_that_an_address_is_in)
{
	static struct index6 x;

	for (__u32 n = 0; n <= MAX_RANGES6; n++) {
		fill(&x, n);
		for (__u64 hi = 0; hi < (n + 2ULL) << 16; hi += 0xfff) {
			const struct range6 *r = index6_search(&x, hi);
			__u32 i = (__u32)(hi >> 16) - 1;
			int in = hi >> 16 && i < n && (hi & 0xffff) <= 0xfff;

			cr_assert_eq(range6_has(r, hi) && r->leaf, in, "%u ranges, %llx", n, hi);
			if (in) {
				cr_assert_eq(r->leaf, 0x8000 | i);
				cr_assert_eq(range6_virtual(r, hi), VIRTUAL_BASE + 16 * i + ((hi & 0xffff) >> 8));
			}
		}
	}
}
