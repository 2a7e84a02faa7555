// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a text says of the error of all its times, apart from each: "Clock accuracy: +/- 90 s", "NTP offset: +37 s". It
 * is a number with a unit of time behind a sign or a word for an error, and is none of few seconds.
 */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_doubt.h"

/* So far behind what names an error its number stands, and so far before it what tells that it is a zone's. */
#define FIGURE_TEXT 60
#define BEFORE_TEXT 24

/* So many words behind "add" there is "hours", and so many behind it what they are added to. */
#define SHIFT_NEAR  3U
#define SHIFT_WORDS 9U

/* So many words behind "rounded" there is to what. */
#define ROUND_WORDS 6U

/* A clock may be off by so many seconds. */
#define SECONDS_OFF 5U

/* Whether a number with a unit of time is more than a clock may be off by. before: the word before, or "". */
static bool is_large(const char *at, const char *end, const char *before)
{
	unsigned whole = 0, any = 0, is;
	char folded[WORD_TEXT];
	const char *p = at;

	for (; p < end && digit_octet(*p); p++)
		whole = whole < 100000 ? whole * 10 + (unsigned)(*p - '0') : whole, any |= *p != '0';
	if (p + 1 < end && octet_is_of(*p, ".,") && digit_octet(p[1]))
		for (p++; p < end && digit_octet(*p); p++)
			any |= *p != '0';
	while (p < end && octet_is_of(*p, " \""))
		p++;
	word_fold(p, end, folded);
	if (!*folded || digit_octet(*folded))
		snprintf(folded, sizeof(folded), "%s", before);
	is = doubt_meaning(folded);
	if (word_in_list("ms us ns milli* micro* mikro* nano*", folded))
		return false;
	if (is & IS_LARGE || word_in_list("h hour* std", folded))
		return any;
	return whole > SECONDS_OFF && (is & IS_SMALL || word_in_list("s sec secs sek seg", folded));
}

/* Whether a word names an error of any kind, which is one of a clock if the words before it say so. */
static bool is_any_error(const char *word, const char *end)
{
	char folded[WORD_TEXT];

	word_fold(word, end, folded);
	return word_in_list("error errors erreur errore", folded);
}

static bool names_clock(const char *at, const char *end)
{
	return words_in_list("clock clocks time times timestamp* ntp chrony uhr uhrzeit* systemuhr serveruhr zeit* "
			     "horloge* heure heures orologi* ora orari* reloj* hora horas relogi* zegar* czas* klok* "
			     "tijd* klocka* tid tider час* врем*",
			     at, end);
}

/* Whether what is behind a word for an error, in its line, says that nobody knows it. */
static bool is_unknown(const char *at, const char *end)
{
	char folded[WORD_TEXT];

	for (unsigned i = 0; i < 3; i++) {
		while (at < end && !word_octet(*at) && *at != '\n')
			at++;
		if (at >= end || *at == '\n')
			return false;
		at = word_fold(at, end, folded);
		if (word_in_list("unknown unbekannt inconnu* desconocid* desconhecid* sconosciut* ignot* nieznan* "
				 "onbekend okand* неизвестн* unmeasured",
				 folded))
			return true;
	}
	return false;
}

bool doubt_granularity(const char *begin, const char *end)
{
	unsigned behind = 0, words = 0, unit = 0, second = 0;
	bool time = false, large = false, to = false;
	char folded[WORD_TEXT];

	while (word_next(&begin, end, folded)) {
		unsigned is = doubt_meaning(folded), mark = doubt_mark(folded);

		words++;
		if (is & IS_NOT)
			return false;
		/* "Minute resolution", "seconds are filled with 00" */
		if (unit && words - unit == 1 && mark & MARK_ROUND)
			return true;
		unit = is & IS_LARGE ? words : unit;
		second = mark & MARK_SECOND ? words : second;
		if (second && words > second && words - second <= ROUND_WORDS &&
		    (word_in_list(
			     "filled padded missing omitted dropped removed cut abgeschnitten entfernt weggelassen "
			     "supprimees omitidos",
			     folded) ||
		     (to && word_in_list("0 00 zero zeros null cero ceros zeri zerow", folded))))
			return true;
		to = second && word_in_list("to with as auf mit a en em su na op", folded);
		time |= word_meaning(folded) & WORD_TIME && !word_in_list("start* end* first last", folded);
		behind = mark & MARK_ROUND ? ROUND_WORDS : behind ? behind - 1 : 0;
		large |= behind && !(mark & MARK_ROUND) &&
			 (is & IS_LARGE || word_in_list("h m minuta* minuut minuten min", folded));
	}
	return time && large;
}

bool doubt_stepped(const char *begin, const char *end)
{
	bool verb = false, large = false;
	char folded[WORD_TEXT];

	for (const char *p = begin; p < end;) {
		if (digit_octet(*p)) {
			/* Not of an hour, nor of a day. */
			bool part = p - begin > 1 && octet_is_of(p[-1], ":.-/") && digit_octet(p[-2]);

			large |= !part && is_large(p, end, "");
			while (p < end && digit_octet(*p))
				p++;
		} else if (word_octet(*p)) {
			p = word_fold(p, end, folded);
			if (doubt_meaning(folded) & IS_NOT)
				return false;
			verb |= (doubt_mark(folded) & MARK_STEPPED) != 0;
		} else {
			p++;
		}
	}
	return verb && large && names_clock(begin, end);
}

bool doubt_margin(const char *text, const char *word, const char *at, const char *end)
{
	const char *stop = end - at > FIGURE_TEXT ? at + FIGURE_TEXT : end, *p = at;
	const char *begin = word - text > BEFORE_TEXT ? word - BEFORE_TEXT : text;
	char unit[WORD_TEXT] = "";

	for (const char *line = begin; line < word; line++)
		begin = *line == '\n' ? line + 1 : begin;
	if (is_any_error(word, at) && !names_clock(begin, word))
		return false;
	if (names_clock(begin, at) && is_unknown(at, stop))
		return true;
	while (p < stop && !digit_octet(*p) && !octet_is_of(*p, ",;\n{}|"))
		p = word_octet(*p) ? word_fold(p, stop, unit) : p + 1;
	return p < stop && digit_octet(*p) && is_large(p, end, unit) &&
	       !words_in_list("utc gmt zone zona timezone tz zeitzone fuso fuseau strefa tijdzone", begin, p);
}

bool doubt_margin_sign(const char *text, const char *sign, const char *at, const char *end)
{
	const char *p = sign;

	/* That of a time before it is of this alone. */
	while (p > text && sign - p < 12 && p[-1] != '\n' && !digit_octet(*p))
		p--;
	while (at < end && octet_is_of(*at, " ~"))
		at++;
	return !digit_octet(*p) && at < end && digit_octet(*at) && is_large(at, end, "");
}

bool doubt_shift(const char *at, const char *end)
{
	bool large = false;
	char folded[WORD_TEXT];

	for (unsigned n = 0; n < SHIFT_WORDS && word_next(&at, end, folded); n++) {
		if (large && word_meaning(folded) & WORD_TIME)
			return true;
		large |= n < SHIFT_NEAR && doubt_meaning(folded) & IS_LARGE;
	}
	return false;
}
