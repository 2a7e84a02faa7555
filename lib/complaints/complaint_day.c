// SPDX-License-Identifier: BSD-2-Clause
/*
 * Days that a text contradicts itself about. A day of the week before a date that is another one: either may be the
 * mistake. Hours of a log whose day is named once, and which go on behind a midnight: the day is that of a part of
 * them.
 */
#include <errno.h>

#include "base/base.h"
#include "base/hash.h"
#include "complaints/complaint_private.h"

/* Hours that go back by more are behind a midnight; by less, they are in another order. */
#define BACK (12 * 3600)

/* From Monday, 1. English, German, French, Spanish, Italian, Portuguese and Dutch. */
static const struct word weekdays[] = {
	{ "dienstag", 2 },  { "dimanche", 7 },	 { "dinsdag", 2 },   { "domenica", 7 },	 { "domingo", 7 },
	{ "donderdag", 4 }, { "donnerstag", 4 }, { "freitag", 5 },   { "fri", 5 },	 { "friday", 5 },
	{ "giovedi", 4 },   { "jeudi", 4 },	 { "jueves", 4 },    { "lundi", 1 },	 { "lunedi", 1 },
	{ "lunes", 1 },	    { "maandag", 1 },	 { "mardi", 2 },     { "martedi", 2 },	 { "martes", 2 },
	{ "mercoledi", 3 }, { "mercredi", 3 },	 { "miercoles", 3 }, { "mittwoch", 3 },	 { "mon", 1 },
	{ "monday", 1 },    { "montag", 1 },	 { "sabado", 6 },    { "sabato", 6 },	 { "samedi", 6 },
	{ "samstag", 6 },   { "sat", 6 },	 { "saturday", 6 },  { "sonnabend", 6 }, { "sonntag", 7 },
	{ "sun", 7 },	    { "sunday", 7 },	 { "thu", 4 },	     { "thur", 4 },	 { "thurs", 4 },
	{ "thursday", 4 },  { "tue", 2 },	 { "tues", 2 },	     { "tuesday", 2 },	 { "vendredi", 5 },
	{ "venerdi", 5 },   { "viernes", 5 },	 { "vrijdag", 5 },   { "wed", 3 },	 { "wednesday", 3 },
	{ "woensdag", 3 },  { "zaterdag", 6 },	 { "zondag", 7 },
};
static struct word_table known_days = { .words = weekdays, .n = ARRAY_SIZE(weekdays) };

/* Of a day of the Gregorian calendar, from Monday, 1 (the way of Sakamoto). */
static unsigned weekday(int year, int month, int day)
{
	static const int shift[] = { 0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4 };
	int of = (year -= month < 3, year + year / 4 - year / 100 + year / 400 + shift[month - 1] + day) % 7;

	return of ? (unsigned)of : 7;
}

bool complaint_other_weekday(const struct reading *x, const struct item *time)
{
	const struct stamp *t = &x->stamps[time->stamp];
	const char *end = x->text + time->at, *at;
	char folded[WORD_TEXT];
	unsigned said;

	if (t->exact || t->either || !t->date || !t->year || time->joined)
		return false;
	while (end > x->text && octet_is_of(end[-1], " \t,.("))
		end--;
	for (at = end; at > x->text && word_octet(at[-1]) && end - at < (int)WORD_TEXT;)
		at--;
	if (at == end)
		return false;
	word_fold(at, end, folded);
	said = word_find(&known_days, folded);
	return said && said != weekday(t->year, t->month, t->day);
}

static const struct stamp *joined(const struct reading *x, const struct item *a)
{
	if (a->kind != ITEM_ADDR || a->fault || a->port_item == NONE || a->time_item == NONE)
		return NULL;
	return x->items[a->time_item].joined ? &x->stamps[x->items[a->time_item].stamp] : NULL;
}

static bool same_day(const struct stamp *a, const struct stamp *b)
{
	return a->year == b->year && a->month == b->month && a->day == b->day;
}

static int second_of(const struct stamp *t)
{
	return (t->hour * 60 + t->minute) * 60 + t->second;
}

static uint64_t hash_of_day(const struct stamp *t)
{
	return HASH_OF((uint64_t)t->year, (uint64_t)t->month, (uint64_t)t->day);
}

/* Finds the days on which hours go back behind a midnight. 0 or -ENOMEM. */
static int find_midnights(const struct reading *x, struct hash_index *days)
{
	const struct stamp *before = NULL;

	for (size_t i = 0; i < x->n_items; i++) {
		const struct stamp *t = joined(x, &x->items[i]);

		if (!t || hash_set_has(days, hash_of_day(t)))
			continue;
		if (!before || !same_day(before, t) || second_of(before) - second_of(t) <= BACK) {
			before = t;
			continue;
		}
		if (hash_set_add(days, hash_of_day(t)))
			return -ENOMEM;
		before = NULL;
	}
	return 0;
}

void complaint_midnights(struct reading *x)
{
	struct hash_index days = { 0 };

	if (find_midnights(x, &days))
		x->error = -ENOMEM;
	for (size_t i = 0; i < x->n_items && days.n; i++) {
		struct item *a = &x->items[i];
		const struct stamp *t = joined(x, a);

		if (!t || !hash_set_has(&days, hash_of_day(t)))
			continue;
		a->fault = FAULT_UNSURE;
		a->doubt = DOUBT_MIDNIGHT;
	}
	hash_index_free(&days);
}
