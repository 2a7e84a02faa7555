// SPDX-License-Identifier: BSD-2-Clause
/* Entries of bindings and the layout of their tables, by their numbers: they are part of the pinned layout. */
#include <criterion/criterion.h>

#include <detnat/binding.h>

#define ENTRY 0x13880007000003e8ULL /* 5000, all flags, 1000 */

Test(binding_words, fields_have_their_places)
{
	const __u64 unbound = binding_entry(5000, BINDING_AWAY, 1000);

	cr_expect_eq(binding_entry(5000, BINDING_BOUND | BINDING_STRAYED | BINDING_AWAY, 1000), ENTRY);
	cr_expect_eq(binding_in_port(ENTRY), 5000);
	cr_expect_eq(binding_flags(ENTRY), 7);
	cr_expect_eq(binding_seen(ENTRY), 1000);
	cr_expect_eq(binding_freed(ENTRY), 0x0000000400000000ULL);
	cr_expect(binding_is_bound(ENTRY));
	cr_expect_not(binding_is_bound(unbound));
	cr_expect(binding_is_of(ENTRY, 5000));
	cr_expect_not(binding_is_of(ENTRY, 5001));
	cr_expect_not(binding_is_of(unbound, 5000));
}

Test(binding_words, a_binding_outlives_its_stamp_by_its_life)
{
	cr_expect(binding_holds(ENTRY, 1300, 300));
	cr_expect_not(binding_holds(ENTRY, 1301, 300));
	cr_expect(binding_holds(ENTRY, 999, 300), "a stamp that is a tick ahead");
	cr_expect_not(binding_holds(binding_freed(ENTRY), 0, 300));
	cr_expect(binding_holds(binding_entry(5000, BINDING_BOUND, 0xffffff00), 10, 300), "past the end of the clock");
}

Test(binding_words, an_entry_is_changed_if_it_is_as_it_was)
{
	__u64 entry = ENTRY;

	cr_expect_not(binding_change(&entry, ENTRY + 1, 0));
	cr_expect_eq(entry, ENTRY);
	binding_raise(&entry, 999);
	cr_expect_eq(entry, ENTRY);
	binding_raise(&entry, 1005);
	cr_expect_eq(entry, ENTRY + 5);
	cr_expect(binding_change(&entry, ENTRY + 5, 7));
	cr_expect_eq(entry, 7);
}

Test(binding_words, three_protocols_have_them)
{
	for (unsigned proto = 0; proto < 256; proto++) {
		__u32 bit = proto == 17 ? BINDING_UDP : proto == 6 ? BINDING_TCP : proto == 1 ? BINDING_ICMP : 0;

		cr_expect_eq(binding_protocol((__u8)proto), bit, "protocol %u", proto);
	}
	cr_expect_eq(binding_timeout(17), TIMEOUT_UDP);
	cr_expect_eq(binding_timeout(6), TIMEOUT_TCP_TRANSITORY);
	cr_expect_eq(binding_timeout(1), TIMEOUT_ICMP);
}

/* Lines of a subscriber, the line of the second group of the last protocol, and buckets of 255 subscribers. */
Test(binding_words, tables_are_laid_out_as_they_always_were)
{
	static const struct {
		__u32 protocols, last, ports, shift, lines, line;
		__u64 buckets;
	} rows[] = {
		{ 1, 1, 15, 0, 3, 2, 383 },
		{ 1, 1, 15, 7, 5, 4, 638 },
		{ 1, 1, 1008, 4, 127, 2, 16193 },
		{ 2, 2, 1008, 2, 127, 2, 16193 },
		{ 2, 2, 4032, 7, 507, 4, 64643 },
		{ 4, 4, 1008, 7, 129, 4, 16448 },
		{ 3, 2, 15, 7, 7, 6, 893 },
		{ 3, 2, 1008, 4, 253, 128, 32258 },
		{ 5, 4, 4032, 0, 1009, 506, 128648 },
		{ 7, 4, 15, 2, 7, 6, 893 },
		{ 7, 4, 1008, 7, 381, 256, 48578 },
		{ 7, 4, 4032, 4, 1513, 1010, 192908 },
		{ 3, 2, 1, 0, 3, 3, 383 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		__u32 p = rows[i].protocols, ports = rows[i].ports, shift = rows[i].shift;

		cr_expect_eq(binding_lines(p, ports, shift), rows[i].lines, "row %u", i);
		cr_expect_eq(binding_line_of(p, rows[i].last, ports, shift, 1), rows[i].line, "row %u", i);
		cr_expect_eq(binding_line_of(p, p & -p, ports, shift, 0), binding_header_lines(shift), "row %u", i);
		cr_expect_eq(binding_buckets(255, p, ports, shift), rows[i].buckets, "row %u", i);
	}
	cr_expect_eq(binding_buckets(256, 1, 15, 0), 384, "an even number of lines");
}
