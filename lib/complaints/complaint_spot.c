// SPDX-License-Identifier: BSD-2-Clause
/* Numbers, signs and words that times are made of, and times of the day. */
#include "complaints/complaint_spot.h"

#include <string.h>

#include "base/base.h"
#include "complaints/complaint_words.h"

bool spot_digit(const struct spot *s, size_t i)
{
	return (size_t)(s->end - s->at) > i && digit_octet(s->at[i]);
}

/* A number of least to most digits, that no digit follows. */
bool spot_number(struct spot *s, unsigned least, unsigned most, int *ret)
{
	unsigned n = 0;
	int value = 0;

	while (n < most && spot_digit(s, n))
		value = value * 10 + (s->at[n++] - '0');
	if (n < least || spot_digit(s, n))
		return false;
	s->at += n;
	*ret = value;
	return true;
}

bool spot_one_of(struct spot *s, const char *any, char *ret)
{
	if (s->at >= s->end || !octet_is_of(*s->at, any))
		return false;
	if (ret)
		*ret = *s->at;
	s->at++;
	return true;
}

bool spot_octets(struct spot *s, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
		return false;
	s->at += n;
	return true;
}

bool spot_glyph(struct spot *s, enum glyph which)
{
	static const char *const glyphs[][3] = {
		{ "年", "年", "년" }, { "月", "月", "월" }, { "日", "号", "일" },
		{ "時", "时", "시" }, { "分", "分", "분" }, { "秒", "秒", "초" },
	};

	/* None is of ASCII. */
	for (size_t i = 0; i < ARRAY_SIZE(glyphs[which]) && s->at < s->end && (unsigned char)*s->at >= 0x80; i++)
		if (spot_octets(s, glyphs[which][i]))
			return true;
	return false;
}

/* Blanks, and one end of a line. */
void spot_blanks(struct spot *s)
{
	bool line = false;

	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || (*s->at == '\n' && !line))) {
		line |= *s->at == '\n';
		s->at++;
	}
}

/* Words between the parts of a time; "o'clock" and the like. */
void spot_joiners(struct spot *s, const char *list, const char *signs)
{
	char folded[WORD_TEXT];

	for (unsigned i = 0; i < 5; i++) {
		struct spot next = *s;

		spot_blanks(&next);
		while (next.at < next.end && octet_is_of(*next.at, signs))
			next.at++;
		spot_blanks(&next);
		*s = next;
		if (next.at >= next.end || !word_octet(*next.at) || digit_octet(*next.at))
			return;
		next.at = word_fold(next.at, next.end, folded);
		if (!word_in_list(list, folded))
			return;
		*s = next;
	}
}

/* "PM", and what else is said behind a clock. */
static bool half_of_day(struct spot *s, int *hour, bool *said)
{
	struct spot next = *s;
	char folded[WORD_TEXT];
	bool afternoon;

	spot_blanks(&next);
	next.at = word_fold(next.at, next.end, folded);
	/* "p.m.", "p. m." */
	if (strlen(folded) == 1) {
		spot_one_of(&next, ".", NULL);
		spot_blanks(&next);
		if (spot_one_of(&next, "mM", NULL))
			strcat(folded, "m");
	}
	afternoon = !strcmp(folded, "pm");
	if (!afternoon && strcmp(folded, "am") != 0)
		return true;
	if (*hour < 1 || *hour > 12)
		return *hour >= 13 && afternoon;
	*hour = *hour % 12 + 12 * afternoon;
	*said = true;
	spot_one_of(&next, ".", NULL);
	*s = next;
	return true;
}

/* A word of a list, in which blanks are between, behind blanks. */
static bool word_of(struct spot *s, const char *list)
{
	struct spot next = *s;
	char folded[WORD_TEXT];

	spot_blanks(&next);
	if (next.at >= next.end || !word_octet(*next.at) || digit_octet(*next.at))
		return false;
	next.at = word_fold(next.at, next.end, folded);
	if (!word_in_list(list, folded))
		return false;
	*s = next;
	return true;
}

/* "14 h 05 min 11 s", "14 heures 05 minutes et 11 secondes", behind the hour */
static bool clock_of_words(struct spot *s, int *minute, int *second, bool *seconds)
{
	struct spot next = *s;

	if (!word_of(&next, "h heure heures") || next.at >= next.end || *next.at != ' ')
		return false;
	spot_blanks(&next);
	if (!spot_number(&next, 2, 2, minute))
		return false;
	*s = next;
	if (!word_of(&next, "m mn min minute minutes"))
		return true;
	*s = next;
	word_of(&next, "et");
	spot_blanks(&next);
	if (spot_number(&next, 1, 2, second) && word_of(&next, "s sec seconde secondes")) {
		*seconds = true;
		*s = next;
	} else {
		*second = 0;
	}
	return true;
}

/* "20h14m33s", "15h40" */
static bool clock_of_letters(struct spot *s, int *minute, int *second, bool *seconds)
{
	struct spot next;

	if (!spot_one_of(s, "h", NULL) || !spot_number(s, 2, 2, minute))
		return false;
	next = *s;
	if (!spot_one_of(&next, "mM:", NULL))
		return true;
	spot_one_of(&next, "in", NULL);
	spot_one_of(&next, "n", NULL);
	if (spot_number(&next, 2, 2, second)) {
		*seconds = true;
		spot_one_of(&next, "s", NULL);
	}
	*s = next;
	return true;
}

/* "20時14分33秒", "20시 14분", behind the hour */
static bool clock_of_signs(struct spot *s, int *minute, int *second, bool *seconds)
{
	struct spot next;

	spot_blanks(s);
	if (!spot_number(s, 1, 2, minute) || !spot_glyph(s, GLYPH_MINUTE))
		return false;
	next = *s;
	spot_blanks(&next);
	if (spot_number(&next, 1, 2, second) && spot_glyph(&next, GLYPH_SECOND)) {
		*seconds = true;
		*s = next;
	} else {
		*second = 0;
	}
	return true;
}

bool spot_dotted(struct spot *s, struct stamp *t)
{
	struct spot next = *s;
	int hour, minute, second;

	if (!spot_number(&next, 1, 2, &hour) || !spot_one_of(&next, ".", NULL) || !spot_number(&next, 2, 2, &minute) ||
	    !spot_one_of(&next, ".", NULL) || !spot_number(&next, 2, 2, &second) || hour > 23 || minute > 59 ||
	    second > 60 || (second == 60 && minute % 15 != 14))
		return false;
	if (next.at < next.end &&
	    (word_octet(*next.at) || *next.at == ':' || *next.at == '/' || (*next.at == '.' && spot_digit(&next, 1))))
		return false;
	t->hour = (int8_t)hour;
	t->minute = (int8_t)minute;
	t->second = (int8_t)second;
	*s = next;
	return t->seconds = t->clock = true;
}

/* "10:00:00.25", "1:05 PM", "100000" behind a compact day, and the forms above. */
bool spot_clock(struct spot *s, struct stamp *t, bool compact)
{
	int hour, minute, second = 0;
	bool seconds = false, half = false;

	if (compact && spot_digit(s, 5)) {
		if (!spot_number(s, 6, 6, &second))
			return false;
		hour = second / 10000;
		minute = second / 100 % 100;
		second %= 100;
		seconds = true;
	} else if (!spot_number(s, 1, 2, &hour)) {
		return false;
	} else if (clock_of_words(s, &minute, &second, &seconds)) {
		;
	} else if (s->at < s->end && *s->at == 'h') {
		if (!clock_of_letters(s, &minute, &second, &seconds))
			return false;
	} else if (spot_glyph(s, GLYPH_HOUR)) {
		if (!clock_of_signs(s, &minute, &second, &seconds))
			return false;
	} else if (!spot_one_of(s, ":", NULL) || !spot_number(s, 2, 2, &minute)) {
		return false;
	} else if (s->at < s->end && *s->at == ':') {
		s->at++;
		if (!spot_number(s, 2, 2, &second))
			return false;
		seconds = true;
	}
	if (s->at + 1 < s->end && (*s->at == '.' || *s->at == ',') && digit_octet(s->at[1]))
		for (s->at++; s->at < s->end && digit_octet(*s->at);)
			s->at++;
	if (!half_of_day(s, &hour, &half) || hour > 23 || minute > 59 || second > 60 ||
	    (second == 60 && minute % 15 != 14))
		return false;
	if (s->at + 1 < s->end && (*s->at == '_' || (*s->at == ':' && digit_octet(s->at[1]))))
		return false;
	t->hour = (int8_t)hour;
	t->minute = (int8_t)minute;
	t->second = (int8_t)second;
	t->seconds = seconds;
	t->half = half;
	return t->clock = true;
}
