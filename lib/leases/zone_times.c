// SPDX-License-Identifier: BSD-2-Clause
/* The forms in which times are written. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/text.h"
#include "leases/zone_private.h"

static bool number(struct cursor *c, unsigned least, unsigned most, int *ret)
{
	unsigned n = 0;

	while (n < most && isdigit((unsigned char)c->at[n]))
		n++;
	if (n < least || isdigit((unsigned char)c->at[n]) || !read_digits(c->at, n, ret))
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

/* A word, in any case, that no letter or digit follows. */
static bool word(struct cursor *c, const char *text)
{
	size_t n = strlen(text);

	if (strncasecmp(c->at, text, n) != 0 || isalnum((unsigned char)c->at[n]))
		return false;
	c->at += n;
	return true;
}

/* "1:05 PM", "13:05 Uhr" */
static bool half_of_day(struct cursor *c, struct wall *w)
{
	struct cursor next = *c;
	bool morning, afternoon;

	cursor_blanks(&next);
	morning = word(&next, "am") || word(&next, "a.m.");
	afternoon = !morning && (word(&next, "pm") || word(&next, "p.m."));
	if (morning || afternoon) {
		if (w->hour < 1 || w->hour > 12)
			return false;
		w->hour = w->hour % 12 + 12 * afternoon;
	} else if (!word(&next, "uhr")) {
		return true;
	}
	*c = next;
	return true;
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
	return half_of_day(c, w);
}

/* What is between a day and the time of the day. */
static bool clock_after(struct cursor *c, struct wall *w)
{
	cursor_blanks(c);
	if (word(c, "at") || word(c, "um") || letter(c, "@-"))
		cursor_blanks(c);
	return clock_of(c, w);
}

/* "2026-01-31T10:00:00" */
static bool year_first(struct cursor *c, struct wall *w)
{
	if (!number(c, 4, 4, &w->year) || !letter(c, "-/") || !number(c, 1, 2, &w->month) || !letter(c, "-/") ||
	    !number(c, 1, 2, &w->day) || !letter(c, "Tt ,;\t"))
		return false;
	return clock_after(c, w);
}

/* "31 Jan 2026 10:00:00", "31/Jan/2026:10:00:00" */
static bool day_first(struct cursor *c, struct wall *w)
{
	if (!number(c, 1, 2, &w->day) || !letter(c, " -/") || !month(c, &w->month) || !letter(c, " -/") ||
	    !number(c, 4, 4, &w->year) || !letter(c, " :,\t"))
		return false;
	return clock_after(c, w);
}

/* "Jan 31 2026 10:00:00" */
static bool month_first(struct cursor *c, struct wall *w)
{
	if (!month(c, &w->month))
		return false;
	cursor_blanks(c);
	if (!number(c, 1, 2, &w->day))
		return false;
	cursor_blanks(c);
	return number(c, 4, 4, &w->year) && clock_after(c, w);
}

/* "31.01.2026 10:00:00" */
static bool dots(struct cursor *c, struct wall *w)
{
	return number(c, 1, 2, &w->day) && letter(c, ".") && number(c, 1, 2, &w->month) && letter(c, ".") &&
	       number(c, 4, 4, &w->year) && letter(c, " ,;\t") && clock_after(c, w);
}

/* "01/31/2026 10:00:00" or "31/01/2026 10:00:00"; month 0: it may be either. */
static bool slashes(struct cursor *c, struct wall *w)
{
	int first, second;

	if (!number(c, 1, 2, &first) || !letter(c, "/-") || !number(c, 1, 2, &second) || !letter(c, "/-") ||
	    !number(c, 4, 4, &w->year) || !letter(c, " ,;\t") || !clock_after(c, w))
		return false;
	w->day = first > 12 ? first : second;
	w->month = first > 12 ? second : first;
	if (first != second && first <= 12 && second <= 12)
		w->month = 0;
	return true;
}

/* "Jan 31 10:00:00 2026", "Jan 31 10:00:00 UTC 2026" */
static bool year_last(struct cursor *c, struct wall *w, struct zone *ret_zone)
{
	if (!month(c, &w->month))
		return false;
	cursor_blanks(c);
	if (!number(c, 1, 2, &w->day))
		return false;
	cursor_blanks(c);
	if (!clock_of(c, w))
		return false;
	cursor_blanks(c);
	if (isupper((unsigned char)*c->at) && !zone_follows(c, ret_zone))
		return false;
	cursor_blanks(c);
	return number(c, 4, 4, &w->year);
}

/* 0, -ENOENT, -ERANGE for a 30th of February, as it is no other time, or -ENOTUNIQ. */
static int time_at(struct cursor *c, struct wall *w, struct zone *ret_zone)
{
	static bool (*const forms[])(struct cursor *, struct wall *) = { year_first, day_first, month_first, dots,
									 slashes };
	struct cursor begin = *c;
	int r = -ENOENT;

	for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
		*c = begin;
		if (!forms[i](c, w))
			continue;
		if (wall_valid(w))
			return 0;
		r = forms[i] == slashes && !w->month ? -ENOTUNIQ : -ERANGE;
	}
	*c = begin;
	return !year_last(c, w, ret_zone) ? r : wall_valid(w) ? 0 : -ERANGE;
}

/* Longer than any time with its zone. */
#define TIME_WINDOW 64U

/* Tries a time at a place of a text. As zone_time_find(). */
static int try_time(const char *text, const char *at, size_t size, const struct zone *zone, int64_t *ret,
		    size_t *ret_used, struct error *err)
{
	char window[TIME_WINDOW + 1];
	size_t n = size < TIME_WINDOW ? size : TIME_WINDOW;
	struct cursor c = { window };
	struct zone own = { 0 };
	struct wall w;
	int r;

	memcpy(window, at, n);
	window[n] = '\0';
	r = time_at(&c, &w, &own);
	if (r == -ENOENT)
		return r;
	*ret_used = 1;
	if (r == -ENOTUNIQ)
		return error_set(err, -EINVAL, "the month or the day may be first; write YYYY-MM-DD: %.24s", window);
	if (r)
		return error_set(err, -EINVAL, "there is no such day or time: %.24s", window);
	if (!zone_follows(&c, &own))
		return error_set(err, -EINVAL, "the time has a zone that is not known or has several meanings: %.24s",
				 c.at);
	if (!own.given && !zone_precedes(text, at, &own))
		own = *zone;
	*ret_used = (size_t)(c.at - window);
	return wall_to_time(&w, &own, ret, err);
}

int zone_time_find(const char *text, size_t size, const struct zone *zone, int64_t *ret, size_t *ret_end,
		   struct error *err)
{
	for (size_t i = 0; i < size; i++) {
		bool inside = i && isalnum((unsigned char)text[i - 1]);
		size_t used = 0;
		int r = inside || !isalnum((unsigned char)text[i])
				? -ENOENT
				: try_time(text, text + i, size - i, zone, ret, &used, err);

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

	/* 13 digits are milliseconds of this time. */
	if (((n >= 9 && n <= 11) || n == 13) &&
	    (!text[n] || (text[n] == '.' && strspn(text + n + 1, "0123456789") == strlen(text + n + 1)))) {
		*ret = strtoll(text, NULL, 10) / (n == 13 ? 1000 : 1);
		return 0;
	}
	r = zone_time_find(text, strlen(text), zone, ret, NULL, err);
	return r == -ENOENT ? error_set(err, -EINVAL, "%s is no time", QUOTED(text)) : r;
}
