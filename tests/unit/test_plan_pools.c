// SPDX-License-Identifier: BSD-2-Clause
/* Which changes leave the routes of outside addresses and the copy of the routing table alone: those that keep them
 * all. */
#include <criterion/criterion.h>
#include <string.h>

#include "config/port_pairs.h"
#include "plan_apart.h"

static struct change_options options;
static const struct config_portmap another = {
	.protos = PORTMAP_OF_UDP,
	.in = { 0x0a000004, 8000, 8000 },
};

/*
 * Carries out a change, as of a command, and tells whether the outside addresses were looked at; ? adds another
 * portmap. With other programs, the interfaces are looked at in any case.
 */
static bool looks_at_pools(const char *letters)
{
	struct config *c = config_with(letters);
	struct change_plan *p;
	struct error err = { 0 };
	bool excluded, applied;

	if (strchr(letters, '?'))
		cr_assert_eq(config_add_portmap(c, &another), 0);
	cr_assert_eq(plan_new_with(&context, c, 1, false, NULL, &options, &p, &err), 0, "%s", err.text);
	cr_assert_eq(prepare(p, 0, &err), PLAN_READY, "%s", err.text);
	forget_calls();
	cr_assert_eq(plan_commit(p, &err), 0, "%s", err.text);
	change_plan_free(p);
	excluded = strstr(calls, "exclude");
	applied = strstr(calls, "apply");
	cr_expect_eq(excluded || strstr(calls, "swap"), applied, "%s", calls);
	return excluded;
}

TestSuite(plan_pools, .init = plan_set_up);

Test(plan_pools, a_change_that_keeps_them_looks_at_none)
{
	run_with("ab");
	cr_expect_not(looks_at_pools("ab@"));
	run_with("ab@");
	cr_expect_not(looks_at_pools("ab@?"));
	cr_expect_not(looks_at_pools("ab@"));
}

Test(plan_pools, a_mapping_that_comes_or_goes_changes_them)
{
	run_with("ab");
	cr_expect(looks_at_pools("abc"));
	cr_expect(looks_at_pools("ac"));
	cr_expect(looks_at_pools("#a"), "it has the same addresses, but its table is another");
}

Test(plan_pools, other_keys_are_looked_at_with_the_whole)
{
	run_with("ab");
	cr_expect(looks_at_pools("ab+"));
	cr_expect(looks_at_pools("ab!"));
}

/* The addresses of what drains have their routes until it is over, and a change ends it that comes then. */
Test(plan_pools, what_drains_changes_them_when_it_is_over)
{
	const struct mapping_drain *drain;

	run_with("ab");
	options = (struct change_options){ .drain_given = true, .drain = 100 };
	cr_expect(looks_at_pools("a"));
	options = (struct change_options){ 0 };
	cr_assert_eq(mappings_drains(context.mappings, &drain), 1);
	cr_expect(looks_at_pools("a@"));
	options = (struct change_options){ .timed = true,
					   .timed_in = tables_spec(mapping_of[1][0], mapping_of[1][1]).in,
					   .timed_out = tables_spec(mapping_of[1][0], mapping_of[1][1]).out };
	cr_expect(looks_at_pools("a@"));
	options = (struct change_options){ 0 };
	cr_assert_eq(mappings_drains(context.mappings, &drain), 0);
	cr_expect_not(looks_at_pools("a"));
}
