// SPDX-License-Identifier: BSD-2-Clause
/* When records of one layout can be used as those of another. */
#include <bpf/btf.h>
#include <criterion/criterion.h>

#include "base/btf_layout.h"

struct member {
	const char *name;
	unsigned octets;
};

#define MEMBERS 5

struct row {
	const char *title;
	struct member from[MEMBERS], to[MEMBERS];
	bool fits;
};

static const struct row rows[] = {
	{ "the same members", { { "a", 4 }, { "b", 4 } }, { { "a", 4 }, { "b", 4 } }, true },
	{ "another order", { { "a", 4 }, { "b", 4 } }, { { "b", 4 }, { "a", 4 } }, false },
	{ "another name", { { "a", 4 }, { "b", 4 } }, { { "a", 4 }, { "c", 4 } }, false },
	{ "a name of before", { { "overflow", 4 } }, { { "beyond", 4 } }, true },
	{ "and back", { { "beyond", 4 } }, { { "overflow", 4 } }, true },
	{ "another size", { { "a", 4 } }, { { "a", 4 }, { "b", 4 } }, false },
	{ "a member in place of padding", { { "a", 4 }, { "pad", 4 } }, { { "a", 4 }, { "b", 4 } }, true },
	{ "several in place of padding",
	  { { "a", 4 }, { "unused", 12 } },
	  { { "a", 4 }, { "b", 1 }, { "pad", 3 }, { "c", 8 } },
	  true },
	{ "padding in place of a member", { { "a", 4 }, { "b", 4 } }, { { "a", 4 }, { "pad", 4 } }, false },
	{ "a member partly in place of another",
	  { { "a", 4 }, { "b", 2 }, { "pad", 2 } },
	  { { "a", 4 }, { "c", 4 } },
	  false },
	{ "a member that has another size", { { "a", 4 }, { "pad", 4 } }, { { "a", 8 } }, false },
};

static struct btf *types_of(const struct member *members)
{
	struct btf *types = btf__new_empty();
	int octet = btf__add_int(types, "octet", 1, 0), id[MEMBERS] = { 0 };
	unsigned size = 0, at = 0;

	for (unsigned i = 0; i < MEMBERS && members[i].name; size += members[i++].octets)
		id[i] = btf__add_array(types, octet, octet, members[i].octets);
	cr_assert_gt(btf__add_struct(types, "record", size), 0);
	for (unsigned i = 0; i < MEMBERS && members[i].name; at += members[i++].octets)
		cr_assert_eq(btf__add_field(types, members[i].name, id[i], at * 8, 0), 0);
	return types;
}

Test(btf_layout, records_fit_where_each_member_is_at_its_place)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct btf *from = types_of(rows[i].from), *to = types_of(rows[i].to);

		cr_expect_eq(layout_fits(from, to, "record"), rows[i].fits, "%s", rows[i].title);
		cr_expect_not(layout_fits(from, to, "recorded"), "%s", rows[i].title);
		btf__free(from);
		btf__free(to);
	}
}
