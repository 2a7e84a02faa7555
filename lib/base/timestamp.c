/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/timestamp.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DAY_S 86400

struct civil {
	unsigned year, month, day, hour, minute, second;
};

static bool is_leap(unsigned year)
{
	return !(year % 4) && (year % 100 || !(year % 400));
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 in the Gregorian calendar. The year is made to begin in March, so that the leap day ends it. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, struct civil *ret)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;

	ret->day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
	ret->month = (unsigned)(month < 10 ? month + 3 : month - 9);
	ret->year = (unsigned)(year_of_era + era * 400 + (ret->month <= 2));
}

/* Exactly so many digits at *at, which is moved behind them. */
static bool read_digits(const char **at, unsigned n, unsigned *ret)
{
	unsigned number = 0;

	for (unsigned i = 0; i < n; i++) {
		char c = (*at)[i];

		if (c < '0' || c > '9')
			return false;
		number = number * 10 + (unsigned)(c - '0');
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

static bool read_date(const char **at, struct civil *c)
{
	return read_digits(at, 4, &c->year) && read_char(at, '-') && read_digits(at, 2, &c->month) &&
	       read_char(at, '-') && read_digits(at, 2, &c->day) && c->month >= 1 && c->month <= 12 && c->day >= 1 &&
	       c->day <= days_in_month(c->year, c->month);
}

/* "hh:mm", and ":ss" where it is there. */
static bool read_clock(const char **at, struct civil *c, bool *ret_seconds)
{
	if (!read_digits(at, 2, &c->hour) || !read_char(at, ':') || !read_digits(at, 2, &c->minute) || c->hour > 23 ||
	    c->minute > 59)
		return false;
	*ret_seconds = read_char(at, ':');
	return !*ret_seconds || (read_digits(at, 2, &c->second) && c->second <= 60);
}

/* A fraction of a second, of any number of digits. */
static bool skip_fraction(const char **at)
{
	unsigned digit;

	if (!read_char(at, '.'))
		return true;
	if (!read_digits(at, 1, &digit))
		return false;
	while (read_digits(at, 1, &digit))
		;
	return true;
}

/* "Z", "z", "+hh:mm" or "-hh:mm": seconds that local time is ahead of UTC. */
static bool read_zone(const char **at, int64_t *ret)
{
	unsigned hours, minutes;
	int sign = **at == '-' ? -1 : 1;

	if (read_char(at, 'Z') || read_char(at, 'z')) {
		*ret = 0;
		return true;
	}
	if (!read_char(at, sign < 0 ? '-' : '+') || !read_digits(at, 2, &hours) || !read_char(at, ':') ||
	    !read_digits(at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret = sign * (int64_t)(hours * 3600 + minutes * 60);
	return true;
}

/* Seconds of what was read; a leap second counts as the one before, and must be at the end of a month in UTC. */
static int to_seconds(const struct civil *c, int64_t zone, int64_t *ret)
{
	bool leap = c->second == 60;
	int64_t t = days_from_civil(c->year, c->month, c->day) * DAY_S + c->hour * 3600 + c->minute * 60 + c->second -
		    leap - zone;

	if (leap) {
		struct civil next;

		if ((t + 1) % DAY_S)
			return -EINVAL;
		civil_from_days((t + 1) / DAY_S, &next);
		if (next.day != 1)
			return -EINVAL;
	}
	*ret = t;
	return 0;
}

int time_parse(const char *text, int64_t *ret)
{
	struct civil c = { 0 };
	bool seconds = false, blank;
	int64_t zone = 0;

	if (!read_date(&text, &c))
		return -EINVAL;
	if (!*text)
		return to_seconds(&c, 0, ret);
	blank = *text == ' ';
	if (!blank && *text != 'T' && *text != 't')
		return -EINVAL;
	text++;
	if (!read_clock(&text, &c, &seconds))
		return -EINVAL;
	/* With a blank and no zone it is the plain way to write it. */
	if (blank && !*text)
		return to_seconds(&c, 0, ret);
	if (!seconds || !skip_fraction(&text) || !read_zone(&text, &zone) || *text)
		return -EINVAL;
	return to_seconds(&c, zone, ret);
}

const char *time_format(int64_t t, char text[static TIME_TEXT])
{
	struct civil c;
	int64_t days, rest;

	t = t < TIME_MIN ? TIME_MIN : t > TIME_MAX ? TIME_MAX : t;
	days = t / DAY_S - (t % DAY_S < 0);
	rest = t - days * DAY_S;
	civil_from_days(days, &c);
	snprintf(text, TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02uZ", c.year % 10000, c.month % 100, c.day % 100,
		 (unsigned)(rest / 3600) % 100, (unsigned)(rest / 60 % 60), (unsigned)(rest % 60));
	return text;
}
