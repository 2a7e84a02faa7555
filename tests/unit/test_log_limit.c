/* SPDX-License-Identifier: BSD-2-Clause */
/* How much of a log that repeats itself is written, and what is told of the rest. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/log_limit.h"

#define SECOND 1000000000ULL

static struct log_limit limit;
static uint64_t now = SECOND;

static unsigned ask(const char *text, unsigned times)
{
	unsigned said = 0;

	for (unsigned i = 0; i < times; i++)
		said += log_limit_ask(&limit, 3, text, now);
	return said;
}

static const char *tell(void)
{
	static char text[LOG_LIMIT_TEXT + 64];
	int level = 0;

	if (!log_limit_tell(&limit, now, &level, text, sizeof(text)))
		return NULL;
	cr_expect(level == 3 || level == 4);
	return text;
}

Test(log_limit, the_same_line_is_said_five_times_a_minute_and_then_counted)
{
	cr_expect_eq(ask("disk full", 100), LOG_LIMIT_SAME);
	cr_expect_eq(ask("another", 1), 1);
	now += LOG_LIMIT_NS - 1;
	cr_expect_eq(ask("disk full", 1), 0);
	cr_expect_null(tell());
	now += 1;
	cr_expect_str_eq(tell(), "96 more times within a minute: disk full");
	cr_expect_null(tell());
	cr_expect_eq(ask("disk full", 100), LOG_LIMIT_SAME);
}

Test(log_limit, a_line_of_another_level_is_another)
{
	ask("x", 10);
	cr_expect(log_limit_ask(&limit, 4, "x", now));
}

Test(log_limit, a_minute_that_was_not_told_of_goes_on)
{
	ask("x", 10);
	now += 2 * LOG_LIMIT_NS;
	cr_expect_eq(ask("x", 3), 0);
	cr_expect_str_eq(tell(), "8 more times within a minute: x");
	cr_expect_eq(ask("x", 3), 3);
}

Test(log_limit, lines_that_are_all_different_are_bounded_too)
{
	unsigned said = 0;
	char text[32];

	for (unsigned i = 0; i < 3 * LOG_LIMIT_ALL; i++) {
		snprintf(text, sizeof(text), "line %u", i);
		said += log_limit_ask(&limit, 3, text, now);
	}
	cr_expect_eq(said, LOG_LIMIT_ALL);
	now += LOG_LIMIT_NS;
	cr_expect_str_eq(tell(), "4000 lines were left out: there were more than 2000 within a minute");
	cr_expect_null(tell());
	cr_expect_eq(ask("again", 1), 1);
}

Test(log_limit, a_long_line_is_told_of_as_far_as_it_goes)
{
	char text[2 * LOG_LIMIT_TEXT];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ask(text, 10);
	now += LOG_LIMIT_NS;
	cr_expect_eq(strlen(tell()), strlen("5 more times within a minute: ") + LOG_LIMIT_TEXT - 1);
}
