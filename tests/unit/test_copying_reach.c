/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway that had no use for copies of some addresses gets them once it has. */
#include <netinet/in.h>

#include "copying_fixture.h"

TestSuite(copying_reach, .init = pair_connect, .fini = pair_free, .timeout = 60);

#define HOST 7

static void changed(struct gateway *g)
{
	copying_mappings_changed(g->c);
}

/* What a whole copy is asked for by. */
static bool asks(struct gateway *g, struct gateway *of)
{
	struct told t = { 0 };

	of->wants_whole = false;
	pass(g, &t);
	hear(of, 1, &t);
	return of->wants_whole;
}

static void tell_whole(struct gateway *g, struct gateway *to)
{
	struct told t = { 0 };

	whole(g, &t);
	hear(to, 1, &t);
}

static void assert_copied_after(const struct mapping_spec *within)
{
	tables_add(b.m, within);
	changed(&b);
	exchange(&a, &b);
	open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	cr_assert_eq(b.counts.refused, 1);

	cr_assert_eq(mappings_del_of(b.m, 0, within->in, within->out), 0);
	changed(&b);
	cr_assert(asks(&b, &a));
	tell_whole(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(copying_held(b.c, 1), 1);
	cr_assert_not(asks(&b, &a), "once");
	tables_reclaim(b.m);
	pair_sound();
}

Test(copying_reach, sessions_of_addresses_that_another_mapping_had_are_told_again_when_it_is_gone)
{
	const struct mapping_spec within = tables_spec("10.0.0.0/28", "203.0.114.0/32");

	assert_copied_after(&within);
}

Test(copying_reach, and_those_that_an_exception_had)
{
	struct mapping_spec within = tables_spec("10.0.0.0/28", "203.0.114.0/32");

	within.out = PREFIX_NONE;
	assert_copied_after(&within);
}

Test(copying_reach, a_mapping_that_was_taken_out_and_put_back_between_two_passes_gets_its_copies_again)
{
	open_flow(&a, HOST, 5000, 7, IPPROTO_TCP, SESSION_ESTABLISHED);
	exchange(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	cr_assert_eq(mappings_del_of(b.m, 0, copying_spec.in, copying_spec.out), 0);
	changed(&b);
	tables_reclaim(b.m);
	b.number = tables_add(b.m, &copying_spec);
	changed(&b);
	cr_assert_eq(sessions_in(&b, HOST), 0);
	cr_assert(asks(&b, &a));
	tell_whole(&a, &b);
	cr_assert_eq(sessions_in(&b, HOST), 1);
	pair_sound();
}

Test(copying_reach, nothing_is_told_again_where_a_mapping_loses_addresses_or_another_one_changes)
{
	const struct mapping_spec within = tables_spec("10.0.0.0/28", "203.0.114.0/32"),
				  apart = tables_spec("10.9.0.0/28", "203.0.115.0/32");

	tables_add(b.m, &apart);
	changed(&b);
	cr_assert_not(asks(&b, &a));
	tables_add(b.m, &within);
	changed(&b);
	cr_assert_not(asks(&b, &a));
	cr_assert_eq(mappings_del_of(b.m, 0, apart.in, apart.out), 0);
	changed(&b);
	cr_assert_not(asks(&b, &a));
	changed(&b);
	cr_assert_not(asks(&b, &a));
	tables_reclaim(b.m);
	pair_sound();
}
