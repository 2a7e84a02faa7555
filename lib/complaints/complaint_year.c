// SPDX-License-Identifier: BSD-2-Clause
/* A year that a text says of its log: "Year of the log is 2026". That of a film or of a law is not said of a log. */
#include "complaints/complaint_year.h"

#include "base/base.h"
#include "complaints/complaint_doubt.h"
#include "complaints/complaint_sentence.h"

/* So far before and behind "year" its number and "log" stand. */
#define NEAR_YEAR 60

static bool is_year(const char *folded)
{
	return word_in_list("year jahr ano annee anno rok roku jaar", folded);
}

static bool is_log(const char *folded)
{
	return word_in_list("log logs logfile* logfiles loglines logzeile* logdatei* syslog* timestamps zeitstempel* "
			    "registro* registre* journal journaux dziennik* logboek* logregel*",
			    folded);
}

/* What is a doubt here, and a month elsewhere, among others. */
static bool is_perhaps(const char *folded)
{
	return word_in_list("may might could should kann konnte koennte puede podria peut pourrait puo potrebbe moze",
			    folded);
}

/* A number of four digits that is a year, and no part of a date, or 0. */
static int year_at(const char *begin, const char *at, const char *end)
{
	int year = 0;

	if (end - at < 4 || (at > begin && (word_octet(at[-1]) || octet_is_of(at[-1], "-/.:"))))
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		if (!digit_octet(at[i]))
			return 0;
		year = year * 10 + at[i] - '0';
	}
	if (end - at > 4 && (word_octet(at[4]) || octet_is_of(at[4], "-/:")))
		return 0;
	return year >= 1970 && year < 9999 ? year : 0;
}

/* Whether a sentence is "Year 2026" alone, which can be said of nothing else. */
static bool is_alone(const char *p, const char *at, const char *behind, const char *end)
{
	for (; p < at; p++)
		if (word_octet(*p))
			return false;
	for (p = behind; p < end && !word_octet(*p);)
		p++;
	if (!year_at(behind, p, end))
		return false;
	for (p += 4; p < end; p++)
		if (word_octet(*p))
			return false;
	return true;
}

/* Reads a stretch around "year". Its year; 0: none is said of a log, -1: several, or a doubt. */
static int read_stretch(const char *text, const char *at, const char *behind, const char *end)
{
	const char *p = at;
	char folded[WORD_TEXT];
	int year = 0, found;
	bool log = false, perhaps = false;

	while (p > text && at - p < NEAR_YEAR && !sentence_ends(text, p - 1, end))
		p--;
	if (doubt_words(p, end).any & (IS_MAYBE | IS_NOT))
		return -1;
	log = is_alone(p, at, behind, end);
	while (p < end) {
		if (!word_octet(*p)) {
			p++;
			continue;
		}
		found = p >= behind ? year_at(text, p, end) : 0;
		year = !found || found == year ? year : year ? -1 : found;
		p = word_fold(p, end, folded);
		log |= is_log(folded);
		perhaps |= is_perhaps(folded);
	}
	return !log ? 0 : perhaps ? -1 : year;
}

int complaint_said_year(const struct reading *x)
{
	const char *all = x->text + x->size;
	char folded[WORD_TEXT];
	int said = 0;

	for (const char *p = x->text; p < all;) {
		const char *word = p, *end;
		int year;

		if (!word_octet(*p)) {
			p++;
			continue;
		}
		if (!octet_is_of((char)(*p | 32), "yjar")) {
			p = word_skip(p, all);
			continue;
		}
		p = word_fold(p, all, folded);
		if (!is_year(folded))
			continue;
		for (end = p; end < all && end - p < NEAR_YEAR && *end && !sentence_ends(x->text, end, all);)
			end++;
		year = read_stretch(x->text, word, p, end);
		said = !year || year == said ? said : said ? -1 : year;
		p = end;
	}
	return said;
}
