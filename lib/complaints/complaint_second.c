// SPDX-License-Identifier: BSD-2-Clause
/* From what a text says of a time to the second that it means. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "complaints/complaint_time.h"
#include "leases/zone.h"

#define MINUTE 60L
#define HOUR   3600L
#define DAY    DAY_S

/* The day of a month that is its nth Sunday, or with n 0 the last of 31 days. */
static int64_t sunday(int year, int month, int n)
{
	int64_t day = time_days(year, month, n ? n * 7 - 6 : 25);

	/* 1970-01-01 was a Thursday. */
	while ((day + 4) % 7)
		day++;
	return day;
}

/* Whether a clock of a season was in use at a moment. */
static bool in_season(unsigned season, int64_t t, int year)
{
	bool eu = t >= sunday(year, 3, 0) * DAY + HOUR && t < sunday(year, 10, 0) * DAY + HOUR;
	/* At 2 o'clock of the place, which is 5 to 12 hours west: the day tells, and the hour is not known better. */
	bool us = t >= sunday(year, 3, 2) * DAY + 6 * HOUR && t < sunday(year, 11, 1) * DAY + 12 * HOUR;
	bool us_late = t >= sunday(year, 3, 2) * DAY + 12 * HOUR && t < sunday(year, 11, 1) * DAY + 6 * HOUR;

	switch (season) {
	case SEASON_EU_WINTER:
		return !eu;
	case SEASON_EU_SUMMER:
		return eu;
	case SEASON_US_WINTER:
		return !us_late;
	case SEASON_US_SUMMER:
		return us;
	default:
		return true;
	}
}

static int64_t wall_seconds(const struct stamp *s)
{
	return time_days(s->year, s->month, s->day) * DAY + s->hour * HOUR + s->minute * MINUTE +
	       (s->second < 60 ? s->second : 59);
}

/* In a zone of the database, whose rules zone.c knows. */
static int in_database(const struct stamp *s, const char *name, int64_t *ret, struct error *err)
{
	struct zone zone;
	char text[32];

	if (zone_parse(name, &zone, err))
		return -EINVAL;
	snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d", s->year, s->month, s->day, s->hour, s->minute,
		 s->second);
	return zone_time_find(text, strlen(text), &zone, ret, NULL, err) ? -EINVAL : 0;
}

/* Whether a clock of a zone that has a name may have been so many seconds east of UTC at a time. */
static bool may_be_east(const struct claim *zone, int64_t seconds)
{
	for (unsigned i = 0; i < zone->n; i++)
		if (zone->minutes[i] * MINUTE == seconds)
			return true;
	return !zone->n;
}

/*
 * In a zone of the database beside which there may be a number, which has to be that of one of its clocks. Of an hour
 * that came twice it says which one is meant, of those at midnight and at noon.
 */
static int by_name(const struct stamp *s, const struct claim *zone, int64_t *ret, struct error *err)
{
	struct stamp near = *s;
	int64_t t, second = wall_seconds(s);

	if (!in_database(s, zone->name, &t, err)) {
		if (!may_be_east(zone, second - t))
			return error_set(err, -EINVAL, "the zone contradicts itself; ask for the offset to UTC");
		return *ret = t, 0;
	}
	for (near.hour = 0; near.hour <= 12 && zone->n == 1; near.hour += 12)
		if (!in_database(&near, zone->name, &t, NULL) && may_be_east(zone, wall_seconds(&near) - t))
			return *ret = second - zone->minutes[0] * MINUTE, 0;
	return -EINVAL;
}

int stamp_second(const struct stamp *s, const struct claim *zone, int64_t *ret, struct error *err)
{
	struct claim all = s->zone;
	int64_t t;

	if (s->exact)
		return *ret = s->t, 0;
	claim_add(&all, zone);
	if (all.clash)
		return error_set(err, -EINVAL,
				 "the zone contradicts itself or is not known; ask for the offset to UTC");
	if (*all.name)
		return by_name(s, &all, ret, err);
	if (all.n != 1)
		return error_set(err, -EINVAL, "the zone has several meanings; ask for the offset to UTC");
	t = wall_seconds(s) - all.minutes[0] * MINUTE;
	for (unsigned i = SEASON_EU_WINTER; i <= SEASON_US_SUMMER; i++)
		if (all.seasons & 1U << i && !in_season(i, t, s->year))
			return error_set(
				err, -EINVAL,
				"the zone does not fit the season of %04d-%02d-%02d; ask for the offset to UTC",
				s->year, s->month, s->day);
	*ret = t;
	return 0;
}

static bool same_day(const struct stamp *a, const struct stamp *b)
{
	bool exchanged = (a->either || b->either) && a->day == b->month && a->month == b->day;

	return (!a->year || !b->year || a->year == b->year) &&
	       ((a->month == b->month && a->day == b->day) || exchanged);
}

void stamp_exchange(struct stamp *s)
{
	int8_t day = s->day;

	s->day = s->month;
	s->month = day;
}

void stamp_add_clock(struct stamp *day, const struct stamp *hour)
{
	day->clock = true;
	day->hour = hour->hour;
	day->minute = hour->minute;
	day->second = hour->second;
	day->seconds = hour->seconds;
	day->half = hour->half;
	claim_add(&day->zone, &hour->zone);
}

bool stamp_half_agrees(const struct stamp *half, const struct stamp *whole)
{
	if (half->date)
		return same_day(half, whole);
	return half->hour == whole->hour && half->minute == whole->minute &&
	       (!half->seconds || !whole->seconds || half->second == whole->second);
}

/* Whether a clock of an unknown zone can have shown a time at a second. */
static bool clock_agrees(const struct stamp *s, int64_t t)
{
	struct stamp local = *s;
	struct tm tm;
	time_t second = (time_t)t;

	if (claim_given(&s->zone) || s->either || !gmtime_r(&second, &tm))
		return false;
	if (!local.year)
		local.year = (int16_t)(tm.tm_year + 1900);
	return llabs(wall_seconds(&local) - t) <= 14 * HOUR && local.minute % 15 == tm.tm_min % 15 &&
	       (!local.seconds || local.second == tm.tm_sec);
}

bool stamp_agree(const struct stamp *a, const struct stamp *b)
{
	static const struct claim none = { 0 };
	int64_t first, second, apart;
	bool a_known = a->exact || claim_given(&a->zone), b_known = b->exact || claim_given(&b->zone);

	if (a_known && b_known && !stamp_second(a, &none, &first, NULL) && !stamp_second(b, &none, &second, NULL))
		return a->exact || b->exact || (a->seconds && b->seconds) ? first == second : first / 60 == second / 60;
	if (a->date && b->date && !a->clock && !b->clock)
		return same_day(a, b);
	if (!a->date || !b->date || !a->clock || !b->clock)
		return false;
	if (a->exact || b->exact)
		return a->exact != b->exact && (a->exact ? clock_agrees(b, a->t) : clock_agrees(a, b->t));
	if (a->minute % 15 != b->minute % 15 || (a->seconds && b->seconds && a->second != b->second))
		return false;
	/* Without a zone the hours may differ, and the day at midnight; with the same one, or without any, nothing may.
	 */
	if (a_known == b_known)
		return same_day(a, b) && a->hour == b->hour && a->minute == b->minute;
	if (!a->year || !b->year || a->either || b->either)
		return same_day(a, b);
	apart = llabs(wall_seconds(a) - wall_seconds(b));
	return apart <= 14 * HOUR;
}

bool stamp_same_moment(const struct stamp *a, const struct stamp *b)
{
	for (unsigned i = 0; i < a->zone.n; i++)
		for (unsigned k = 0; k < b->zone.n; k++) {
			int apart = (a->hour - b->hour) * 60 + a->minute - b->minute - a->zone.minutes[i] +
				    b->zone.minutes[k];

			if (apart % (24 * 60) == 0 && (!a->seconds || !b->seconds || a->second == b->second))
				return true;
		}
	return false;
}
