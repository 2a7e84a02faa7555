// SPDX-License-Identifier: BSD-2-Clause
/* The kernel's checks of source addresses, as read from a network namespace of the test's own. */
#include <criterion/criterion.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "routing/sources.h"

Test(sources, the_greater_of_an_interfaces_filter_and_that_of_all_counts)
{
	struct {
		struct rp_filters f;
		uint8_t beyond;
	} *read = calloc(1, sizeof(*read));

	read->beyond = 9;
	read->f.of[MAX_IFINDEX - 1] = 2;
	read->f.of[3] = 1;
	cr_expect_eq(rp_filter_of(&read->f, MAX_IFINDEX - 1), 2);
	cr_expect_eq(rp_filter_of(&read->f, 3), 1);
	cr_expect_eq(rp_filter_of(&read->f, 4), 0);
	read->f.all = 1;
	cr_expect_eq(rp_filter_of(&read->f, MAX_IFINDEX - 1), 2);
	cr_expect_eq(rp_filter_of(&read->f, 4), 1);
	cr_expect_eq(rp_filter_of(&read->f, MAX_IFINDEX), 0, "of interfaces that have no place nothing is known");
	cr_expect_eq(rp_filter_of(NULL, 3), 0);
	free(read);
}

static void write_filter(const char *name, int value)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
	f = fopen(path, "w");
	cr_assert(f, "%s", path);
	fprintf(f, "%d", value);
	cr_assert_eq(fclose(f), 0);
}

Test(sources, filters_are_read_of_all_interfaces_and_of_each)
{
	_cleanup_free_ struct rp_filters *f = NULL;
	struct netlink *netlink;
	struct link in, out;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	cr_assert_eq(netlink_new(&netlink), 0);
	cr_assert_eq(system("ip link add in0 type veth peer name out0"), 0);
	cr_assert_eq(link_by_name(netlink, "in0", &in), 0);
	cr_assert_eq(link_by_name(netlink, "out0", &out), 0);
	for (int all = 0; all <= 2; all++) {
		write_filter("all", all);
		write_filter("in0", 1);
		write_filter("out0", 2);
		cr_assert_eq(rp_filters_read(netlink, &f), 0);
		cr_expect_eq(f->all, all);
		cr_expect_eq(f->of[in.ifindex], 1);
		cr_expect_eq(f->of[out.ifindex], 2);
		free(take_pointer(f));
	}
	netlink_free(netlink);
}

Test(sources, how_strictly_sources_are_checked_follows_from_the_interfaces_and_their_filters)
{
	static const struct {
		struct {
			uint8_t roles, filter;
		} of[3];
		enum source_check check;
		bool any, outside;
	} rows[] = {
		{ { { DEVICE_INSIDE, 0 }, { DEVICE_OUTSIDE, 0 } }, SOURCES_ROUTED, false, false },
		{ { { DEVICE_INSIDE, 2 }, { DEVICE_OUTSIDE, 1 } }, SOURCES_ROUTED, true, false },
		{ { { DEVICE_INSIDE, 1 }, { DEVICE_OUTSIDE, 0 } }, SOURCES_STRICT, true, false },
		{ { { DEVICE_INSIDE, 1 }, { DEVICE_INSIDE, 0 } }, SOURCES_STRICT_EACH, true, false },
		{ { { DEVICE_INSIDE, 0 }, { DEVICE_INSIDE, 0 } }, SOURCES_ROUTED, false, false },
		{ { { DEVICE_OUTSIDE, 1 }, { DEVICE_OUTSIDE, 0 } }, SOURCES_ROUTED, false, true },
		{ { { DEVICE_OUTSIDE, 2 }, { DEVICE_OUTSIDE, 2 } }, SOURCES_ROUTED, false, false },
		{ { { DEVICE_INSIDE | DEVICE_OUTSIDE, 1 } }, SOURCES_STRICT, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rp_summary s = { 0 };

		for (size_t k = 0; k < 3; k++)
			rp_summary_add(&s, rows[i].of[k].roles, rows[i].of[k].filter, false);
		cr_expect_eq(rp_source_check(&s), rows[i].check, "row %zu", i);
		cr_expect_eq(s.inside_any, rows[i].any, "row %zu", i);
		cr_expect_eq(rp_outside_strict(&s), rows[i].outside, "row %zu", i);
	}
}
