// SPDX-License-Identifier: BSD-2-Clause
/* What a start asks of the kernel's verifier, which takes most of its time. VERIFIED=1 lists the programs. */
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "late_tc.h"
#include "staged.h"
#include "verified.h"

/* From the agent's start on, with the objects that each asks for. */
static unsigned start_with(const char *what, const struct settings *with)
{
	unsigned sum;

	settings = *with;
	set_up();
	tc_program();
	sum = verified_report(what);
	tear_down();
	return sum;
}

Test(verified, an_ordinary_start_asks_little_of_the_verifier)
{
	struct settings ordinary = settings;

	if (staged_wanted() || getenv("TRACED"))
		cr_skip_test("for the ordinary programs");
	cr_expect_leq(start_with("a start", &ordinary), 400000);
}

Test(verified, so_does_one_with_everything_on)
{
	struct settings all = settings;

	if (staged_wanted() || getenv("TRACED"))
		cr_skip_test("for the ordinary programs");
	all.portmaps = 1;
	all.tcp_mss_clamp = MSS_CLAMP_MTU;
	all.session_events = 1;
	all.tc = TC_ALONE | TC_BARE;
	bindings.mapping = bindings.filtering = 1;
	cr_expect_leq(start_with("a start with everything", &all), 1300000);
}
