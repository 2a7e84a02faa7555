/* SPDX-License-Identifier: BSD-2-Clause */
/* The arithmetic of <detnat/mapping.h> against real division, a slow model, and the worked examples of RFC 7422 and
 * VPP. */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "config/config.h"

static struct geometry geometry(const char *in, const char *out)
{
	struct prefix a, b;
	struct geometry g;

	cr_assert_eq(prefix_parse(in, &a), 0);
	cr_assert_eq(prefix_parse(out, &b), 0);
	cr_assert_eq(mapping_geometry(a.base, a.plen, b.base, b.plen, &g), 0, "%s to %s", in, out);
	return g;
}

static uint32_t addr(const char *text)
{
	uint32_t a;

	cr_assert_eq(addr_parse(text, &a), 0);
	return a;
}

/* A slow model, written from RFC 7422 alone: one port after the other, with no division. */

struct model {
	uint64_t ratio;
	uint32_t ports_per_host;
};

static struct model model_of(unsigned in_plen, unsigned out_plen)
{
	struct model m = { .ratio = 1 };

	for (unsigned i = in_plen; i < out_plen; i++)
		m.ratio *= 2;
	for (uint64_t taken = m.ratio; taken <= 65536 - 1024; taken += m.ratio)
		m.ports_per_host++;
	return m;
}

/* Which subscriber of an outside address has a port: hands out block after block. -1: none. */
static int64_t model_block(const struct model *m, uint32_t port)
{
	uint32_t next = 1024;

	for (uint64_t block = 0; block < m->ratio; block++)
		for (uint32_t i = 0; i < m->ports_per_host; i++)
			if (next++ == port)
				return (int64_t)block;
	return -1;
}

Test(mapping, division_is_exact_for_every_dividend_and_divisor)
{
	for (uint32_t ports = 1; ports <= MAPPING_PORTS; ports++) {
		/* Of all divisors those that occur in full, and of the rest the dividends at which the quotient
		 * changes. */
		struct geometry g = { .ports_per_host = ports, .ports_inverse = ~0U / ports };
		bool occurs = false;

		for (unsigned shift = 0; shift <= MAPPING_MAX_RATIO_SHIFT; shift++)
			occurs |= ports == MAPPING_PORTS >> shift;
		for (uint32_t n = 0; occurs && n < 65536; n++)
			cr_assert_eq(mapping_divide(&g, n), n / ports, "%u / %u", n, ports);
		for (uint32_t n = ports; n < 65536; n += ports) {
			cr_assert_eq(mapping_divide(&g, n), n / ports, "%u / %u", n, ports);
			cr_assert_eq(mapping_divide(&g, n - 1), (n - 1) / ports, "%u / %u", n - 1, ports);
		}
		cr_assert_eq(mapping_divide(&g, 65535), 65535 / ports, "65535 / %u", ports);
	}
}

Test(mapping, worked_examples)
{
	static const struct {
		const char *in, *out, *in_addr, *out_addr;
		unsigned lo, hi;
	} rows[] = {
		{ "10.0.0.0/18", "1.1.1.0/30", "10.0.0.0", "1.1.1.0", 1024, 1038 },
		{ "10.0.0.0/18", "1.1.1.0/30", "10.0.0.2", "1.1.1.0", 1054, 1068 },
		{ "10.0.0.0/18", "1.1.1.0/30", "10.0.16.16", "1.1.1.1", 1264, 1278 },
		{ "10.0.0.0/18", "1.1.1.0/30", "10.0.63.255", "1.1.1.3", 62449, 62463 },
		{ "10.0.0.0/24", "1.1.1.0/24", "10.0.0.255", "1.1.1.255", 1024, 65535 },
		{ "10.0.0.7/32", "1.1.1.1/32", "10.0.0.7", "1.1.1.1", 1024, 65535 },
		{ "10.0.0.0/17", "1.1.1.1/32", "10.0.127.255", "1.1.1.1", 33791, 33791 },
		{ "10.0.0.0/31", "1.1.1.1/32", "10.0.0.1", "1.1.1.1", 33280, 65535 },
		{ "10.200.3.9/18", "1.1.1.1/30", "10.200.0.2", "1.1.1.0", 1054, 1068 },
		{ "128.0.0.0/1", "0.0.0.0/1", "255.255.255.255", "127.255.255.255", 1024, 65535 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct geometry g = geometry(rows[i].in, rows[i].out);
		struct port_block b = mapping_forward(&g, addr(rows[i].in_addr));

		cr_expect_eq(b.out_addr, addr(rows[i].out_addr), "row %zu: %s", i, rows[i].in_addr);
		cr_expect_eq(b.port_lo, rows[i].lo, "row %zu: from %u", i, b.port_lo);
		cr_expect_eq(b.port_hi, rows[i].hi, "row %zu: to %u", i, b.port_hi);
	}
}

Test(mapping, reverse_of_the_example_of_vpp)
{
	struct geometry g = geometry("10.0.0.0/18", "1.1.1.0/30");

	cr_expect_eq(g.ports_per_host, 15);
	cr_expect_eq(1U << g.ratio_shift, 4096);
	cr_expect_eq(g.in_base + (uint32_t)mapping_reverse(&g, addr("1.1.1.1"), 1276), addr("10.0.16.16"));
	cr_expect_eq(mapping_reverse(&g, addr("1.1.1.0"), 1023), -1, "below the first port");
	cr_expect_eq(mapping_reverse(&g, addr("1.1.1.0"), 0), -1);
	cr_expect_eq(mapping_reverse(&g, addr("1.1.1.0"), 1024), 0);
	cr_expect_eq(mapping_reverse(&g, addr("1.1.1.0"), 1024 + 4096 * 15 - 1), 4095, "the last block's last port");
	cr_expect_eq(mapping_reverse(&g, addr("1.1.1.0"), 1024 + 4096 * 15), -1, "the first remainder port");
	cr_expect_eq(mapping_reverse(&g, addr("1.1.1.0"), 65535), -1, "the last remainder port");
}

Test(mapping, every_port_of_every_ratio_belongs_to_whom_the_model_says)
{
	for (unsigned shift = 0; shift <= MAPPING_MAX_RATIO_SHIFT; shift++) {
		unsigned in_plen = 16 - shift % 8, out_plen = in_plen + shift;
		struct model m = model_of(in_plen, out_plen);
		struct geometry g;
		int64_t block = -1;

		cr_assert_eq(mapping_geometry(0x0a000000, in_plen, 0x01010100, out_plen, &g), 0);
		cr_assert_eq(g.ports_per_host, m.ports_per_host, "ratio %" PRIu64, m.ratio);
		cr_assert_eq(1ULL << g.ratio_shift, m.ratio);
		for (uint32_t port = 0; port < 65536; port++) {
			uint32_t out = g.out_base + (port * 7919U) % (uint32_t)prefix_size(out_plen);
			int64_t subscriber = mapping_reverse(&g, out, port), in_address;

			/* The model hands the ports out in order; counting along saves starting over for each. */
			if (port >= 1024)
				block = (port - 1024) % m.ports_per_host == 0 ? block + 1 : block;
			if (port < 1024 || block >= (int64_t)m.ratio) {
				cr_assert_eq(subscriber, -1, "port %u of ratio %" PRIu64, port, m.ratio);
				continue;
			}
			in_address = (int64_t)(out - g.out_base) * (int64_t)m.ratio + block;
			cr_assert_eq(subscriber, in_address, "port %u of ratio %" PRIu64, port, m.ratio);
		}
		for (uint32_t port = 1; port < 65536; port = port * 3 + 1)
			cr_assert_eq(mapping_reverse(&g, g.out_base, port), model_block(&m, port), "port %u", port);
	}
}

Test(mapping, forward_and_reverse_agree_for_every_pair_of_lengths)
{
	for (unsigned in_plen = 0; in_plen <= 32; in_plen++) {
		for (unsigned out_plen = in_plen; out_plen <= 32 && out_plen - in_plen <= MAPPING_MAX_RATIO_SHIFT;
		     out_plen++) {
			struct geometry g;
			uint64_t size = prefix_size(in_plen), step = size / 1021 + 1;

			cr_assert_eq(mapping_geometry(0xaaaaaaaa, in_plen, 0x55555555, out_plen, &g), 0);
			cr_assert_eq(g.in_base, 0xaaaaaaaa & prefix_mask(in_plen), "host bits are cleared");
			cr_assert_eq(g.out_base, 0x55555555 & prefix_mask(out_plen));
			for (uint64_t i = 0; i < size + step; i += step) {
				uint32_t subscriber = (uint32_t)(i < size ? i : size - 1); /* the last one too */
				struct port_block b = mapping_forward(&g, g.in_base + subscriber);

				cr_assert_eq(mapping_subscriber(&g, g.in_base + subscriber), subscriber);
				cr_assert(prefix_contains(g.out_base, out_plen, b.out_addr));
				cr_assert_geq(b.port_lo, 1024);
				cr_assert_eq(b.port_hi - b.port_lo + 1, (int)g.ports_per_host);
				cr_assert_eq(mapping_reverse(&g, b.out_addr, b.port_lo), subscriber);
				cr_assert_eq(mapping_reverse(&g, b.out_addr, b.port_hi), subscriber);
				if (b.port_lo > 1024)
					cr_assert_eq(mapping_reverse(&g, b.out_addr, b.port_lo - 1U), subscriber - 1);
			}
		}
	}
}

Test(mapping, first_choice_is_the_inside_port_modulo_the_block)
{
	for (unsigned shift = 0; shift <= MAPPING_MAX_RATIO_SHIFT; shift++) {
		struct geometry g;

		cr_assert_eq(mapping_geometry(0, 1, 0x80000000, 1 + shift, &g), 0);
		for (uint32_t port = 0; port < 65536; port++)
			cr_assert_eq(mapping_first_choice(&g, port), port % (MAPPING_PORTS >> shift),
				     "port %u, shift %u", port, shift);
	}
}

Test(mapping, lengths_that_leave_no_port_or_make_no_sense_are_refused)
{
	struct geometry g = { .in_base = 0xdeadbeef };

	for (unsigned in_plen = 0; in_plen <= 40; in_plen++) {
		for (unsigned out_plen = 0; out_plen <= 40; out_plen++) {
			int good = in_plen <= 32 && out_plen <= 32 && out_plen >= in_plen && out_plen - in_plen <= 15;
			struct geometry made = g;

			cr_assert_eq(mapping_geometry(0, in_plen, 0, out_plen, &made), good ? 0 : -1, "/%u to /%u",
				     in_plen, out_plen);
			if (!good)
				cr_assert_eq(made.in_base, 0xdeadbeef, "nothing is written");
		}
	}
	cr_expect_eq(mapping_geometry(0, 1, 0, UINT32_MAX, &g), -1);
	cr_expect_eq(mapping_geometry(0, UINT32_MAX, 0, 32, &g), -1);
}

Test(mapping, prefixes)
{
	cr_expect_eq(prefix_mask(0), 0);
	cr_expect_eq(prefix_mask(1), 0x80000000);
	cr_expect_eq(prefix_mask(32), 0xffffffff);
	cr_expect_eq(prefix_size(0), 1ULL << 32);
	cr_expect_eq(prefix_size(32), 1);
	cr_expect(prefix_contains(0x0a000000, 8, 0x0affffff));
	cr_expect_not(prefix_contains(0x0a000000, 8, 0x0b000000));
	cr_expect(prefix_contains(0, 0, 0xffffffff));
	cr_expect(prefix_overlaps(0x0a000000, 8, 0x0a010000, 16));
	cr_expect(prefix_overlaps(0x0a010000, 16, 0x0a000000, 8));
	cr_expect(prefix_overlaps(0, 0, 0xffffffff, 32));
	cr_expect_not(prefix_overlaps(0x0a010000, 16, 0x0a020000, 16));
}

Test(mapping, an_open_mapping_has_all_ports_of_its_addresses)
{
	struct geometry g;
	struct port_block block;

	cr_assert_eq(mapping_geometry(0x0a000000, 24, 0xcb007100, 24, &g), 0);
	block = mapping_block(&g, 0x0a000007);
	cr_expect_eq(block.port_lo, 1024);
	cr_expect_eq(block.port_hi, 65535);
	cr_expect_eq(mapping_owner(&g, 0xcb007107, 1023), -1);
	g.flags = MAPPING_OPEN;
	block = mapping_block(&g, 0x0a000007);
	cr_expect_eq(block.out_addr, 0xcb007107);
	cr_expect_eq(block.port_lo, 0);
	cr_expect_eq(block.port_hi, 65535);
	cr_expect_eq(mapping_owner(&g, 0xcb007107, 0), 7);
	cr_expect_eq(mapping_geometry(0x0a000000, 20, 0xcb007100, 33, &g), -1);
}
