/* SPDX-License-Identifier: BSD-2-Clause */
/* The set of gateways: what it holds, and that it says so where it cannot hold more. */
#include <criterion/criterion.h>

#include "fib/gateways.h"

Test(fib_gateways, a_set)
{
	struct fib_gateways g = { 0 };

	cr_expect_not(fib_gateways_in(&g, 0, 0));
	for (uint32_t i = 0; i < 1000; i++)
		fib_gateways_add(&g, 0x0a000000 + (i % 500) * 2);
	cr_expect_eq(g.addrs.n, 500);
	for (uint32_t i = 0; i < 500; i++) {
		cr_expect(fib_gateways_in(&g, 0x0a000000 + i * 2, 32));
		cr_expect_not(fib_gateways_in(&g, 0x0a000001 + i * 2, 32));
	}
	cr_expect(fib_gateways_in(&g, 0x0a000000, 8));
	cr_expect_not(fib_gateways_in(&g, 0x0b000000, 8));
	cr_expect(fib_gateways_in(&g, 0, 0));
	fib_gateways_free(&g);
	cr_expect_not(fib_gateways_in(&g, 0, 0));
}

Test(fib_gateways, too_many)
{
	struct fib_gateways g = { 0 };

	for (uint32_t i = 1; !g.lost; i++) {
		cr_assert_lt(i, 1000000U);
		fib_gateways_add(&g, i);
	}
	cr_expect_gt(g.addrs.n, 65000U);
	cr_expect(fib_gateways_in(&g, 0xc0000000, 8), "one of those that are lost may be in it");
	fib_gateways_free(&g);
	cr_expect_not(fib_gateways_in(&g, 0xc0000000, 8));
}
