// SPDX-License-Identifier: BSD-2-Clause
#include "leases/zone.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/timestamp.h"

/* Abbreviations with one meaning. CST, IST and BST have several. */
static const struct {
	char name[5];
	int16_t minutes;
} abbreviations[] = {
	{ "UTC", 0 },	 { "GMT", 0 },	  { "Z", 0 },	   { "UT", 0 },	    { "WET", 0 },    { "WEST", 60 },
	{ "CET", 60 },	 { "MEZ", 60 },	  { "CEST", 120 }, { "MESZ", 120 }, { "EET", 120 },  { "EEST", 180 },
	{ "MSK", 180 },	 { "EST", -300 }, { "EDT", -240 }, { "CDT", -300 }, { "MST", -420 }, { "MDT", -360 },
	{ "PST", -480 }, { "PDT", -420 }, { "JST", 540 },  { "KST", 540 },  { "BRT", -180 },
};

static bool digits(const char *text, unsigned n, int *ret)
{
	int value = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		value = value * 10 + (text[i] - '0');
	}
	*ret = value;
	return true;
}

/* Reads "+01:00", "+0100" or "+01"; returns its octets, or 0. The text ends with a NUL. */
static size_t read_offset(const char *text, int32_t *ret)
{
	int hours, minutes = 0;
	size_t used = 3;

	if ((*text != '+' && *text != '-') || !digits(text + 1, 2, &hours))
		return 0;
	if (text[3] == ':' && digits(text + 4, 2, &minutes))
		used = 6;
	else if (digits(text + 3, 2, &minutes))
		used = 5;
	if (isdigit((unsigned char)text[used]) || text[used] == ':' || hours > 14 || minutes > 59)
		return 0;
	*ret = (hours * 60 + minutes) * (*text == '-' ? -60 : 60);
	return used;
}

static bool read_abbreviation(const char *text, size_t size, int32_t *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(abbreviations); i++) {
		if (strlen(abbreviations[i].name) != size || strncmp(abbreviations[i].name, text, size) != 0)
			continue;
		*ret = abbreviations[i].minutes * 60;
		return true;
	}
	return false;
}

/* Whether the time zone database has a name, which is no path out of it. */
static bool in_database(const char *name)
{
	char path[128];

	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/+-") != strlen(name) ||
	    !isupper((unsigned char)*name) || strlen(name) >= ZONE_TEXT)
		return false;
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	return !access(path, R_OK);
}

int zone_parse(const char *text, struct zone *ret, struct error *err)
{
	struct zone z = { .given = true };
	size_t used = read_offset(text, &z.offset);

	if ((used && !text[used]) || read_abbreviation(text, strlen(text), &z.offset)) {
		*ret = z;
		return 0;
	}
	if (!in_database(text) || !strcmp(text, "CST") || !strcmp(text, "IST") || !strcmp(text, "BST"))
		return error_set(err, -EINVAL,
				 "\"%.64s\" is no zone: +01:00, UTC, an abbreviation that has one meaning, or a name "
				 "such as Europe/Berlin",
				 text);
	z.named = true;
	memcpy(z.name, text, strlen(text) + 1);
	*ret = z;
	return 0;
}

/* The time that a clock on the wall showed. */
struct wall {
	int year, month, day, hour, minute, second;
};

static bool valid(const struct wall *w)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (w->year % 4 == 0 && w->year % 100 != 0) || w->year % 400 == 0;

	return w->year >= 1970 && w->year <= 9998 && w->month >= 1 && w->month <= 12 && w->day >= 1 &&
	       w->day <= days[w->month - 1] + (w->month == 2 && leap) && w->hour <= 23 && w->minute <= 59 &&
	       w->second <= 60;
}

static struct tm tm_of(const struct wall *w, int dst)
{
	return (struct tm){ .tm_year = w->year - 1900,
			    .tm_mon = w->month - 1,
			    .tm_mday = w->day,
			    .tm_hour = w->hour,
			    .tm_min = w->minute,
			    .tm_sec = w->second < 60 ? w->second : 59,
			    .tm_isdst = dst };
}

/* Seconds since 1970 if the clock showed that with or without daylight saving; -1: it did not. */
static int64_t with_dst(const struct wall *w, int dst)
{
	struct tm tm = tm_of(w, dst), asked = tm;
	time_t t = mktime(&tm);

	return tm.tm_isdst == dst && tm.tm_hour == asked.tm_hour && tm.tm_min == asked.tm_min ? (int64_t)t : -1;
}

static int in_named(const struct wall *w, const struct zone *zone, int64_t *ret, struct error *err)
{
	const char *now = getenv("TZ");
	char *before = now ? strdup(now) : NULL;
	int64_t winter, summer;

	setenv("TZ", zone->name, 1);
	tzset();
	winter = with_dst(w, 0);
	summer = with_dst(w, 1);
	if (before)
		setenv("TZ", before, 1);
	else
		unsetenv("TZ");
	tzset();
	free(before);
	if (winter >= 0 && summer >= 0 && winter != summer)
		return error_set(err, -EINVAL, "%02d:%02d came twice that day in %s; name the offset", w->hour,
				 w->minute, zone->name);
	if (winter < 0 && summer < 0)
		return error_set(err, -EINVAL, "there was no %02d:%02d that day in %s", w->hour, w->minute, zone->name);
	*ret = winter >= 0 ? winter : summer;
	return 0;
}

static int to_time(const struct wall *w, const struct zone *zone, int64_t *ret, struct error *err)
{
	struct tm tm = tm_of(w, 0);

	if (!zone->given)
		return error_set(err, -EINVAL, "the time has no zone; --zone names it");
	if (zone->named)
		return in_named(w, zone, ret, err);
	*ret = (int64_t)timegm(&tm) - zone->offset;
	return 0;
}

/* A text that is read from the front; it ends with a NUL. */
struct cursor {
	const char *at;
};

static bool number(struct cursor *c, unsigned least, unsigned most, int *ret)
{
	unsigned n = 0;

	while (n < most && isdigit((unsigned char)c->at[n]))
		n++;
	if (n < least || isdigit((unsigned char)c->at[n]) || !digits(c->at, n, ret))
		return false;
	c->at += n;
	return true;
}

static bool letter(struct cursor *c, const char *any)
{
	if (!*c->at || !strchr(any, *c->at))
		return false;
	c->at++;
	return true;
}

static void blanks(struct cursor *c)
{
	while (*c->at == ' ' || *c->at == '\t' || *c->at == ',')
		c->at++;
}

static bool month(struct cursor *c, int *ret)
{
	static const char names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	for (int i = 0; i < 12; i++) {
		if (strncasecmp(c->at, names[i], 3) != 0)
			continue;
		c->at += 3;
		while (isalpha((unsigned char)*c->at))
			c->at++;
		*ret = i + 1;
		return true;
	}
	return false;
}

/* "10:00:00.25"; seconds may be missing. */
static bool clock_of(struct cursor *c, struct wall *w)
{
	if (!number(c, 1, 2, &w->hour) || !letter(c, ":") || !number(c, 2, 2, &w->minute))
		return false;
	w->second = 0;
	if (*c->at == ':' && (!letter(c, ":") || !number(c, 2, 2, &w->second)))
		return false;
	if ((*c->at == '.' || *c->at == ',') && isdigit((unsigned char)c->at[1]))
		for (c->at++; isdigit((unsigned char)*c->at);)
			c->at++;
	return true;
}

/* "2026-01-31T10:00:00" */
static bool year_first(struct cursor *c, struct wall *w)
{
	if (!number(c, 4, 4, &w->year) || !letter(c, "-/") || !number(c, 1, 2, &w->month) || !letter(c, "-/") ||
	    !number(c, 1, 2, &w->day) || !letter(c, "Tt ,;\t"))
		return false;
	blanks(c);
	return clock_of(c, w);
}

/* "31 Jan 2026 10:00:00", "31/Jan/2026:10:00:00" */
static bool day_first(struct cursor *c, struct wall *w)
{
	if (!number(c, 1, 2, &w->day) || !letter(c, " -/") || !month(c, &w->month) || !letter(c, " -/") ||
	    !number(c, 4, 4, &w->year) || !letter(c, " :,\t"))
		return false;
	blanks(c);
	return clock_of(c, w);
}

/* "Jan 31 2026 10:00:00" */
static bool month_first(struct cursor *c, struct wall *w)
{
	if (!month(c, &w->month))
		return false;
	blanks(c);
	if (!number(c, 1, 2, &w->day))
		return false;
	blanks(c);
	if (!number(c, 4, 4, &w->year))
		return false;
	blanks(c);
	return clock_of(c, w);
}

static bool zone_of(struct cursor *c, struct zone *ret);

/* "Jan 31 10:00:00 2026", "Jan 31 10:00:00 UTC 2026" */
static bool year_last(struct cursor *c, struct wall *w, struct zone *ret_zone)
{
	if (!month(c, &w->month))
		return false;
	blanks(c);
	if (!number(c, 1, 2, &w->day))
		return false;
	blanks(c);
	if (!clock_of(c, w))
		return false;
	blanks(c);
	if (isupper((unsigned char)*c->at) && !zone_of(c, ret_zone))
		return false;
	blanks(c);
	return number(c, 4, 4, &w->year);
}

/* A zone, if one follows; false: a word that looks like one and is not known. */
static bool zone_of(struct cursor *c, struct zone *ret)
{
	struct cursor next = *c;
	size_t used;

	blanks(&next);
	used = read_offset(next.at, &ret->offset);
	if (used) {
		*ret = (struct zone){ .given = true, .offset = ret->offset };
		c->at = next.at + used;
		return true;
	}
	next.at += *next.at == '(';
	while (used < 6 && isupper((unsigned char)next.at[used]))
		used++;
	if (!used || isalnum((unsigned char)next.at[used]))
		return true;
	if (!read_abbreviation(next.at, used, &ret->offset))
		return used < 2 || used > 4;
	*ret = (struct zone){ .given = true, .offset = ret->offset };
	c->at = next.at + used;
	return true;
}

/* 0, -ENOENT, or -ERANGE for a 30th of February: it is no other time. */
static int time_at(struct cursor *c, struct wall *w, struct zone *ret_zone)
{
	static bool (*const forms[])(struct cursor *, struct wall *) = { year_first, day_first, month_first };
	struct cursor begin = *c;
	int r = -ENOENT;

	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		*c = begin;
		if (!forms[i](c, w))
			continue;
		if (valid(w))
			return 0;
		r = -ERANGE;
	}
	*c = begin;
	return !year_last(c, w, ret_zone) ? r : valid(w) ? 0 : -ERANGE;
}

/* Longer than any time with its zone. */
#define TIME_WINDOW 64U

/* Tries a time at the beginning of a text. As zone_time_find(). */
static int try_time(const char *text, size_t size, const struct zone *zone, int64_t *ret, size_t *ret_used,
		    struct error *err)
{
	char window[TIME_WINDOW + 1];
	size_t n = size < TIME_WINDOW ? size : TIME_WINDOW;
	struct cursor c = { window };
	struct zone own = *zone;
	struct wall w;
	int r;

	memcpy(window, text, n);
	window[n] = '\0';
	r = time_at(&c, &w, &own);
	if (r == -ERANGE)
		return error_set(err, -EINVAL, "there is no such day or time: %.24s", window);
	if (r)
		return r;
	if (!zone_of(&c, &own))
		return error_set(err, -EINVAL, "the time has a zone that is not known or has several meanings: %.24s",
				 c.at);
	*ret_used = (size_t)(c.at - window);
	return to_time(&w, &own, ret, err);
}

int zone_time_find(const char *text, size_t size, const struct zone *zone, int64_t *ret, size_t *ret_end,
		   struct error *err)
{
	for (size_t i = 0; i < size; i++) {
		bool inside = i && isalnum((unsigned char)text[i - 1]);
		size_t used = 0;
		int r = inside || !isalnum((unsigned char)text[i])
				? -ENOENT
				: try_time(text + i, size - i, zone, ret, &used, err);

		if (r == -ENOENT)
			continue;
		if (ret_end)
			*ret_end = i + used;
		return r;
	}
	return -ENOENT;
}

int zone_time_read(const char *text, const struct zone *zone, int64_t *ret, struct error *err)
{
	size_t n = strspn(text, "0123456789");
	int r;

	if (n >= 9 && n <= 11 &&
	    (!text[n] || (text[n] == '.' && strspn(text + n + 1, "0123456789") == strlen(text + n + 1)))) {
		*ret = strtoll(text, NULL, 10);
		return 0;
	}
	r = zone_time_find(text, strlen(text), zone, ret, NULL, err);
	return r == -ENOENT ? error_set(err, -EINVAL, "\"%.64s\" is no time", text) : r;
}
