// SPDX-License-Identifier: BSD-2-Clause
#include "leases/zone_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/text.h"

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

bool read_digits(const char *text, unsigned n, int *ret)
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

	if ((*text != '+' && *text != '-') || !read_digits(text + 1, 2, &hours))
		return 0;
	if (text[3] == ':' && read_digits(text + 4, 2, &minutes))
		used = 6;
	else if (read_digits(text + 3, 2, &minutes))
		used = 5;
	if (isdigit((unsigned char)text[used]) || text[used] == ':' || hours > 14 || minutes > 59)
		return 0;
	*ret = (hours * 60 + minutes) * (*text == '-' ? -60 : 60);
	return used;
}

/* The same after UTC or GMT, where people write "UTC+1" and "GMT-5:30", too. -1: none that can be. */
static int read_short_offset(const char *text, int32_t *ret)
{
	size_t used = read_offset(text, ret);
	int hours;

	if (used)
		return (int)used;
	if (!isdigit((unsigned char)text[1]) || isdigit((unsigned char)text[2]) || !read_digits(text + 1, 1, &hours))
		return -1;
	if (text[2] == ':' || text[2] == '.')
		return -1;
	*ret = hours * (*text == '-' ? -3600 : 3600);
	return 2;
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
	/* The last ones: a text names the same again and again. What is not there now may be installed later. */
	static _Thread_local struct {
		char name[ZONE_TEXT];
		bool there;
		time_t asked;
	} known[64];
	size_t size = strlen(name), hash = 0;
	char path[128];

	if (size >= ZONE_TEXT || !isupper((unsigned char)*name))
		return false;
	for (size_t i = 0; i < size; i++)
		hash = hash * 31 + (unsigned char)name[i];

	size_t at = (hash ^ hash >> 6) % ARRAY_SIZE(known);

	if (!strcmp(name, known[at].name) && (known[at].there || known[at].asked == time(NULL)))
		return known[at].there;
	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/+-") != size)
		return false;
	snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
	memcpy(known[at].name, name, size + 1);
	known[at].there = !access(path, R_OK);
	known[at].asked = time(NULL);
	return known[at].there;
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
				 "%s is no zone: +01:00, UTC, an abbreviation that has one meaning, or a name "
				 "such as Europe/Berlin",
				 QUOTED(text));
	z.named = true;
	memcpy(z.name, text, strlen(text) + 1);
	*ret = z;
	return 0;
}

bool wall_valid(const struct wall *w)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (w->year % 4 == 0 && w->year % 100 != 0) || w->year % 400 == 0;

	return w->year >= 1970 && w->year <= 9998 && w->month >= 1 && w->month <= 12 && w->day >= 1 &&
	       w->day <= days[w->month - 1] + (w->month == 2 && leap) && w->hour <= 23 && w->minute <= 59 &&
	       w->second <= 60;
}

static struct tm tm_of(const struct wall *w)
{
	return (struct tm){ .tm_year = w->year - 1900,
			    .tm_mon = w->month - 1,
			    .tm_mday = w->day,
			    .tm_hour = w->hour,
			    .tm_min = w->minute,
			    .tm_sec = w->second < 60 ? w->second : 59 };
}

/* The zone stays the process's, in which nothing else depends on it: to read its file takes as long as 20 times. */
static void enter(const struct zone *zone)
{
	const char *now = getenv("TZ");

	if (now && !strcmp(now, zone->name))
		return;
	setenv("TZ", zone->name, 1);
	tzset();
}

/*
 * Seconds since 1970 at which the clock showed what one of UTC shows at `utc`, if it was as far from UTC as around a
 * time; -1: it was not. mktime() would look through years for daylight saving in a zone that has none.
 */
static int64_t as_around(int64_t utc, int64_t around)
{
	time_t near = (time_t)around, t;
	struct tm then, tm;

	if (!localtime_r(&near, &then))
		return -1;
	t = (time_t)(utc - then.tm_gmtoff);
	return localtime_r(&t, &tm) && tm.tm_gmtoff == then.tm_gmtoff ? (int64_t)t : -1;
}

static int in_named(const struct wall *w, const struct zone *zone, int64_t *ret, struct error *err)
{
	struct tm tm = tm_of(w);
	int64_t utc = timegm(&tm), before, after;

	enter(zone);
	before = as_around(utc, utc - DAY_S);
	after = as_around(utc, utc + DAY_S);
	if (before >= 0 && after >= 0 && before != after && zone->twice) {
		*ret = (zone->twice == TWICE_FIRST) == (before < after) ? before : after;
		return 0;
	}
	if (before >= 0 && after >= 0 && before != after)
		return error_set(err, -EINVAL, "%02d:%02d came twice that day in %s; name the offset", w->hour,
				 w->minute, zone->name);
	if (before < 0 && after < 0)
		return error_set(err, -EINVAL, "there was no %02d:%02d that day in %s", w->hour, w->minute, zone->name);
	*ret = before >= 0 ? before : after;
	return 0;
}

int wall_to_time(const struct wall *w, const struct zone *zone, int64_t *ret, struct error *err)
{
	struct tm tm = tm_of(w);

	if (!zone->given)
		return error_set(err, -ENODATA, "the time has no zone; --zone names it");
	if (zone->named)
		return in_named(w, zone, ret, err);
	*ret = (int64_t)timegm(&tm) - zone->offset;
	return 0;
}

void cursor_blanks(struct cursor *c)
{
	while (*c->at == ' ' || *c->at == '\t' || *c->at == ',')
		c->at++;
}

/* "+0100" after "GMT", with a blank between or without; what is no offset then could be any. */
static bool universal_offset(struct cursor *c, struct zone *ret)
{
	const char *at = c->at + (*c->at == ' ');
	int used;

	if ((*at != '+' && *at != '-') || !isdigit((unsigned char)at[1]))
		return true;
	if (at != c->at && !read_offset(at, &ret->offset))
		return true;
	used = read_short_offset(at, &ret->offset);
	if (used < 0)
		return false;
	c->at = at + used;
	return true;
}

/* "Europe/Berlin"; 0: it is no such name, -1: none that is known. */
static int database_name(const char *at, struct zone *ret)
{
	char name[ZONE_TEXT];
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || (at[n] && strchr("_/+-", at[n])))
		n++;
	if (n >= sizeof(name) || !memchr(at, '/', n) || !isupper((unsigned char)*at) || !isalpha((unsigned char)at[1]))
		return 0;
	memcpy(name, at, n);
	name[n] = '\0';
	return zone_parse(name, ret, NULL) ? -1 : (int)n;
}

static bool is_universal(const char *text, size_t size)
{
	return (size == 3 && (!strncmp(text, "UTC", 3) || !strncmp(text, "GMT", 3))) ||
	       (size == 2 && !strncmp(text, "UT", 2));
}

/* An abbreviation at a place. */
static bool abbreviation_follows(struct cursor *c, const char *at, struct zone *ret)
{
	size_t used = 0;

	while (used < 6 && isupper((unsigned char)at[used]))
		used++;
	if (!used || isalnum((unsigned char)at[used]))
		return true;
	if (!read_abbreviation(at, used, &ret->offset))
		return used < 2 || used > 4;
	*ret = (struct zone){ .given = true, .offset = ret->offset };
	c->at = at + used;
	return !is_universal(at, used) || universal_offset(c, ret);
}

bool zone_follows(struct cursor *c, struct zone *ret)
{
	struct cursor next = *c;
	size_t used;
	int name;

	cursor_blanks(&next);
	used = read_offset(next.at, &ret->offset);
	if (used) {
		*ret = (struct zone){ .given = true, .offset = ret->offset };
		c->at = next.at + used;
		return true;
	}
	next.at += *next.at == '(' || *next.at == '[';
	name = database_name(next.at, ret);
	if (name > 0)
		c->at = next.at + name;
	return name > 0 || (!name && abbreviation_follows(c, next.at, ret));
}

bool zone_precedes(const char *text, const char *at, struct zone *ret)
{
	const char *end, *begin;
	int32_t offset;

	while (at > text && strchr(" \t:=\"'>|,", at[-1]))
		at--;
	end = at > text && (at[-1] == ')' || at[-1] == ']') ? at - 1 : at;
	for (begin = end; begin > text && end - begin < 6 && isupper((unsigned char)begin[-1]);)
		begin--;
	if (begin == end || (begin > text && isalnum((unsigned char)begin[-1])) ||
	    !read_abbreviation(begin, (size_t)(end - begin), &offset))
		return false;
	*ret = (struct zone){ .given = true, .offset = offset };
	return true;
}
