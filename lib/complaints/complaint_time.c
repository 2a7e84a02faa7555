// SPDX-License-Identifier: BSD-2-Clause
/* The forms in which people and programs write times. */
#include "complaints/complaint_time.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_words.h"

/* Where a text is read. */
struct spot {
	const char *at, *end;
};

/* Months in English, German, French, Spanish, Portuguese, Italian, Polish, Dutch and Russian, folded. */
static const struct word months[] = {
	{ "abr*", 4 },	   { "ago", 8 },      { "agosto", 8 },	 { "aout", 8 },	  { "apr*", 4 },    { "aug*", 8 },
	{ "avr*", 4 },	   { "czerw*", 6 },   { "dec*", 12 },	 { "dez*", 12 },  { "dic*", 12 },   { "ene", 1 },
	{ "enero", 1 },	   { "feb*", 2 },     { "fev*", 2 },	 { "gen", 1 },	  { "gennaio", 1 }, { "giu", 6 },
	{ "giugno", 6 },   { "gru", 12 },     { "grud*", 12 },	 { "jan*", 1 },	  { "juil*", 7 },   { "juin", 6 },
	{ "jul*", 7 },	   { "jun*", 6 },     { "kwie*", 4 },	 { "lip", 7 },	  { "lipca", 7 },   { "lipiec", 7 },
	{ "lis", 11 },	   { "listop*", 11 }, { "lug", 7 },	 { "luglio", 7 }, { "lut", 2 },	    { "lutego", 2 },
	{ "luty", 2 },	   { "maart", 3 },    { "maerz", 3 },	 { "mag", 5 },	  { "maggio", 5 },  { "mai", 5 },
	{ "maio", 5 },	   { "maj", 5 },      { "maja", 5 },	 { "mar", 3 },	  { "marca", 3 },   { "march", 3 },
	{ "marco", 3 },	   { "mars", 3 },     { "mart*", 3 },	 { "marz*", 3 },  { "may", 5 },	    { "mayo", 5 },
	{ "mei", 5 },	   { "mrz", 3 },      { "nov*", 11 },	 { "oct*", 10 },  { "okt*", 10 },   { "ott", 10 },
	{ "ottobre", 10 }, { "out", 10 },     { "outubro", 10 }, { "paz*", 10 },  { "sep", 9 },	    { "sept*", 9 },
	{ "set*", 9 },	   { "sie", 8 },      { "sierp*", 8 },	 { "stycz*", 1 }, { "wrz*", 9 },    { "авг*", 8 },
	{ "апр*", 4 },	   { "дек*", 12 },    { "июл*", 7 },	 { "июн*", 6 },	  { "май", 5 },	    { "мар*", 3 },
	{ "мая", 5 },	   { "ноя*", 11 },    { "окт*", 10 },	 { "сен*", 9 },	  { "фев*", 2 },    { "янв*", 1 },
};

/* Whether a word is in a list, in which blanks are between. */
static bool in_list(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = n ? list : NULL; at && (at = strstr(at, word)); at++)
		if ((at == list || at[-1] == ' ') && (at[n] == ' ' || !at[n]))
			return true;
	return false;
}

static bool digit_at(const struct spot *s, size_t i)
{
	return (size_t)(s->end - s->at) > i && digit_octet(s->at[i]);
}

/* A number of least to most digits, that no digit follows. */
static bool number(struct spot *s, unsigned least, unsigned most, int *ret)
{
	unsigned n = 0;
	int value = 0;

	while (n < most && digit_at(s, n))
		value = value * 10 + (s->at[n++] - '0');
	if (n < least || digit_at(s, n))
		return false;
	s->at += n;
	*ret = value;
	return true;
}

static bool one_of(struct spot *s, const char *any, char *ret)
{
	if (s->at >= s->end || !octet_is_of(*s->at, any))
		return false;
	if (ret)
		*ret = *s->at;
	s->at++;
	return true;
}

static bool octets(struct spot *s, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
		return false;
	s->at += n;
	return true;
}

/* Blanks, and one end of a line. */
static void blanks(struct spot *s)
{
	bool line = false;

	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || (*s->at == '\n' && !line))) {
		line |= *s->at == '\n';
		s->at++;
	}
}

/* Words between the parts of a time; "o'clock" and the like. */
static void joiners(struct spot *s, const char *list, const char *signs)
{
	char folded[WORD_TEXT];

	for (unsigned i = 0; i < 5; i++) {
		struct spot next = *s;

		blanks(&next);
		while (next.at < next.end && octet_is_of(*next.at, signs))
			next.at++;
		blanks(&next);
		*s = next;
		if (next.at >= next.end || !word_octet(*next.at) || digit_octet(*next.at))
			return;
		next.at = word_fold(next.at, next.end, folded);
		if (!in_list(list, folded))
			return;
		*s = next;
	}
}

static bool month(struct spot *s, int *ret)
{
	char folded[WORD_TEXT];
	struct spot next = *s;

	if (s->at >= s->end || !word_octet(*s->at) || digit_octet(*s->at))
		return false;
	next.at = word_fold(s->at, s->end, folded);
	*ret = (int)word_find(months, ARRAY_SIZE(months), folded);
	if (!*ret)
		return false;
	one_of(&next, ".", NULL);
	*s = next;
	return true;
}

static bool set_day(struct stamp *t, int year, int m, int day)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if ((year && (year < 1970 || year > 9998)) || m < 1 || m > 12 || day < 1 || day > days[m - 1])
		return false;
	if (m == 2 && day == 29 && year && (year % 4 || (!(year % 100) && year % 400)))
		return false;
	t->year = (int16_t)year;
	t->month = (int8_t)m;
	t->day = (int8_t)day;
	return t->date = true;
}

/* "2026-01-31", "2026/01/31", "2026.01.31", "20260131T", "2026年1月31日" */
static bool year_first(struct spot *s, struct stamp *t)
{
	int year, m, day;
	char sign, again;

	if (digit_at(s, 7) && number(s, 8, 8, &year))
		return s->at < s->end && strchr("Tt", *s->at) && digit_at(s, 1) &&
		       set_day(t, year / 10000, year / 100 % 100, year % 100);
	if (!number(s, 4, 4, &year))
		return false;
	if (octets(s, "\345\271\264"))
		return number(s, 1, 2, &m) && octets(s, "\346\234\210") && number(s, 1, 2, &day) &&
		       octets(s, "\346\227\245") && set_day(t, year, m, day);
	return one_of(s, "-/.", &sign) && number(s, 1, 2, &m) && one_of(s, "-/.", &again) && sign == again &&
	       number(s, 1, 2, &day) && set_day(t, year, m, day);
}

/* "31.01.2026", "31/01/2026", "01-31-2026" */
static bool year_third(struct spot *s, struct stamp *t)
{
	int first, second, year;
	char sign, again;

	if (!number(s, 1, 2, &first) || !one_of(s, "./-", &sign) || !number(s, 1, 2, &second) ||
	    !one_of(s, "./-", &again) || sign != again || !number(s, 4, 4, &year))
		return false;
	t->either = sign != '.' && first <= 12 && second <= 12 && first != second;
	if (sign != '.' && second > 12)
		return set_day(t, year, first, second);
	return set_day(t, year, second, first);
}

/* "31 Jan 2026", "31/Jan/2026", "1er août 2026", "3 de junho de 2026", "24th of May 2026", "4. März" */
static bool month_second(struct spot *s, struct stamp *t)
{
	static const char of[] = "de d of del di do st nd rd th er o";
	struct spot next;
	int day, m, year = 0;

	if (!number(s, 1, 2, &day))
		return false;
	joiners(s, of, " .-/,)\302\272\302\260");
	if (!month(s, &m))
		return false;
	next = *s;
	joiners(&next, of, " .,-/");
	if (number(&next, 4, 4, &year))
		*s = next;
	else
		year = 0;
	return set_day(t, year, m, day);
}

/* "Jan 31", "January 31, 2026", "Jan 31 2026" */
static bool month_first(struct spot *s, struct stamp *t)
{
	struct spot next;
	int day, m, year = 0;

	if (!month(s, &m))
		return false;
	blanks(s);
	if (!number(s, 1, 2, &day) || (s->at < s->end && *s->at == ':'))
		return false;
	next = *s;
	joiners(&next, "st nd rd th", ",");
	if (number(&next, 4, 4, &year) && (next.at >= next.end || *next.at != ':'))
		*s = next;
	else
		year = 0;
	return set_day(t, year, m, day);
}

/* "PM", and what else is said behind a clock. */
static bool half_of_day(struct spot *s, int *hour)
{
	struct spot next = *s;
	char folded[WORD_TEXT];
	bool afternoon;

	blanks(&next);
	next.at = word_fold(next.at, next.end, folded);
	/* "p.m.", "p. m." */
	if (strlen(folded) == 1) {
		one_of(&next, ".", NULL);
		blanks(&next);
		if (one_of(&next, "mM", NULL))
			strcat(folded, "m");
	}
	afternoon = !strcmp(folded, "pm");
	if (!afternoon && strcmp(folded, "am") != 0)
		return true;
	if (*hour < 1 || *hour > 12)
		return *hour >= 13 && afternoon;
	*hour = *hour % 12 + 12 * afternoon;
	one_of(&next, ".", NULL);
	*s = next;
	return true;
}

/* "20h14m33s", "15h40" */
static bool clock_of_letters(struct spot *s, int *minute, int *second, bool *seconds)
{
	struct spot next;

	if (!one_of(s, "h", NULL) || !number(s, 2, 2, minute))
		return false;
	next = *s;
	if (!one_of(&next, "mM:", NULL))
		return true;
	one_of(&next, "in", NULL);
	one_of(&next, "n", NULL);
	if (number(&next, 2, 2, second)) {
		*seconds = true;
		one_of(&next, "s", NULL);
	}
	*s = next;
	return true;
}

/* "10:00:00.25", "1:05 PM", "100000" behind a compact day, and the forms above. */
static bool clock_of(struct spot *s, struct stamp *t, bool compact)
{
	int hour, minute, second = 0;
	bool seconds = false;

	if (compact && digit_at(s, 5)) {
		if (!number(s, 6, 6, &second))
			return false;
		hour = second / 10000;
		minute = second / 100 % 100;
		second %= 100;
		seconds = true;
	} else if (!number(s, 1, 2, &hour)) {
		return false;
	} else if (s->at < s->end && *s->at == 'h') {
		if (!clock_of_letters(s, &minute, &second, &seconds))
			return false;
	} else if (!one_of(s, ":", NULL) || !number(s, 2, 2, &minute)) {
		return false;
	} else if (s->at < s->end && *s->at == ':') {
		s->at++;
		if (!number(s, 2, 2, &second))
			return false;
		seconds = true;
	}
	if (s->at + 1 < s->end && (*s->at == '.' || *s->at == ',') && digit_octet(s->at[1]))
		for (s->at++; s->at < s->end && digit_octet(*s->at);)
			s->at++;
	if (!half_of_day(s, &hour) || hour > 23 || minute > 59 || second > 60)
		return false;
	if (s->at + 1 < s->end && (*s->at == '_' || (*s->at == ':' && digit_octet(s->at[1]))))
		return false;
	t->hour = (int8_t)hour;
	t->minute = (int8_t)minute;
	t->second = (int8_t)second;
	t->seconds = seconds;
	return t->clock = true;
}

/* In parentheses behind a time: "(local summer time, UTC+1)". */
static void claims_within(struct spot *s, struct stamp *t)
{
	size_t most = s->end - s->at < 160 ? (size_t)(s->end - s->at) : 160;
	const char *close = memchr(s->at, *s->at == '[' ? ']' : ')', most);
	const char *p = s->at + 1;
	bool any = false;

	if (!close)
		return;
	while (p < close) {
		struct claim c;
		const char *after = claim_read(p, close, true, &c);

		if (after) {
			claim_add(&t->zone, &c);
			any = true;
			p = after;
			continue;
		}
		if (word_octet(*p))
			while (p < close && word_octet(*p))
				p++;
		else
			p++;
	}
	if (any)
		s->at = close + 1;
}

/* The zones behind a time. */
static void zones_behind(struct spot *s, struct stamp *t)
{
	for (unsigned i = 0; i < 3; i++) {
		struct spot next = *s;
		struct claim c;
		const char *after;

		joiners(&next, "uhr h hrs hours ore horas heures in the morning zone utc_ time_", i ? "," : ",|");
		if (next.at >= next.end)
			return;
		if (*next.at == '(' || *next.at == '[') {
			struct claim before = t->zone;

			claims_within(&next, t);
			if (!claim_equal(&before, &t->zone) || next.at[-1] == ')')
				*s = next;
			return;
		}
		after = claim_read(next.at, next.end, true, &c);
		if (!after)
			return;
		claim_add(&t->zone, &c);
		s->at = after;
	}
}

/* A year, and a zone before it, behind "Jan 31 10:00:00". */
static void year_behind(struct spot *s, struct stamp *t)
{
	struct spot next = *s;
	struct claim c = { 0 };
	const char *after;
	int year;

	blanks(&next);
	after = claim_read(next.at, next.end, true, &c);
	next.at = after ? after : next.at;
	blanks(&next);
	if (!number(&next, 4, 4, &year) || year < 1970 || year > 9998)
		return;
	t->year = (int16_t)year;
	claim_add(&t->zone, &c);
	*s = next;
}

/* A day behind a clock: "14:05:00 Uhr am 31.01.2026". */
static void day_behind(struct spot *s, struct stamp *t)
{
	static bool (*const forms[])(struct spot *, struct stamp *) = { year_first, year_third, month_second,
									month_first };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct spot next = *s;
		struct stamp day = { 0 };

		joiners(&next, "uhr on am le du el em il del den the of dnia hrs hours", ",-/");
		if (!forms[i](&next, &day) || !day.year || (next.at < next.end && *next.at == ':'))
			continue;
		stamp_add_clock(&day, t);
		*t = day;
		*s = next;
		return;
	}
}

static const char *clock_first(const char *at, const char *end, struct stamp *ret)
{
	struct spot s = { at, end };

	*ret = (struct stamp){ 0 };
	if (!clock_of(&s, ret, false))
		return NULL;
	zones_behind(&s, ret);
	day_behind(&s, ret);
	zones_behind(&s, ret);
	return s.at;
}

/* Whether a clock follows a day that is no date: "2026-05-03T1", whose rest is missing, is no day alone. */
static bool broken(const struct spot *s)
{
	struct spot next = *s;
	int hour;

	if (next.at < next.end && (*next.at == 'T' || *next.at == 't') && digit_at(&next, 1))
		return true;
	joiners(&next, "utc gmt at um a", ",");
	return number(&next, 1, 2, &hour) && next.at < next.end && *next.at == ':';
}

const char *stamp_read(const char *at, const char *end, struct stamp *ret)
{
	static bool (*const forms[])(struct spot *, struct stamp *) = { year_first, year_third, month_second,
									month_first };
	/* A number begins all but the last, and never that. */
	bool digit = at < end && digit_octet(*at);

	for (size_t i = digit ? 0 : 3; i < 3U + !digit; i++) {
		struct spot s = { at, end }, clock;
		bool compact;

		*ret = (struct stamp){ 0 };
		if (!forms[i](&s, ret) || (s.at < s.end && isalnum((unsigned char)*s.at) && !strchr("Ttr", *s.at)) ||
		    (s.at + 1 < s.end && *s.at == '.' && digit_octet(s.at[1])))
			continue;
		clock = s;
		compact = clock.at < clock.end && *clock.at == 'T' && digit_at(&clock, 6);
		if (clock.at < clock.end && strchr("Tt:-_", *clock.at) && digit_at(&clock, 1))
			clock.at++;
		else
			joiners(&clock,
				"at um a à as las les pelas alle ore godz o r g г года в около kl klo heure hora the "
				"ora",
				",;.|@");
		zones_behind(&clock, ret);
		joiners(&clock, "at", "-");
		if (!clock_of(&clock, ret, compact)) {
			if (broken(&s))
				return ret->date = false, ret->clock = false, s.at;
			ret->zone = (struct claim){ 0 };
			return s.at;
		}
		s = clock;
		if (!ret->year)
			year_behind(&s, ret);
		zones_behind(&s, ret);
		return s.at;
	}
	return digit ? clock_first(at, end, ret) : NULL;
}

bool stamp_epoch(const char *at, const char *end, struct stamp *ret)
{
	static const struct {
		unsigned digits;
		int64_t parts;
	} forms[] = { { 10, 1 }, { 13, 1000 }, { 16, 1000000 }, { 19, 1000000000 } };
	unsigned n = 0;
	int64_t value = 0;

	for (; at + n < end && digit_octet(at[n]) && n < 19; n++)
		value = value * 10 + (at[n] - '0');
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (forms[i].digits != n || (at + n < end && isalnum((unsigned char)at[n])))
			continue;
		*ret = (struct stamp){
			.date = true, .clock = true, .seconds = true, .exact = true, .t = value / forms[i].parts
		};
		return ret->t >= 946684800;
	}
	return false;
}
