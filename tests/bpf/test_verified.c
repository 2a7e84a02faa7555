// SPDX-License-Identifier: BSD-2-Clause
/* What a start asks of the kernel's verifier, which takes most of its time. VERIFIED=1 lists the programs. */
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "late_tc.h"
#include "staged.h"
#include "verified.h"

/*
 * Loads what the agent loads at its start with these settings and, as by default, extents; and has it stay within a
 * limit. Kernels and compilers differ by some percent (clang 19 needs two more than 14); the limits leave room for
 * that.
 */
static void expect_start(const char *what, const struct settings *with, unsigned limit)
{
	if (staged_wanted() || getenv("TRACED"))
		cr_skip_test("for the ordinary programs");
	settings = *with;
	settings.extent_buckets = 8192;
	set_up();
	tc_program();
	cr_expect_leq(verified_report(what), limit);
	tear_down();
}

Test(verified, an_ordinary_start_asks_little_of_the_verifier)
{
	struct settings ordinary = settings;

	expect_start("a start", &ordinary, 320000);
}

Test(verified, so_does_one_with_endpoint_independent_mapping_and_portmaps)
{
	struct settings with = settings;

	with.portmaps = 1;
	bindings.mapping = 1;
	expect_start("a start with endpoint-independent mapping and portmaps", &with, 400000);
}

Test(verified, so_does_one_with_ipv6_subscribers)
{
	struct settings with = settings;

	with.six = 1;
	with.tcp_mss_clamp = MSS_CLAMP_MTU;
	expect_start("a start with IPv6 subscribers", &with, 750000);
}

Test(verified, one_with_everything_asks_for_three_times_as_much)
{
	struct settings all = settings;

	all.portmaps = 1;
	all.tcp_mss_clamp = MSS_CLAMP_MTU;
	all.session_events = 1;
	all.tc = TC_ALONE | TC_BARE;
	user_limits.sessions[LIMIT_TCP] = 1;
	bindings.mapping = bindings.filtering = 1;
	expect_start("a start with everything", &all, 1070000);
}
