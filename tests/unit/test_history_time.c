/* SPDX-License-Identifier: BSD-2-Clause */
/* Times as people and RFC 3339 write them. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <time.h>

#include "base/timestamp.h"
#include "rounds.h"

static const struct {
	const char *text;
	const char *utc;
} accepted[] = {
	{ "2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z" },
	{ "2026-01-31t10:00:00z", "2026-01-31T10:00:00Z" },
	{ "2026-01-31 10:00:00Z", "2026-01-31T10:00:00Z" },
	{ "2026-01-31 10:00:00+00:00", "2026-01-31T10:00:00Z" },
	{ "2026-01-31T10:00:00-00:00", "2026-01-31T10:00:00Z" },
	{ "2026-01-31T11:30:00+01:30", "2026-01-31T10:00:00Z" },
	{ "2026-01-31T00:00:00-23:59", "2026-01-31T23:59:00Z" },
	{ "2025-12-31T23:00:00-02:00", "2026-01-01T01:00:00Z" },
	{ "2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z" },
	{ "2026-01-31T10:00:00.999999999999Z", "2026-01-31T10:00:00Z" },
	{ "2026-01-31 10:00:00.5-01:00", "2026-01-31T11:00:00Z" },
	{ "2026-01-31", "2026-01-31T00:00:00Z" },
	{ "2026-01-31 10:07", "2026-01-31T10:07:00Z" },
	{ "2026-01-31 10:07:08", "2026-01-31T10:07:08Z" },
	{ "2024-02-29", "2024-02-29T00:00:00Z" },
	{ "2000-02-29", "2000-02-29T00:00:00Z" },
	{ "1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z" },
	{ "0000-01-01", "0000-01-01T00:00:00Z" },
	{ "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z" },
	/* Leap seconds: the kernel's clock says 59 twice. */
	{ "2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z" },
	{ "2017-01-01T00:59:60.5+01:00", "2016-12-31T23:59:59Z" },
	{ "2016-12-31 23:59:60", "2016-12-31T23:59:59Z" },
};

static const char *const refused[] = {
	"",
	"now",
	"2026",
	"2026-01",
	"2026-1-1",
	"26-01-01",
	"2026-00-01",
	"2026-13-01",
	"2026-01-00",
	"2026-01-32",
	"2026-12-32",
	"2026-04-31",
	"2026-02-29",
	"1900-02-29",
	"2026-01-01Z",
	"2026-01-01T",
	"2026-01-01T10:00",
	"2026-01-01T10:00Z",
	"2026-01-01 10:00Z",
	"2026-01-01 10:00+01:00",
	"2026-01-01T10:00:00",
	"2026-01-01T24:00:00Z",
	"2026-01-01 25:00",
	"2026-01-01T10:60:00Z",
	"2026-01-01T10:00:61Z",
	"2026-01-01T10:00:60Z",
	"2026-12-30T23:59:60Z",
	"2016-12-31T23:59:60+01:00",
	"2026-01-01T10:00:00.Z",
	"2026-01-01T10:00:00.5",
	"2026-01-01 10:00:00.5",
	"2026-01-01T10:00:00,5Z",
	"2026-01-01T10:00:00+1:00",
	"2026-01-01T10:00:00+0100",
	"2026-01-01T10:00:00+24:00",
	"2026-01-01T10:00:00+01:60",
	"2026-01-01T10:00:00ZZ",
	"2026-01-01T10:00:00Z ",
	" 2026-01-01",
	"2026-01-01  10:00",
	"2026-01-01 10:00 ",
	"+026-01-01",
	"20260101",
};

Test(history_time, these_texts_are_a_time)
{
	for (size_t i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
		char text[TIME_TEXT];
		int64_t t;

		cr_expect_eq(time_parse(accepted[i].text, &t), 0, "%s", accepted[i].text);
		cr_expect_str_eq(time_format(t, text), accepted[i].utc, "%s", accepted[i].text);
	}
}

Test(history_time, these_texts_are_no_time)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		int64_t t = 7;

		cr_expect_neq(time_parse(refused[i], &t), 0, "%s", refused[i]);
		cr_expect_eq(t, 7, "%s", refused[i]);
	}
}

Test(history_time, agrees_with_the_library_on_every_day_of_the_calendar)
{
	const int64_t step = 86400 * (100 / rounds_of(100)) - 11;

	for (int64_t t = TIME_MIN + 4711; t <= TIME_MAX; t += step) {
		char text[TIME_TEXT], wanted[64];
		time_t tt = (time_t)t;
		struct tm tm;
		int64_t again;

		gmtime_r(&tt, &tm);
		snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
			 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		/* Assertions that hold take long, too. */
		if (strcmp(time_format(t, text), wanted))
			cr_assert_str_eq(text, wanted);
		if (time_parse(text, &again) || again != t)
			cr_assert_fail("%s", text);
	}
}

Test(history_time, times_without_a_text_get_the_nearest)
{
	char text[TIME_TEXT];

	cr_assert_str_eq(time_format(INT64_MIN, text), "0000-01-01T00:00:00Z");
	cr_assert_str_eq(time_format(INT64_MAX, text), "9999-12-31T23:59:59Z");
}

/* The C library's arithmetic, day by day; it turns days that are not in the calendar into others. */
static bool in_calendar(int year, int month, int day, int64_t *ret)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };

	*ret = timegm(&tm);
	return tm.tm_mon == month - 1 && tm.tm_mday == day && tm.tm_year == year - 1900;
}

Test(history_time, every_day_of_the_calendar_is_read_and_no_other)
{
	for (int year = 0; year < 10000; year += year % 100 == 99 ? 97 : 1)
		for (int month = 0; month < 14; month++)
			for (int day = 0; day < 33; day++) {
				int64_t t = 0, midnight;
				char text[sizeof("-2147483648-00-00 23:59:58") + 20];
				bool there = in_calendar(year, month, day, &midnight);

				snprintf(text, sizeof(text), "%04d-%02d-%02d 23:59:58", year, month, day);
				if (!time_parse(text, &t) != there || (there && t != midnight + 86398))
					cr_assert_fail("%s: %lld", text, (long long)t);
			}
}
