// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a text says of its times in other places.
 *
 * Year. A day without one has the year that the same day has elsewhere, if that is one, or that which the text says of
 * its log. Two that contradict each other say nothing, nor does one of a day that had not come when the mail was sent.
 * Order. Of 03/04/2026 the day is first if the text says so in words ("dd/mm"), if another date with slashes shows it
 * (25/06/2026), if one of the two days is named in words, or if the other had not come when the mail was sent. Two that
 * contradict each other say nothing.
 * Zone. A time without one has that of the same time elsewhere, unless it is of a row or an object; else that which a
 * scope around it names.
 */
#include "complaints/complaint_elsewhere.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/search.h"
#include "complaints/complaint_year.h"

/* Of more zones that one time is said to be of, nearly all contradict each other. */
#define MOST_COMPARED 64U

/* A time as a clock shows it, and the zone it is said to be of. */
struct wall_zone {
	int64_t wall;
	uint32_t stamp;
};

static int64_t wall_of(const struct stamp *s)
{
	int64_t day = (s->year * 12 + s->month) * 31 + s->day;

	return ((day * 24 + s->hour) * 60 + s->minute) * 60 + s->second;
}

/* Which comes first as words say it. "yyyy-mm-dd" says nothing about other dates. */
static enum day_order order_in_words(const char *text)
{
	static const struct {
		const char *text;
		enum day_order is;
	} words[] = {
		{ "dd/mm", ORDER_DAY_FIRST },	    { "tt/mm", ORDER_DAY_FIRST },
		{ "jj/mm", ORDER_DAY_FIRST },	    { "gg/mm", ORDER_DAY_FIRST },
		{ "dd-mm", ORDER_DAY_FIRST },	    { "dd.mm", ORDER_DAY_FIRST },
		{ "day/month", ORDER_DAY_FIRST },   { "day first", ORDER_DAY_FIRST },
		{ "mm/dd", ORDER_MONTH_FIRST },	    { "mm-dd", ORDER_MONTH_FIRST },
		{ "month/day", ORDER_MONTH_FIRST }, { "month first", ORDER_MONTH_FIRST },
	};
	unsigned order = ORDER_UNKNOWN;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *at = strcasestr(text, words[i].text);

		if (at && (at < text + 3 || (at[-1] != '-' && at[-1] != '/')))
			order |= words[i].is;
	}
	return order;
}

/* Which comes first in a date with slashes that has one meaning, and in no other. */
static enum day_order order_in_date(const struct reading *x, const struct item *i, const struct stamp *s)
{
	const char *at = x->text + i->at;
	size_t digits = strspn(at, "0123456789");
	int first = atoi(at);

	if (!s->date || s->exact || s->either || !digits || digits > 2 || at[digits] != '/' || s->day == s->month)
		return ORDER_UNKNOWN;
	return first == s->day ? ORDER_DAY_FIRST : first == s->month ? ORDER_MONTH_FIRST : ORDER_UNKNOWN;
}

static void note_day(struct elsewhere *e, int year, int month, int day)
{
	int16_t *known = &e->years[month - 1][day - 1];

	if (year)
		*known = (int16_t)(*known && *known != year ? -1 : year);
}

static void note(struct elsewhere *e, uint32_t number, const struct stamp *s)
{
	if (!s->date || s->exact)
		return;
	note_day(e, s->year, s->month, s->day);
	if (s->either)
		note_day(e, s->year, s->day, s->month);
	else
		e->plain[s->month - 1][s->day - 1] = true;
	if (s->clock && claim_given(&s->zone))
		e->zones[e->n_zones++] = (struct wall_zone){ wall_of(s), number };
}

static int by_wall(const void *a, const void *b)
{
	const struct wall_zone *one = a, *two = b;

	return one->wall != two->wall ? (one->wall < two->wall ? -1 : 1)
				      : (one->stamp > two->stamp) - (one->stamp < two->stamp);
}

/* Whether the times are in their order, as those of a log are. */
static bool is_sorted(const struct elsewhere *e)
{
	for (size_t i = 1; i < e->n_zones; i++)
		if (by_wall(&e->zones[i - 1], &e->zones[i]) > 0)
			return false;
	return true;
}

static bool is_known(const struct elsewhere *e, size_t from, size_t to, const struct wall_zone *z)
{
	const struct stamp *stamps = e->x->stamps;

	for (size_t i = from; i < to; i++)
		if (claim_equal(&stamps[e->zones[i].stamp].zone, &stamps[z->stamp].zone))
			return true;
	return false;
}

/* Leaves of each time its different zones: all of them are looked at for each time that has none. */
static void leave_different(struct elsewhere *e)
{
	size_t n = 0, first = 0;

	for (size_t i = 0; i < e->n_zones; i++) {
		if (n && e->zones[n - 1].wall != e->zones[i].wall)
			first = n;
		if (n - first > MOST_COMPARED || !is_known(e, first, n, &e->zones[i]))
			e->zones[n++] = e->zones[i];
	}
	e->n_zones = n;
}

int elsewhere_survey(struct elsewhere *e, const struct reading *x)
{
	unsigned shown = ORDER_UNKNOWN;
	bool either = false, yearless = false;

	*e = (struct elsewhere){ .x = x, .zones = calloc(x->n_stamps + 1, sizeof(*e->zones)) };
	if (!e->zones)
		return -ENOMEM;
	for (size_t i = 0; i < x->n_stamps; i++) {
		note(e, (uint32_t)i, &x->stamps[i]);
		either |= x->stamps[i].either;
		yearless |= x->stamps[i].date && !x->stamps[i].year && !x->stamps[i].exact;
	}
	e->said_year = yearless ? complaint_said_year(x) : 0;
	for (size_t i = 0; i < x->n_items; i++)
		if (x->items[i].kind == ITEM_TIME)
			shown |= order_in_date(x, &x->items[i], &x->stamps[x->items[i].stamp]);
	if (shown == ORDER_UNKNOWN || shown == ORDER_BOTH)
		shown = either ? order_in_words(x->text) : ORDER_UNKNOWN;
	e->order = shown;
	if (!is_sorted(e))
		qsort(e->zones, e->n_zones, sizeof(*e->zones), by_wall);
	leave_different(e);
	return 0;
}

void elsewhere_free(struct elsewhere *e)
{
	free(e->zones);
}

/* What comes after the complaint has not happened; a mail may be sent a day before by another clock. */
static bool had_come(const struct stamp *sent, int year, int month, int day)
{
	return (year * 12 + month) * 31 + day <= (sent->year * 12 + sent->month) * 31 + sent->day + 1;
}

int elsewhere_year(const struct elsewhere *e, const struct stamp *s)
{
	int year = e->years[s->month - 1][s->day - 1], said = e->said_year;
	const struct stamp *sent = &e->x->sent;

	if (!said)
		return year > 0 ? year : 0;
	if (said < 0 || (year && year != said) || (sent->date && !had_come(sent, said, s->month, s->day)))
		return 0;
	return said;
}

bool elsewhere_settle(const struct elsewhere *e, struct stamp *s)
{
	bool as_read = e->plain[s->month - 1][s->day - 1], exchanged = e->plain[s->day - 1][s->month - 1];
	const struct stamp *sent = &e->x->sent;
	enum day_order order = e->order == ORDER_BOTH ? ORDER_UNKNOWN : e->order;

	if (!order && as_read != exchanged)
		order = as_read ? ORDER_DAY_FIRST : ORDER_MONTH_FIRST;
	if (!order && sent->date) {
		as_read = had_come(sent, s->year, s->month, s->day);
		exchanged = had_come(sent, s->year, s->day, s->month);
		if (as_read != exchanged)
			order = as_read ? ORDER_DAY_FIRST : ORDER_MONTH_FIRST;
	}
	if (order == ORDER_MONTH_FIRST)
		stamp_exchange(s);
	s->either = !order;
	return order != ORDER_UNKNOWN;
}

/* The first of the times that a clock shows so. */
static size_t first_of(const struct elsewhere *e, int64_t wall)
{
	return count_while(i, e->n_zones, e->zones[i].wall < wall);
}

struct claim elsewhere_zone(const struct elsewhere *e, const struct stamp *s, uint32_t scope)
{
	const struct reading *x = e->x;
	int64_t wall = wall_of(s);
	struct claim found = { 0 };

	bool record = x->scopes[complaint_record(x, scope)].closed;

	for (size_t i = first_of(e, wall); !record && i < e->n_zones && e->zones[i].wall == wall && !found.clash; i++)
		claim_add(&found, &x->stamps[e->zones[i].stamp].zone);
	for (; !claim_given(&found) && scope != NONE; scope = x->scopes[scope].parent) {
		const struct scope_zones *z = x->scopes[scope].zones == NONE ? NULL : &x->zones[x->scopes[scope].zones];

		for (unsigned k = 0; z && k < z->n; k++)
			claim_add(&found, &x->stamps[x->items[z->items[k]].stamp].zone);
	}
	return found;
}

void elsewhere_fields(const struct elsewhere *e, uint32_t scope, struct claim *c)
{
	const struct reading *x = e->x;
	bool record = false;

	for (; scope != NONE && !record; scope = x->scopes[scope].parent) {
		const struct scope_zones *z = x->scopes[scope].zones == NONE ? NULL : &x->zones[x->scopes[scope].zones];

		for (unsigned k = 0; z && k < z->n; k++)
			if (x->items[z->items[k]].field)
				claim_add(c, &x->stamps[x->items[z->items[k]].stamp].zone);
		record = x->scopes[scope].closed || x->scopes[scope].block;
	}
}
