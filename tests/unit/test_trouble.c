/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of trouble, and when. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

#include "base/base.h"
#include "base/trouble.h"

TestSuite(trouble, .init = cr_redirect_stderr);

static void expect_log(const char *wanted)
{
	static char text[4096];

	fflush(stderr);
	text[fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr())] = '\0';
	cr_expect_str_eq(text, wanted, "%s", text);
}

Test(trouble, is_told_when_it_begins_when_it_changes_and_when_it_ends)
{
	cr_expect_null(trouble_get(TROUBLE_METRICS));
	cr_expect(trouble_set(TROUBLE_METRICS, "port %d", 1));
	cr_expect_not(trouble_set(TROUBLE_METRICS, "port %d", 1));
	cr_expect(trouble_set(TROUBLE_METRICS, "port %d", 2));
	cr_expect_str_eq(trouble_get(TROUBLE_METRICS)->text, "port 2");
	cr_expect_null(trouble_get(TROUBLE_HISTORY));
	trouble_tick();
	trouble_clear(TROUBLE_METRICS);
	trouble_clear(TROUBLE_METRICS);
	cr_expect_null(trouble_get(TROUBLE_METRICS));
	expect_log(
		"detnat-agent: error: port 1\ndetnat-agent: error: port 2\ndetnat-agent: metrics are served again\n");
}

Test(trouble, since_when_does_not_change_with_its_text)
{
	struct trouble_state *s;

	trouble_set(TROUBLE_IPFIX, "a");
	s = (struct trouble_state *)trouble_get(TROUBLE_IPFIX);
	s->since = 1;
	trouble_set(TROUBLE_IPFIX, "b");
	cr_expect_eq(s->since, 1);
}

Test(trouble, that_lasts_is_told_again_each_minute)
{
	struct trouble_state *s;

	trouble_set(TROUBLE_HISTORY, "disk full");
	s = (struct trouble_state *)trouble_get(TROUBLE_HISTORY);
	s->since = 1767268800;
	s->repeated_us = monotonic_us() - 61 * 1000000ULL;
	trouble_tick();
	trouble_tick();
	expect_log("detnat-agent: error: disk full\n"
		   "detnat-agent: warning: disk full (history, since 2026-01-01T12:00:00Z)\n");
}

Test(trouble, has_a_word_for_each)
{
	for (unsigned what = 0; what < N_TROUBLES; what++)
		for (unsigned other = 0; other < what; other++)
			cr_expect_str_neq(trouble_word(what), trouble_word(other));
}
