/* SPDX-License-Identifier: BSD-2-Clause */
/* Plans of lib/plan: the worked examples of other systems, the refusals and their figures. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>

#include "base/address.h"
#include "plan/plan.h"

struct row {
	const char *name;
	const char *in, *out, *exclude;
	uint32_t ratio, ports, pitch, first_port; /* 0: not given */
	bool port_zero, netmap;
	const char *expected[8]; /* "IN OUT LO-HI" */
	const char *refused;	 /* or the message */
	const char *nobody;	 /* OUT:PORT of no subscriber */
};

static const struct row rows[] = {
	{ "VPP det44", "10.0.0.0/18", "1.1.1.0/30", .nobody = "1.1.1.0:65535",
	  .expected = { "10.0.0.2 1.1.1.0 1054-1068", "10.0.16.16 1.1.1.1 1264-1278",
			"10.0.63.255 1.1.1.3 62449-62463" } },
	{ "VPP's own test", "172.16.255.0/24", "172.17.255.50/32",
	  .expected = { "172.16.255.20 172.17.255.50 6064-6315" } },
	{ "TNSR", "198.18.0.0/15", "203.0.113.128/25", .expected = { "198.18.4.1 203.0.113.129 1087-1149" } },
	{ "VyOS, two addresses", "100.64.0.0/29", "192.0.2.1-192.0.2.2", .ratio = 4, .ports = 5000, .first_port = 40000,
	  .expected = { "100.64.0.0 192.0.2.1 40000-44999", "100.64.0.3 192.0.2.1 55000-59999",
			"100.64.0.4 192.0.2.2 40000-44999", "100.64.0.7 192.0.2.2 55000-59999" } },
	{ "VyOS, three pools in order", "100.64.0.0/28", "198.51.100.23, 203.0.113.102,192.0.2.121", .ports = 10000,
	  .expected = { "100.64.0.0 198.51.100.23 1024-11023", "100.64.0.5 198.51.100.23 51024-61023",
			"100.64.0.6 203.0.113.102 1024-11023", "100.64.0.12 192.0.2.121 1024-11023",
			"100.64.0.15 192.0.2.121 31024-41023" } },
	{ "VyOS, descending", "100.64.0.0/29", "203.0.113.1,192.0.2.1", .ports = 16000,
	  .expected = { "100.64.0.3 203.0.113.1 49024-65023", "100.64.0.4 192.0.2.1 1024-17023" } },
	{ "VyOS, two ranges", "100.64.0.1-100.64.0.32", "192.0.2.1-192.0.2.2,203.0.113.253-203.0.113.254",
	  .ports = 8000,
	  .expected = { "100.64.0.1 192.0.2.1 1024-9023", "100.64.0.8 192.0.2.1 57024-65023",
			"100.64.0.9 192.0.2.2 1024-9023", "100.64.0.17 203.0.113.253 1024-9023" } },
	{ "nftables, addresses left over", "100.64.0.0/28", "192.0.2.0/30", .ports = 8000, .nobody = "192.0.2.2:1024",
	  .expected = { "100.64.0.7 192.0.2.0 57024-65023", "100.64.0.8 192.0.2.1 1024-9023" } },
	{ "Junos, 259 an address", "10.1.0.1-10.1.255.254", "44.44.44.1-44.44.44.254", .ratio = 259, .ports = 249,
	  .expected = { "10.1.1.250 44.44.44.2 62278-62526" } },
	{ "Junos, 33 an address", "100.64.56.1-100.64.63.254", "143.208.72.193-143.208.72.254", .ratio = 33,
	  .ports = 1954, .nobody = "143.208.72.193:65506",
	  .expected = { "100.64.56.1 143.208.72.193 1024-2977", "100.64.56.33 143.208.72.193 63552-65505",
			"100.64.56.34 143.208.72.194 1024-2977", "100.64.63.254 143.208.72.254 63552-65505" } },
	{ "Junos, ranges alone", "100.64.56.1-100.64.63.254", "143.208.72.193-143.208.72.254",
	  .expected = { "100.64.56.33 143.208.72.193 63552-65505" } },
	{ "FortiGate", "10.0.1.1-10.0.1.253", "70.70.70.71-70.70.70.80", .ports = 2323, .first_port = 5117,
	  .nobody = "70.70.70.80:49254",
	  .expected = { "10.0.1.1 70.70.70.71 5117-7439", "10.0.1.26 70.70.70.71 63192-65514",
			"10.0.1.27 70.70.70.72 5117-7439", "10.0.1.253 70.70.70.80 46931-49253" } },
	{ "A10", "100.97.0.0/25", "168.232.197.32/31",
	  .expected = { "100.97.0.63 168.232.197.32 64528-65535", "100.97.0.64 168.232.197.33 1024-2031" } },
	{ "H3C", "10.0.0.0-10.0.0.19", "202.38.1.100-202.38.1.101", .ratio = 10, .ports = 500, .first_port = 10001,
	  .expected = { "10.0.0.9 202.38.1.100 14501-15000", "10.0.0.10 202.38.1.101 10001-10500" } },
	{ "py-cgnat", "100.65.12.0/22", "177.66.58.160/27", .ports = 2000, .first_port = 1536, .netmap = true,
	  .expected = { "100.65.15.42 177.66.58.170 51536-53535", "100.65.12.42 177.66.58.170 3536-5535" } },
	{ "netmap of two prefixes in a row", "100.48.15.0/29,100.48.15.8/29", "217.177.0.96/29", .ports = 1500,
	  .first_port = 1000, .netmap = true,
	  .expected = { "100.48.15.0 217.177.0.96 1000-2499", "100.48.15.7 217.177.0.103 1000-2499",
			"100.48.15.8 217.177.0.96 2500-3999" } },
	{ "php-cgnat, shrunk", "100.65.0.0/22", "198.0.2.1-198.0.2.32", .ports = 2014, .pitch = 2016,
	  .first_port = 1026, .nobody = "198.0.2.1:3040",
	  .expected = { "100.65.0.0 198.0.2.1 1026-3039", "100.65.0.31 198.0.2.1 63522-65535",
			"100.65.0.32 198.0.2.2 1026-3039" } },
	{ "RFC 7422", "198.51.100.1-198.51.100.14", "203.0.113.1", .ports = 4032,
	  .expected = { "198.51.100.1 203.0.113.1 1024-5055", "198.51.100.14 203.0.113.1 53440-57471" } },
	{ "port 0 belongs to no subscriber", "10.0.0.0/29", "192.0.2.1/32", .ports = 8192, .port_zero = true,
	  .nobody = "192.0.2.1:0", .expected = { "10.0.0.0 192.0.2.1 1-8191", "10.0.0.7 192.0.2.1 57344-65535" } },
	{ "one port each", "10.0.0.0-10.0.251.255", "192.0.2.1/32", .ratio = 64512,
	  .expected = { "10.0.0.0 192.0.2.1 1024-1024", "10.0.251.255 192.0.2.1 65535-65535" } },
	{ "addresses that are not counted", "10.0.0.0/30", "192.0.2.0/29", "192.0.2.0,192.0.2.2-192.0.2.3", .ratio = 1,
	  .expected = { "10.0.0.0 192.0.2.1 1024-65535", "10.0.0.1 192.0.2.4 1024-65535",
			"10.0.0.3 192.0.2.6 1024-65535" },
	  .nobody = "192.0.2.7:1024" },
	{ "lists on both sides", "10.0.0.0/30,10.9.0.0/31", "192.0.2.9,192.0.2.5,192.0.2.1", .ratio = 2,
	  .expected = { "10.0.0.2 192.0.2.5 1024-33279", "10.9.0.1 192.0.2.1 33280-65535" } },
	{ "too few addresses", "10.0.0.0/18", "192.0.2.0-192.0.2.125", .ports = 1008,
	  .refused = "holds 8064 of 16384 subscribers: ports_per_host 492, or 130 addresses more" },
	{ "the figures of that message", "10.0.0.0/18", "192.0.2.0-192.0.2.125", .ports = 492,
	  .expected = { "10.0.0.0 192.0.2.0 1024-1515" } },
	{ "a block too many", "10.0.0.0/27", "192.0.2.0", .ratio = 34, .ports = 1954,
	  .refused = "block 33 of 34 would end at port 67459: subscribers_per_address 33, or ports_per_host 1897" },
	{ "the figures of that message, too", "10.0.0.0/27", "192.0.2.0", .ratio = 34, .ports = 1897,
	  .expected = { "10.0.0.1 192.0.2.0 2921-4817" } },
	{ "two ranges on one address", "10.0.0.0/30,10.9.0.0/30", "192.0.2.0/30", .ratio = 3,
	  .refused = "in: 10.0.0.3-10.0.0.3 and 10.9.0.0 would share 192.0.2.1, but a range inside, unless it is the "
		     "last, must "
		     "fill its outside addresses: end it 1 addresses earlier, or write a mapping for each range" },
	{ "two ranges on one address, two subscribers of the first", "10.0.0.0/29,10.9.0.0/30", "192.0.2.0/30",
	  .ratio = 3,
	  .refused = "in: 10.0.0.6-10.0.0.7 and 10.9.0.0 would share 192.0.2.2, but a range inside, unless it is the "
		     "last, must "
		     "fill its outside addresses: end it 2 addresses earlier, or write a mapping for each range" },
	{ "a list with an address twice", "10.0.0.0/24,10.0.0.9", "192.0.2.0", .ratio = 300,
	  .refused = "in: 10.0.0.0/24 and 10.0.0.9/32 overlap: each address counts once" },
	{ "netmap of a range", "10.0.0.1-10.0.0.6", "192.0.2.0/31", .netmap = true,
	  .refused = "netmap order is for prefixes, or lists of equal prefixes: write a mapping for each" },
};

static void read_list(const char *text, struct plan_addresses *a)
{
	struct error err;

	if (text)
		cr_assert_eq(plan_addresses_read(text, a, &err), 0, "%s: %s", text, err.text);
}

static void check(const struct row *row)
{
	struct plan_mapping m = PLAN_MAPPING;
	_cleanup_plan_ struct plan plan = { 0 };
	struct error err = { "" };
	int r;

	read_list(row->in, &m.in);
	read_list(row->out, &m.out);
	read_list(row->exclude, &m.exclude);
	m.subscribers_per_address = row->ratio;
	m.ports_per_host = row->ports;
	m.block_pitch = row->pitch;
	m.first_port = row->port_zero ? 0 : row->first_port ? row->first_port : MAPPING_FIRST_PORT;
	m.order = row->netmap ? PLAN_NETMAP : PLAN_SEQUENTIAL;
	r = plan_add(&plan, &m, &err);
	plan_mapping_free(&m);
	if (row->refused) {
		cr_assert_eq(r, -EINVAL, "%s", row->name);
		cr_assert_str_eq(err.text, row->refused, "%s: %s", row->name, err.text);
		return;
	}
	cr_assert_eq(r, 0, "%s: %s", row->name, err.text);
	for (size_t i = 0; i < 8 && row->expected[i]; i++) {
		char in[ADDR_TEXT], out[ADDR_TEXT], found[96];
		struct plan_place place, back;
		uint32_t addr;

		cr_assert_eq(sscanf(row->expected[i], "%23s", in), 1);
		cr_assert_eq(addr_parse(in, &addr), 0);
		cr_assert_eq(plan_forward(&plan, 0, addr, &place), 0, "%s: %s", row->name, in);
		snprintf(found, sizeof(found), "%s %s %u-%u", in, addr_format(place.block.out_addr, out),
			 place.block.port_lo, place.block.port_hi);
		cr_assert_str_eq(found, row->expected[i], "%s: %s", row->name, found);
		for (uint32_t port = place.block.port_lo; port <= place.block.port_hi; port++) {
			cr_assert_eq(plan_reverse(&plan, place.block.out_addr, (uint16_t)port, &back, NULL), 0);
			cr_assert_eq(back.in_addr, addr, "%s: port %u", row->name, port);
		}
	}
	if (row->nobody) {
		struct endpoint e;
		struct plan_place place;

		cr_assert_eq(endpoint_parse(row->nobody, &e), 0);
		cr_assert(plan_reverse(&plan, e.addr, e.port, &place, NULL) < 0, "%s: %s", row->name, row->nobody);
	}
}

Test(plan, plans_of_other_systems_give_the_same_addresses_and_ports)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		check(&rows[i]);
}

/* A model with real division, for every port of two outside addresses. */
static void check_address(uint32_t ratio, uint32_t ports, uint32_t pitch, uint32_t first, bool netmap)
{
	const struct mapping_parameters p = { .in_base = 0x0a000001,
					      .last_subscriber = 2 * ratio - 1 - (ratio > 1),
					      .out_base = 0xc0000200,
					      .last_out = 1,
					      .ratio = ratio,
					      .first_port = first,
					      .pitch = pitch,
					      .ports_per_host = ports,
					      .netmap = netmap };
	struct geometry g;

	cr_assert_eq(mapping_make(&p, &g), 0, "R %u P %u S %u F %u", ratio, ports, pitch, first);
	for (uint32_t a = 0; a < 2; a++)
		for (uint32_t port = 0; port < 65536; port++) {
			uint32_t k = port < first ? 0 : (port - first) / pitch;
			int64_t model = netmap ? a + 2 * k : a * ratio + k,
				found = mapping_reverse(&g, g.out_base + a, port);

			if (!port || port < first || k >= ratio || (port - first) % pitch >= ports ||
			    model > p.last_subscriber)
				model = -1;
			cr_assert_eq(found, model, "R %u P %u S %u F %u port %u: %" PRId64 ", not %" PRId64, ratio,
				     ports, pitch, first, port, found, model);
		}
	for (uint32_t i = 0; i <= p.last_subscriber; i++) {
		uint32_t a = netmap ? i % 2 : i / ratio, k = netmap ? i / 2 : i % ratio;

		cr_assert_eq(mapping_out_addr(&g, i), g.out_base + a);
		cr_assert_eq(mapping_port_lo(&g, i), first + pitch * k);
	}
}

Test(plan, every_ratio_pitch_and_block_is_exact_in_both_orders)
{
	for (uint32_t ratio = 1; ratio <= MAPPING_MAX_RATIO; ratio += 1 + ratio / 12) {
		uint32_t most = 64512 / ratio;

		for (int netmap = 0; netmap < 2; netmap++) {
			check_address(ratio, most, most, 1024, netmap);
			check_address(ratio, most - most / 3, most, 1024 - (most > 2), netmap);
			if (most > 2)
				check_address(ratio, most - 1, most, 0, netmap);
		}
	}
}

Test(plan, division_by_every_divisor_is_exact_for_every_port)
{
	for (uint32_t d = 1; d <= MAPPING_MAX_BLOCK; d++)
		for (uint32_t n = 0, q = 0, rest = 0; n < 65536; n++) {
			if (mapping_by_inverse(n, ~0U / d) != q)
				cr_assert_fail("%u / %u", n, d);
			if (++rest == d) {
				rest = 0;
				q++;
			}
		}
}

Test(plan, division_by_every_ratio_is_exact_at_its_edges)
{
	for (uint32_t ratio = 1; ratio <= MAPPING_MAX_RATIO; ratio++) {
		const struct mapping_parameters p = { .last_subscriber = (uint32_t)(MAPPING_MAX_SUBSCRIBERS - 1),
						      .last_out = (uint32_t)((MAPPING_MAX_SUBSCRIBERS - 1) / ratio),
						      .ratio = ratio,
						      .first_port = 1024,
						      .pitch = 1,
						      .ports_per_host = 1 };
		struct geometry g;

		cr_assert_eq(mapping_make(&p, &g), 0);
		for (uint64_t step = 0; step < 512; step++) {
			uint64_t q = step < 256 ? step : (MAPPING_MAX_SUBSCRIBERS - 1) / ratio - (step - 256),
				 n = q * ratio;

			if ((int64_t)q < 0 || n + ratio > MAPPING_MAX_SUBSCRIBERS)
				continue;
			if (mapping_quotient(&g, (uint32_t)n) != q ||
			    mapping_quotient(&g, (uint32_t)(n + ratio - 1)) != q)
				cr_assert_fail("%" PRIu64 " / %u", n, ratio);
		}
	}
}

static void add_of(struct plan *p, uint32_t tenant, const char *in, const char *out)
{
	_cleanup_plan_mapping_ struct plan_mapping m = PLAN_MAPPING;
	struct error err;

	m.tenant = tenant;
	cr_assert_eq(plan_addresses_read(in, &m.in, &err), 0);
	cr_assert_eq(plan_addresses_read(out, &m.out, &err), 0);
	cr_assert_eq(plan_add(p, &m, &err), 0, "%s", err.text);
}

Test(plan, an_inside_address_is_of_each_tenant_that_has_it)
{
	_cleanup_plan_ struct plan p = { 0 };
	struct plan_place place;

	add_of(&p, 2, "10.0.0.0/24", "192.0.2.0/30");
	add_of(&p, 1, "10.0.0.0/24", "192.0.3.0/30");
	add_of(&p, 1, "10.0.0.7", "192.0.4.0");
	add_of(&p, 3, "10.0.0.128-10.0.1.9", "192.0.5.0/29");
	for (uint32_t tenant = 1; tenant <= 2; tenant++) {
		cr_assert_eq(plan_forward(&p, tenant, 0x0a000005, &place), 0);
		cr_expect_eq(place.block.out_addr, tenant == 1 ? 0xc0000300 : 0xc0000200);
		cr_assert_eq(plan_reverse(&p, place.block.out_addr, place.block.port_lo, &place, NULL), 0);
		cr_expect_eq(place.in_addr, 0x0a000005);
		cr_expect_eq(place.part->tenant, tenant);
	}
	cr_assert_eq(plan_forward(&p, 1, 0x0a000007, &place), 0);
	cr_expect_eq(place.block.out_addr, 0xc0000400);
	cr_assert_eq(plan_forward(&p, 2, 0x0a000007, &place), 0);
	cr_assert_eq(plan_reverse(&p, 0xc0000200, place.block.port_lo, &place, NULL), 0, "the other's exception");
	cr_expect_eq(plan_reverse(&p, 0xc0000300, place.block.port_lo, &place, NULL), -EADDRNOTAVAIL, "its own");
	cr_expect_eq(plan_forward(&p, 3, 0x0a000005, &place), -ENOENT);
	cr_expect_eq(plan_forward(&p, 0, 0x0a000005, &place), -ENOENT);
}
