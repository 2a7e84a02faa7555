// SPDX-License-Identifier: BSD-2-Clause
/* The subscribers of an outside address, against the way from each of them; and how mappings are told apart. */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "base/base.h"

static struct geometry made(uint32_t n_in, uint32_t n_out, uint32_t ratio, uint32_t ports, uint32_t netmap)
{
	const struct mapping_parameters p = { .in_base = 0x0a000000,
					      .last_subscriber = n_in - 1,
					      .out_base = 0xcb007100,
					      .last_out = n_out - 1,
					      .ratio = ratio,
					      .first_port = 1024,
					      .pitch = ports,
					      .ports_per_host = ports,
					      .netmap = netmap };
	struct geometry g;

	cr_assert_eq(mapping_make(&p, &g), 0, "%u on %u, %u an address", n_in, n_out, ratio);
	return g;
}

static void expect_sharers(const struct geometry *g)
{
	for (uint32_t a = 0; a <= g->last_out; a++) {
		uint32_t addr = g->out_base + a, n = 0, first, stride,
			 found = mapping_sharers(g, addr, &first, &stride);

		for (uint32_t i = 0; i <= g->last_subscriber; i++) {
			if (mapping_out_addr(g, i) != addr)
				continue;
			cr_assert_eq(i, first + n * stride, "subscriber %u of address %u", i, a);
			n++;
		}
		cr_assert_eq(found, n, "address %u", a);
	}
}

Test(mapping_sharers, are_those_that_leave_through_the_address)
{
	for (uint32_t ratio = 1; ratio <= 40; ratio++)
		for (uint32_t n_in = 1; n_in <= 16 * ratio; n_in += 7) {
			struct geometry in_order = made(n_in, 16, ratio, 1000, 0),
					netmap = made(n_in, 16, ratio, 1000, 1);

			expect_sharers(&in_order);
			expect_sharers(&netmap);
		}
}

Test(mapping_sharers, layouts_are_told_apart)
{
	const struct geometry plain = made(1024, 32, 32, 2016, 0), fewer = made(1024, 32, 32, 2000, 0),
			      netmap = made(1024, 32, 32, 2016, 1), more = made(1024, 32, 63, 1024, 0),
			      wider = made(1024, 32, 64, 1008, 0);

	cr_expect(mapping_is_plain(&plain));
	cr_expect_eq(mapping_layout(&plain), 0);
	cr_expect_eq(plain.ratio_shift, 5);
	cr_expect_neq(mapping_layout(&fewer), 0);
	cr_expect_neq(mapping_layout(&netmap), 0);
	cr_expect_neq(mapping_layout(&more), 0);
	cr_expect_geq(more.ratio_shift, 16);
	/* The blocks are those of other prefixes; between these they are none of the defaults. */
	cr_expect(mapping_is_plain(&wider));
	cr_expect_neq(mapping_layout(&wider), 0);
	cr_expect_eq(wider.ratio_shift, 6);
	cr_expect(mapping_equal(&plain, &plain));
	cr_expect_not(mapping_equal(&plain, &fewer));
	cr_expect_not(mapping_equal(&plain, &netmap));
	cr_expect_not(mapping_equal(&plain, &wider));
}
