/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/timestamp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

/* Reads exactly n digits at *at and advances it past them. */
static bool read_digits(const char **at, unsigned n, int *ret)
{
	int number = 0;

	for (unsigned i = 0; i < n; i++) {
		char c = (*at)[i];

		if (c < '0' || c > '9')
			return false;
		number = number * 10 + (c - '0');
	}
	*at += n;
	*ret = number;
	return true;
}

static bool read_char(const char **at, char wanted)
{
	if (**at != wanted)
		return false;
	(*at)++;
	return true;
}

/* Of the proleptic Gregorian calendar; month is 1..12. */
static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (leap && month == 2);
}

/* The year is counted from March, so that leap days end it. */
int64_t time_days(int year, int month, int day)
{
	int64_t years = year + 400 - (month < 3);

	return years * 365 + years / 4 - years / 100 + years / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day - 1 -
	       865565;
}

/* "YYYY-MM-DD", which must be in the calendar. *ret is its midnight in UTC. */
static bool read_date(const char **at, int64_t *ret)
{
	int year, month, day;

	if (!read_digits(at, 4, &year) || !read_char(at, '-') || !read_digits(at, 2, &month) || !read_char(at, '-') ||
	    !read_digits(at, 2, &day) || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return false;
	*ret = time_days(year, month, day) * 86400;
	return true;
}

/* "hh:mm" or "hh:mm:ss" as seconds of the day, 86400 for a leap second at its end. */
static bool read_clock(const char **at, int64_t *ret, bool *ret_seconds, bool *ret_leap)
{
	int hour, minute, second = 0;

	if (!read_digits(at, 2, &hour) || !read_char(at, ':') || !read_digits(at, 2, &minute) || hour > 23 ||
	    minute > 59)
		return false;
	*ret_seconds = read_char(at, ':');
	if (*ret_seconds && (!read_digits(at, 2, &second) || second > 60))
		return false;
	*ret = hour * 3600 + minute * 60 + second;
	*ret_leap = second == 60;
	return true;
}

/* A fraction of a second, of any number of digits. */
static bool skip_fraction(const char **at)
{
	int digit;

	if (!read_char(at, '.'))
		return true;
	if (!read_digits(at, 1, &digit))
		return false;
	while (read_digits(at, 1, &digit))
		;
	return true;
}

/* "Z", "z", "+hh:mm" or "-hh:mm": seconds that local time is ahead of UTC. */
static bool read_zone(const char **at, int *ret)
{
	int hours, minutes, sign = **at == '-' ? -1 : 1;

	if (read_char(at, 'Z') || read_char(at, 'z')) {
		*ret = 0;
		return true;
	}
	if (!read_char(at, sign < 0 ? '-' : '+') || !read_digits(at, 2, &hours) || !read_char(at, ':') ||
	    !read_digits(at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool is_start_of_month(time_t t)
{
	struct tm tm;

	return gmtime_r(&t, &tm) && tm.tm_mday == 1 && !tm.tm_hour && !tm.tm_min && !tm.tm_sec;
}

/* A leap second is stored as the second before it, and is valid only at the end of a month in UTC. */
static int to_seconds(int64_t t, bool leap, int64_t *ret)
{
	if (leap && !is_start_of_month(t))
		return -EINVAL;
	*ret = t - leap;
	return 0;
}

int time_parse(const char *text, int64_t *ret)
{
	bool seconds = false, leap = false, blank;
	int64_t midnight, clock;
	int zone = 0;

	if (!read_date(&text, &midnight))
		return -EINVAL;
	if (!*text)
		return to_seconds(midnight, false, ret);
	blank = *text == ' ';
	if (!blank && *text != 'T' && *text != 't')
		return -EINVAL;
	text++;
	if (!read_clock(&text, &clock, &seconds, &leap))
		return -EINVAL;
	/* Only the form with a blank may omit the time zone. */
	if (blank && !*text)
		return to_seconds(midnight + clock, leap, ret);
	if (!seconds || !skip_fraction(&text) || !read_zone(&text, &zone) || *text)
		return -EINVAL;
	return to_seconds(midnight + clock - zone, leap, ret);
}

/* "YYYY-MM-DDThh:mm:ss"; %Y of strftime() does not pad years to four digits. */
static void format_seconds(int64_t t, char text[static TIME_TEXT])
{
	const time_t seconds = t < TIME_MIN ? TIME_MIN : t > TIME_MAX ? TIME_MAX : t;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(text, TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u", (unsigned)(tm.tm_year + 1900) % 10000,
		 (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

const char *time_format(int64_t t, char text[static TIME_TEXT])
{
	format_seconds(t, text);
	return strcat(text, "Z");
}

const char *time_format_us(uint64_t ns, char text[static TIME_US_TEXT])
{
	format_seconds((int64_t)(ns / NS_PER_S), text);
	sprintf(text + strlen(text), ".%06uZ", (unsigned)(ns % NS_PER_S / 1000));
	return text;
}
