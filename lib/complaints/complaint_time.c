// SPDX-License-Identifier: BSD-2-Clause
/* The forms in which people and programs write times. */
#include "complaints/complaint_time.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_spot.h"
#include "complaints/complaint_words.h"

/* Months in English, German, French, Spanish, Portuguese, Italian, Polish, Czech, Dutch and
 * Russian, folded. */
static const struct word months[] = {
#define WORD(text, is) { text, is },
#include "complaints/complaint_months.def"
#undef WORD
};
static struct word_table known_months = { .words = months, .n = ARRAY_SIZE(months) };

static bool month(struct spot *s, int *ret)
{
	char folded[WORD_TEXT];
	struct spot next = *s;

	if (s->at >= s->end || !word_octet(*s->at) || digit_octet(*s->at) || !word_begins(&known_months, s->at, s->end))
		return false;
	next.at = word_fold(s->at, s->end, folded);
	*ret = (int)word_find(&known_months, folded);
	if (!*ret)
		return false;
	spot_one_of(&next, ".", NULL);
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

/* Behind a year: " Jan 31", as NX-OS and OSSEC write days, or ":01:31-10:00:00", as Sophos does. */
static bool behind_year(struct spot *s, int year, struct stamp *t)
{
	int m, day;

	if (year < 1990 || year > 2100)
		return false;
	if (spot_one_of(s, ":", NULL))
		return spot_number(s, 2, 2, &m) && spot_one_of(s, ":", NULL) && spot_number(s, 2, 2, &day) &&
		       s->at < s->end && octet_is_of(*s->at, "- ") && spot_digit(s, 1) && set_day(t, year, m, day);
	if (!spot_one_of(s, " -", NULL) || !month(s, &m))
		return false;
	if (!spot_one_of(s, "-", NULL))
		spot_blanks(s);
	return spot_number(s, 1, 2, &day) && set_day(t, year, m, day);
}

/* "2026-01-31", "2026/01/31", "2026.01.31", "20260131T", "2026年1月31日" */
static bool year_first(struct spot *s, struct stamp *t)
{
	struct spot behind;
	int year, m, day;
	char sign, again;

	if (spot_digit(s, 7) && spot_number(s, 8, 8, &year))
		return s->at < s->end && strchr("Tt", *s->at) && spot_digit(s, 1) &&
		       set_day(t, year / 10000, year / 100 % 100, year % 100);
	if (!spot_number(s, 4, 4, &year))
		return false;
	if (spot_glyph(s, GLYPH_YEAR)) {
		spot_blanks(s);
		if (!spot_number(s, 1, 2, &m) || !spot_glyph(s, GLYPH_MONTH))
			return false;
		spot_blanks(s);
		return spot_number(s, 1, 2, &day) && spot_glyph(s, GLYPH_DAY) && set_day(t, year, m, day);
	}
	behind = *s;
	if (behind_year(&behind, year, t))
		return *s = behind, true;
	return spot_one_of(s, "-/.", &sign) && spot_number(s, 1, 2, &m) && spot_one_of(s, "-/.", &again) &&
	       sign == again && spot_number(s, 1, 2, &day) && set_day(t, year, m, day);
}

/* "31.01.2026", "31/01/2026", "01-31-2026" */
static bool year_third(struct spot *s, struct stamp *t)
{
	int first, second, year;
	char sign, again;

	if (!spot_number(s, 1, 2, &first) || !spot_one_of(s, "./-", &sign) || !spot_number(s, 1, 2, &second) ||
	    !spot_one_of(s, "./-", &again) || sign != again || !spot_number(s, 4, 4, &year))
		return false;
	t->either = sign != '.' && first <= 12 && second <= 12 && first != second;
	if (sign != '.' && second > 12)
		return set_day(t, year, first, second);
	return set_day(t, year, second, first);
}

static bool is_alert(const struct spot *behind)
{
	struct spot next = *behind;

	spot_blanks(&next);
	return spot_octets(&next, "[**]");
}

/* "01/31/26-10:00:00.123456  [**]", as Snort writes with a year. */
static bool alert_day(struct spot *s, struct stamp *t)
{
	int m, day, year;
	struct spot clock;
	struct stamp any = { 0 };

	if (!spot_number(s, 2, 2, &m) || !spot_one_of(s, "/", NULL) || !spot_number(s, 2, 2, &day) ||
	    !spot_one_of(s, "/", NULL) || !spot_number(s, 2, 2, &year) || s->at >= s->end || *s->at != '-')
		return false;
	clock = (struct spot){ s->at + 1, s->end };
	return spot_clock(&clock, &any, false) && is_alert(&clock) && set_day(t, 2000 + year, m, day);
}

/* "31 Jan 2026", "31/Jan/2026", "1er août 2026", "3 de junho de 2026", "24th of May 2026", "4. März" */
static bool month_second(struct spot *s, struct stamp *t)
{
	static const char of[] = "de d of del di do st nd rd th er o";
	struct spot next;
	int day, m, year = 0;

	if (!spot_number(s, 1, 2, &day))
		return false;
	spot_joiners(s, of, " .-/,)\302\272\302\260");
	if (!month(s, &m))
		return false;
	next = *s;
	spot_joiners(&next, of, " .,-/");
	if (spot_number(&next, 4, 4, &year))
		*s = next;
	else
		year = 0;
	return set_day(t, year, m, day);
}

/* "Jan 31", "January 31, 2026", "Jan 31 2026", "jan/31/2026" */
static bool month_first(struct spot *s, struct stamp *t)
{
	struct spot next;
	int day, m, year = 0;

	if (!month(s, &m))
		return false;
	next = *s;
	if (spot_one_of(&next, "/", NULL) && spot_number(&next, 1, 2, &day) && spot_one_of(&next, "/", NULL) &&
	    spot_number(&next, 4, 4, &year)) {
		*s = next;
		return set_day(t, year, m, day);
	}
	spot_blanks(s);
	if (!spot_number(s, 1, 2, &day) || (s->at < s->end && *s->at == ':'))
		return false;
	next = *s;
	spot_joiners(&next, "st nd rd th", ",");
	if (spot_number(&next, 4, 4, &year) && (next.at >= next.end || *next.at != ':'))
		*s = next;
	else
		year = 0;
	return set_day(t, year, m, day);
}

/*
 * The same time in another zone, in parentheses: "06:05:11 CEST (04:05:11 UTC)". Where the zone before it is not said,
 * or the moments differ, none is known. Its end, or NULL.
 */
static const char *again_within(const char *at, const char *close, struct stamp *t)
{
	struct spot s = { at, close };
	struct stamp other = { 0 };
	const char *end;

	if (!spot_clock(&s, &other, false))
		return NULL;
	spot_blanks(&s);
	end = claim_read(s.at, close, true, &other.zone);
	if (end && !stamp_same_moment(t, &other))
		t->zone.clash = true;
	return end;
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
		const char *after = digit_octet(*p) && t->clock ? again_within(p, close, t) : NULL;

		if (after) {
			any = true;
			p = after;
			continue;
		}
		after = claim_read(p, close, true, &c);

		if (after && label_read(s->at + 1, p).negated) {
			p = after;
			continue;
		}
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

/* The same time in another zone, behind a sign: "06:05:11 CEST = 04:05:11 UTC". */
static void again_behind(struct spot *s, struct stamp *t)
{
	struct spot next = *s;
	const char *end;

	spot_blanks(&next);
	if (!claim_given(&t->zone) || !spot_one_of(&next, "=/", NULL))
		return;
	spot_blanks(&next);
	end = next.at < next.end && digit_octet(*next.at) ? again_within(next.at, next.end, t) : NULL;
	s->at = end ? end : s->at;
}

/* The zones behind a time. */
static void zones_behind(struct spot *s, struct stamp *t)
{
	for (unsigned i = 0; i < 3; i++) {
		struct spot next = *s;
		struct claim c;
		const char *after;

		spot_joiners(&next, "uhr h hrs hours ore horas heures in the morning zone utc_ time_", i ? "," : ",|");
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
			break;
		claim_add(&t->zone, &c);
		s->at = after;
	}
	again_behind(s, t);
}

/* A year, and a zone before it, behind "Jan 31 10:00:00". */
static void year_behind(struct spot *s, struct stamp *t)
{
	struct spot next = *s;
	struct claim c = { 0 };
	const char *after;
	int year;

	spot_blanks(&next);
	after = claim_read(next.at, next.end, true, &c);
	next.at = after ? after : next.at;
	spot_blanks(&next);
	if (!spot_number(&next, 4, 4, &year) || year < 1970 || year > 9998)
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

		spot_joiners(&next,
			     "uhr on am le du el em il del den the of op dne dnia dia giorno jour hrs hours horas",
			     ",-/");
		if (!forms[i](&next, &day) || !day.year || (next.at < next.end && *next.at == ':'))
			continue;
		stamp_add_clock(&day, t);
		*t = day;
		*s = next;
		return;
	}
}

/* Whether a word or a zone behind a number with dots says that it is an hour, and not a day. */
static bool is_said_hour(const struct spot *s)
{
	struct spot next = *s;
	struct stamp any = { 0 };
	char folded[WORD_TEXT];

	zones_behind(&next, &any);
	if (claim_given(&any.zone))
		return true;
	spot_blanks(&next);
	word_fold(next.at, next.end, folded);
	return word_in_list("uhr uur h", folded);
}

/* The end of "8:30-14:00", hours of a day that are the ends of a span: what they open is no zone. NULL: it is none. */
static const char *span_end(const struct spot *s, const struct stamp *first)
{
	struct spot next = *s;
	struct stamp second = { 0 };

	if (first->seconds)
		return NULL;
	spot_joiners(&next, "uhr uur h", "");
	if (!spot_one_of(&next, "-", NULL) && !spot_octets(&next, "\342\200\223"))
		return NULL;
	spot_blanks(&next);
	return spot_clock(&next, &second, false) && !second.seconds ? next.at : NULL;
}

static const char *clock_first(const char *at, const char *end, struct stamp *ret)
{
	struct spot s = { at, end };
	const char *span;

	*ret = (struct stamp){ 0 };
	if (!spot_clock(&s, ret, false) && !((s = (struct spot){ at, end }), spot_dotted(&s, ret) && is_said_hour(&s)))
		return NULL;
	span = span_end(&s, ret);
	if (span)
		return *ret = (struct stamp){ 0 }, span;
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

	if (next.at < next.end && (*next.at == 'T' || *next.at == 't') && spot_digit(&next, 1))
		return true;
	spot_joiners(&next, "utc gmt at um a", ",");
	return spot_number(&next, 1, 2, &hour) && next.at < next.end && *next.at == ':';
}

/* Whether four short numbers with dots between are at a place, as of an address or a version. */
static bool is_dotted_four(const char *at, const char *end)
{
	for (unsigned i = 0; i < 3; i++) {
		unsigned n = 0;

		for (; n < 4 && at < end && digit_octet(*at); n++)
			at++;
		if (!n || n == 4 || at >= end || *at++ != '.')
			return false;
	}
	return at < end && digit_octet(*at);
}

/* Whether what is behind the digits at a place can go on a time: most numbers are none. */
static bool goes_on(const char *at, const char *end)
{
	bool blank = false;

	while (at < end && digit_octet(*at))
		at++;
	for (; at < end && octet_is_of(*at, " \t\n"); at++)
		blank = true;
	return at < end && (octet_is_of(*at, ".,-/):") || (word_octet(*at) && !(blank && digit_octet(*at))));
}

const char *stamp_read(const char *at, const char *end, struct stamp *ret)
{
	static bool (*const forms[])(struct spot *, struct stamp *) = { year_first, year_third, month_second, alert_day,
									month_first };
	const size_t last = ARRAY_SIZE(forms) - 1;
	/* A number begins all but the last, and never that. */
	bool digit = at < end && digit_octet(*at);

	if (digit && (!goes_on(at, end) || is_dotted_four(at, end)))
		return NULL;
	for (size_t i = digit ? 0 : last; i < last + !digit; i++) {
		struct spot s = { at, end }, clock;
		const char *apart, *span;
		struct claim any;
		bool compact;

		*ret = (struct stamp){ 0 };
		if (!forms[i](&s, ret) ||
		    (s.at < s.end && isalnum((unsigned char)*s.at) && !strchr("Ttr", *s.at) &&
		     (unsigned char)s.at[-1] < 0x80) ||
		    (s.at + 1 < s.end && *s.at == '.' && digit_octet(s.at[1])))
			continue;
		clock = s;
		compact = clock.at < clock.end && *clock.at == 'T' && spot_digit(&clock, 6);
		if (clock.at < clock.end && strchr("Tt:-_", *clock.at) && spot_digit(&clock, 1))
			clock.at++;
		else
			spot_joiners(&clock,
				     "at um a à as las les pelas alle ore godz o r g г года в у o około om v ve kl klo "
				     "heure hora the "
				     "ora",
				     ",;.|@");
		zones_behind(&clock, ret);
		spot_joiners(&clock, "at", "-");
		apart = clock.at;
		if (!spot_clock(&clock, ret, compact) && !((clock.at = apart), spot_dotted(&clock, ret))) {
			if (broken(&s))
				return ret->date = false, ret->clock = false, s.at;
			ret->zone = (struct claim){ 0 };
			return s.at;
		}
		/* Behind the day of a machine an offset may follow. */
		span = i || !claim_read(clock.at, end, true, &any) ? span_end(&clock, ret) : NULL;
		if (span)
			return ret->date = ret->clock = false, span;
		/* Snort and Suricata write the month first: "04/05/2026-10:00:00.123456  [**]". */
		if (ret->either && *s.at == '-' && is_alert(&clock))
			stamp_exchange(ret), ret->either = false;
		s = clock;
		if (!ret->year)
			year_behind(&s, ret);
		zones_behind(&s, ret);
		return s.at;
	}
	return digit ? clock_first(at, end, ret) : NULL;
}

const char *stamp_read_dotted(const char *at, const char *end, struct stamp *ret)
{
	struct spot s = { at, end };

	*ret = (struct stamp){ 0 };
	if (!spot_dotted(&s, ret))
		return NULL;
	zones_behind(&s, ret);
	return s.at;
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
