/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of the machine's addresses is the gateway's own on an interface. */
#include <criterion/criterion.h>

#include "host/netlink.h"

#define A(n) (0x0a000000U + (n))

Test(addresses, the_first_primary_address_of_the_widest_scope_else_any_global_one)
{
	static const struct {
		const char *name;
		struct address address[4];
		size_t count;
		uint32_t wanted;
	} row[] = {
		{ "no address anywhere", { { 0 } }, 0, 0 },
		{ "its only one", { { 2, A(1), RT_SCOPE_UNIVERSE, false } }, 1, A(1) },
		{ "the first of two",
		  { { 2, A(1), RT_SCOPE_UNIVERSE, false }, { 2, A(2), RT_SCOPE_UNIVERSE, false } },
		  2,
		  A(1) },
		{ "not a secondary one",
		  { { 2, A(1), RT_SCOPE_UNIVERSE, true }, { 2, A(2), RT_SCOPE_UNIVERSE, false } },
		  2,
		  A(2) },
		{ "a global one before a link-local one",
		  { { 2, A(1), RT_SCOPE_LINK, false }, { 2, A(2), RT_SCOPE_UNIVERSE, false } },
		  2,
		  A(2) },
		{ "a link-local one of its own before another's",
		  { { 3, A(1), RT_SCOPE_UNIVERSE, false }, { 2, A(2), RT_SCOPE_LINK, false } },
		  2,
		  A(2) },
		{ "another's where it has none", { { 3, A(1), RT_SCOPE_UNIVERSE, false } }, 1, A(1) },
		{ "the loopback's own is of no use", { { 1, A(1), RT_SCOPE_HOST, false } }, 1, 0 },
		{ "a host-scope one of its own is of no use", { { 2, A(1), RT_SCOPE_HOST, false } }, 1, 0 },
		{ "another's link-local one is of no use", { { 3, A(1), RT_SCOPE_LINK, false } }, 1, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++)
		cr_expect_eq(addresses_primary(row[i].address, row[i].count, 2), row[i].wanted, "%s", row[i].name);
}
