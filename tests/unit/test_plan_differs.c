// SPDX-License-Identifier: BSD-2-Clause
/* A change after which the tables are not what the history says of it: that is said, and the history follows them. */
#include <criterion/criterion.h>
#include <string.h>

#include "plan_apart.h"

static struct change_plan *commit_with(const char *letters)
{
	struct change_plan *p;
	struct error err = { 0 };

	cr_assert_eq(plan_new(&context, config_with(letters), 1, false, NULL, &p, &err), 0, "%s", err.text);
	cr_assert_eq(prepare(p, 0, &err), PLAN_READY, "%s", err.text);
	forget_calls();
	cr_assert_eq(plan_commit(p, &err), 0, "%s", err.text);
	return p;
}

Test(plan_differs, a_change_that_took_effect_is_confirmed_once_it_was_compared, .init = plan_set_up)
{
	run_with("a");
	change_plan_free(commit_with("ab"));
	cr_expect_not_null(strstr(calls, "holds-change confirm"), "%s", calls);
	cr_expect_null(strstr(calls, "reconcile"), "%s", calls);
}

Test(plan_differs, where_the_tables_differ_the_history_is_compared_with_all_of_them, .init = plan_set_up)
{
	run_with("a");
	failing = "holds-change";
	failing_number = 1;
	change_plan_free(commit_with("ab"));
	cr_expect_not_null(strstr(calls, "holds-change differs reconcile"), "%s", calls);
	cr_expect_null(strstr(calls, "confirm"), "%s", calls);
}

Test(plan_differs, portmaps_that_begin_or_end_are_compared, .init = plan_set_up)
{
	run_with("a");
	change_plan_free(commit_with("a@"));
	cr_expect_not_null(strstr(calls, "holds-change holds-portmaps confirm"), "%s", calls);
	change_plan_free(commit_with("a"));
	cr_expect_not_null(strstr(calls, "holds-change holds-portmaps confirm"), "%s", calls);
	failing = "holds-portmaps";
	failing_number = 1;
	change_plan_free(commit_with("a@"));
	cr_expect_not_null(strstr(calls, "holds-portmaps differs reconcile"), "%s", calls);
}
