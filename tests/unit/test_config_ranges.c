/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of ranges and lists: cut into records, written as they were read, and refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config_refused.h"

#include "config_fixture.h"

#define INTERFACES_OF "\"interfaces\":{\"inside\":[\"eth1\"],\"outside\":[\"eth0\"]}"
#define OF(mappings)  "{" INTERFACES_OF ",\n\"mappings\":[" mappings "]}"

#define JUNOS                                                                              \
	"{\"in\":\"100.64.56.1-100.64.63.254\",\"out\":\"143.208.72.193-143.208.72.254\"," \
	"\"subscribers_per_address\":33,\"ports_per_host\":1954}"
#define LISTS                                                                      \
	"{\"name\":\"lists\",\"in\":[\"10.0.0.0/25\",\"10.0.1.0-10.0.1.63\"],"     \
	"\"out\":[\"203.0.113.1-203.0.113.2\",\"203.0.113.16/30\",\"203.0.113.20/" \
	"32\"],\"exclude\":[\"203.0.113.17\"],"                                    \
	"\"subscribers_per_address\":32,\"first_port\":2000}"

static struct port_block block_of(const struct config *c, uint32_t addr)
{
	const struct config_mapping *m = config_mapping_of_tenant(c, "", addr);
	struct geometry g;

	cr_assert(m);
	cr_assert_eq(config_mapping_geometry(m, &g), 0);
	return mapping_forward(&g, addr);
}

static void expect_block(const struct config *c, uint32_t addr, uint32_t out, unsigned lo, unsigned hi)
{
	struct port_block block = block_of(c, addr);

	cr_expect_eq(block.out_addr, out, "%08x: %08x", addr, block.out_addr);
	cr_expect_eq(block.port_lo, lo, "%08x: %u", addr, block.port_lo);
	cr_expect_eq(block.port_hi, hi, "%08x: %u", addr, block.port_hi);
}

Test(config_ranges, the_first_example_of_a_range_on_a_range_has_its_subscribers_where_the_router_had_them)
{
	_cleanup_config_ struct config *c = config_of(OF(JUNOS));
	_cleanup_free_ char *json = config_to_json(c);

	cr_expect_eq(c->n_mappings, 1U);
	expect_block(c, 0x64403801, 0x8fd048c1, 1024, 2977);
	expect_block(c, 0x64403821, 0x8fd048c1, 63552, 65505);
	expect_block(c, 0x64403822, 0x8fd048c2, 1024, 2977);
	expect_block(c, 0x64403ffe, 0x8fd048fe, 63552, 65505);
	cr_expect_null(config_mapping_of_tenant(c, "", 0x64403800));
	cr_expect_null(config_mapping_of_tenant(c, "", 0x64403fff));
	cr_expect(strstr(json, JUNOS), "%s", json);
}

Test(config_ranges, a_list_with_an_exclusion_is_cut_into_ranges_that_follow_each_other)
{
	_cleanup_config_ struct config *c = config_of(OF(LISTS));

	/* 64 subscribers on .1 and .2, 32 on .16, 96 on .18 to .20, of two ranges. */
	expect_block(c, 0x0a000000, 0xcb007101, 2000, 3984);
	expect_block(c, 0x0a00003f, 0xcb007102, 63535, 65519);
	expect_block(c, 0x0a000040, 0xcb007110, 2000, 3984);
	expect_block(c, 0x0a000060, 0xcb007112, 2000, 3984);
	expect_block(c, 0x0a000100, 0xcb007113, 2000, 3984);
	expect_block(c, 0x0a00011f, 0xcb007113, 63535, 65519);
}

Test(config_ranges, lists_are_written_as_they_were_read_and_are_one_mapping)
{
	_cleanup_config_ struct config *c = config_of(OF(LISTS ",{\"in\":\"10.9.0.0/24\",\"out\":null}"));
	_cleanup_config_ struct config *copy = config_clone(c);
	_cleanup_free_ char *json = config_to_json(copy);
	_cleanup_config_ struct config *again = config_of(json);
	const struct config_mapping *last = &c->mappings[c->n_mappings - 1];

	cr_expect(strstr(json, LISTS), "%s", json);
	cr_expect_eq(config_same(c, again), 1);
	cr_expect_eq(config_mapping_number(c, last), 1U);
	cr_expect_eq(config_mapping_number(c, last - 1), 0U);
	cr_expect_eq(config_parts(c, last - 1), c->n_mappings - 1);
	cr_expect_eq(config_first_part(c, last - 1), c->mappings);
	cr_expect_eq(config_del_mapping_of(c, "", last[-1].in, last[-1].out), 0);
	cr_expect_eq(c->n_mappings, 1U);
}

Test(config_ranges, a_key_holds_for_all_parts_of_a_list)
{
	_cleanup_config_ struct config *c = config_of(OF(LISTS));
	struct config_mapping *m = &c->mappings[c->n_mappings - 1];

	m->sessions_per_user = 77;
	config_spread(c, m);
	for (size_t i = 0; i < c->n_mappings; i++)
		cr_expect_eq(c->mappings[i].sessions_per_user, 77U);
	expect_block(c, 0x0a000000, 0xcb007101, 2000, 3984);
}

Test(config_ranges, an_exception_within_a_range_may_have_an_excluded_address_and_a_portmap_on_it)
{
	_cleanup_config_ struct config *c = config_of(
		"{" INTERFACES_OF ",\"mappings\":[" LISTS ",{\"in\":\"10.0.1.7/32\",\"out\":\"203.0.113.17/32\"}],"
		"\"portmaps\":[{\"proto\":\"tcp\",\"in\":\"10.0.1.7:80\",\"out\":\"203.0.113.17:80\"}]}");

	expect_block(c, 0x0a000107, 0xcb007111, 1024, 65535);
	expect_block(c, 0x0a000108, 0xcb007113, 2000 + 8 * 1985, 1999 + 9 * 1985);
}

Test(config_ranges, port_0_is_nobodys)
{
	_cleanup_config_ struct config *c =
		config_of(OF("{\"in\":\"10.0.0.0/24\",\"out\":\"203.0.113.0/27\",\"first_port\":0}"));
	_cleanup_free_ char *json = config_to_json(c);

	expect_block(c, 0x0a000000, 0xcb007100, 1, 8191);
	expect_block(c, 0x0a000007, 0xcb007100, 57344, 65535);
	cr_expect(strstr(json, "\"first_port\":0"), "%s", json);
}

Test(config_ranges, refused)
{
	static const struct refused_row rows[] = {
		{ OF("{\"in\":\"10.0.0.9-10.0.0.1\",\"out\":\"1.1.1.0/30\"}"),
		  ":2: mappings[0].in: must be an IPv4 prefix such as \"10.0.0.0/18\", a range such as "
		  "\"10.0.0.1-10.0.0.254\", or a list of these, not \"10.0.0.9-10.0.0.1\"" },
		{ OF("{\"in\":[],\"out\":\"1.1.1.0/30\"}"),
		  ":2: mappings[0].in: is an empty list: leave the key out, or name addresses" },
		{ OF("{\"in\":[\"10.0.0.1\"],\"out\":\"1.1.1.0/30\"}"),
		  ":2: mappings[0].in[0]: must be a prefix such as \"10.0.0.0/18\", or a range such as "
		  "\"10.0.0.1-10.0.0.254\"" },
		{ OF("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\n\"exclude\":[\"1.1.1.x\"]}"),
		  ":3: mappings[0].exclude[0]: must be an address, or a range or prefix such as "
		  "\"203.0.113.0-203.0.113.7\"" },
		{ OF("{\"in\":\"10.0.0.0/24\",\"out\":\"1.1.1.0/30\",\"exclude\":[\"1.1.2.1\"]}"),
		  ":2: mappings[0]: exclude: 1.1.2.1/32 is not in out: leave it out" },
		{ OF("{\"in\":[\"10.0.0.0/24\",\"10.0.0.9-10.0.1.9\"],\"out\":\"1.1.1.0/30\"}"),
		  ":2: mappings[0]: in: 10.0.0.0/24 and 10.0.0.9-10.0.1.9 overlap: each address counts once" },
		{ OF("{\"in\":[\"10.0.0.1-10.0.0.9\",\"10.0.1.0/28\"],\"out\":\"1.1.1.0/30\",\"ports_per_host\":8000}"),
		  ":2: mappings[0]: in: 10.0.0.9-10.0.0.9 and 10.0.1.0 would share 1.1.1.1, but a range inside, unless "
		  "it is the last, must fill its outside addresses: end it 1 addresses earlier, or write a mapping for "
		  "each range" },
		{ OF("{\"in\":\"10.0.0.1-10.0.0.99\",\"out\":\"1.1.1.0/30\"},\n"
		     "{\"in\":\"10.0.0.50-10.0.0.120\",\"out\":\"1.1.2.0/30\"}"),
		  ":3: mappings[1].in: 10.0.0.50-10.0.0.120 overlaps 10.0.0.1-10.0.0.99, of mappings[0].in, in part: "
		  "one must lie within the other" },
		{ OF("{\"in\":[\"10.0.0.0/24\",\"10.0.2.0/24\"],\"out\":\"1.1.1.0/30\"},\n"
		     "{\"in\":\"10.1.0.0/24\",\"out\":\"1.1.1.3-1.1.1.9\"}"),
		  ":3: mappings[1].out: 1.1.1.3-1.1.1.9 overlaps 1.1.1.2/31, mappings[0].out" },
		{ OF("{\"in\":\"10.0.0.1-10.0.3.254\",\"out\":\"1.1.1.1-1.1.1.9\",\"ports_per_host\":1000}"),
		  ":2: mappings[0]: holds 576 of 1022 subscribers: ports_per_host 565, or 7 addresses more" },
	};

	expect_refused(rows, ARRAY_SIZE(rows));
}
