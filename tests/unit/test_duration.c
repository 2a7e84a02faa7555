/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of seconds with units, and times told from now. */
#include <criterion/criterion.h>

#include "base/base.h"
#include "base/duration.h"
#include "base/timestamp.h"

static const struct {
	const char *text;
	uint64_t seconds;
} durations[] = {
	{ "0", 0 },
	{ "600", 600 },
	{ "90s", 90 },
	{ "90sec", 90 },
	{ "10m", 600 },
	{ "10min", 600 },
	{ "2h", 7200 },
	{ "7d", 604800 },
	{ "2w", 1209600 },
	{ "1h30m", 5400 },
	{ "1w1d1h1m1s", 604800 + 86400 + 3600 + 60 + 1 },
	{ "007m", 420 },
	{ "18446744073709551617", DURATION_MAX },
	{ "18446744073709551617w", DURATION_MAX },
	{ "999999999999w999999999999w", DURATION_MAX },
};

static const char *const no_durations[] = {
	"",    "m",  "-5",   "-5m", "+5",  "5M", "5 m",	  " 5",	      "5m ", "1.5h",	 "1h30",      "30 ",
	"5mm", "5y", "0x10", "1e3", "5m-", "5,", "1h,2m", "5minutes", "h1",  "\xc2\xb5", "5\xc2\xb5",
};

Test(duration, these_texts_are_a_number_of_seconds)
{
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		uint64_t seconds = 0;

		cr_expect_eq(duration_parse(durations[i].text, &seconds), 0, "%s", durations[i].text);
		cr_expect_eq(seconds, durations[i].seconds, "%s", durations[i].text);
	}
}

Test(duration, these_texts_are_no_duration)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_durations); i++) {
		uint64_t seconds = 7;

		cr_expect_eq(duration_parse(no_durations[i], &seconds), -EINVAL, "%s", no_durations[i]);
		cr_expect_eq(seconds, 7, "%s", no_durations[i]);
	}
}

#define NOW 1769853600 /* 2026-01-31T10:00:00Z */

static const struct {
	const char *text, *utc;
} times[] = {
	{ "now", "2026-01-31T10:00:00Z" },
	{ "-60", "2026-01-31T09:59:00Z" },
	{ "-5m", "2026-01-31T09:55:00Z" },
	{ "-2h", "2026-01-31T08:00:00Z" },
	{ "-1d12h", "2026-01-29T22:00:00Z" },
	{ "+2h", "2026-01-31T12:00:00Z" },
	{ "+0", "2026-01-31T10:00:00Z" },
	{ "2026-01-30", "2026-01-30T00:00:00Z" },
	{ "2026-01-30T11:00:00+01:00", "2026-01-30T10:00:00Z" },
};

static const char *const no_times[] = {
	"",    "-",    "+",   "5m",   "60",	     "--5",	      "-5x",
	"- 5", "-now", "Now", "now ", "-2026-01-30", "-99999999999w", "+99999999999w",
};

Test(duration, these_texts_are_a_time_from_now)
{
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		char text[TIME_TEXT];
		int64_t t = 0;

		cr_expect_eq(time_parse_typed(times[i].text, NOW, &t), 0, "%s", times[i].text);
		cr_expect_str_eq(time_format(t, text), times[i].utc, "%s", times[i].text);
	}
}

Test(duration, these_texts_are_no_time_from_now)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_times); i++) {
		int64_t t = 7;

		cr_expect_eq(time_parse_typed(no_times[i], NOW, &t), -EINVAL, "%s", no_times[i]);
		cr_expect_eq(t, 7, "%s", no_times[i]);
	}
}
