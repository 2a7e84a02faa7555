/* SPDX-License-Identifier: BSD-2-Clause */
/* The check of all tables while sessions come and go. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "table_check_fixture.h"

TestSuite(table_check_beside, .init = sessions_set_up);

/* Checks and repairs everything, a little at a time; after each step something happens. Returns how often it waited. */
static unsigned check_beside(void (*happens)(bool waits), struct findings *found, struct check_figures *ret_figures)
{
	struct table_check *c;
	unsigned waited = 0;
	int r;

	cr_assert_eq(table_check_new(m, true, found, &c), 0);
	do {
		r = table_check_step(c, 100);
		waited += r == TABLE_CHECK_WAITS;
		happens(r == TABLE_CHECK_WAITS);
		if (r == TABLE_CHECK_WAITS)
			usleep(200);
	} while (r > 0);
	cr_expect_eq(r, TABLE_CHECK_DONE);
	*ret_figures = *table_check_figures(c);
	table_check_free(c);
	return waited;
}

/* Cores that claim room for a session, and give it back as there is no port, while the check counts. */
static void admit(bool waits)
{
	d.global->overflow = waits ? 1 : 2;
}

Test(table_check_beside, a_session_that_is_being_admitted_is_no_fault_of_the_total)
{
	struct findings found = { 0 };
	struct check_figures f;

	right();
	d.global->overflow = 2;
	cr_expect_gt(check_beside(admit, &found, &f), 0);
	cr_expect_eq(found.total, 0, "%s", found.n ? found.finding[0].text : "-");
	findings_free(&found);
}

/* Sessions that begin between any two passes leave it open whether the total is wrong. */
static void begin_session(bool waits)
{
	static uint16_t port = 6000;

	if (waits)
		overflow_flow(port++);
}

Test(table_check_beside, a_total_that_cannot_be_judged_is_unsettled)
{
	struct findings found = { 0 };
	struct check_figures f;

	right();
	d.global->overflow = 10001;
	cr_expect_gt(check_beside(begin_session, &found, &f), 0);
	cr_expect_eq(f.unsettled, 1);
	cr_expect_eq(found.total, 0, "%s", found.n ? found.finding[0].text : "-");
	findings_free(&found);
}
