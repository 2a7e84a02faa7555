// SPDX-License-Identifier: BSD-2-Clause
/* Words by which texts doubt what they say, and hours. */
#include "base/base.h"
#include "complaints/complaint_doubt.h"

const struct word doubt_table[DOUBT_WORDS] = {
#define WORD(text, is) { text, is },
#include "complaints/complaint_doubt.def"
#undef WORD
};
static struct word_table doubts = { .words = doubt_table, .n = DOUBT_WORDS };

/* So many words before a value speak of it, which are not longer. */
#define NEAR_WORDS 3U
#define WORD_LONG  60

unsigned doubt_meaning(const char *folded)
{
	return word_find(&doubts, folded);
}

/* The word before a place; a full stop between is that of a short one, such as "ca.". NULL: there is none near. */
static const char *word_before(const char *begin, const char *at)
{
	const char *p = at, *end;
	bool stop = false, keyed = false;

	for (; p > begin && octet_is_of(p[-1], keyed ? " \t" : " \t\n,:.~(\""); p--) {
		if (p[-1] == '\n' && p - 1 > begin && p[-2] == '\n')
			return NULL;
		stop |= p[-1] == '.';
		keyed |= p[-1] == ':';
	}
	end = p;
	while (p > begin && word_octet(p[-1]) && end - p < WORD_LONG)
		p--;
	return p == end || at - end > 4 || (stop && end - p > 3) ? NULL : p;
}

/* Whether a word means nothing of its own between a value and what speaks of it: "about at", "not from port". */
static bool is_between(const char *folded)
{
	static const unsigned none = WORD_LINK | WORD_TO | WORD_FROM | WORD_TIME | WORD_PORT | WORD_SOURCE;

	return word_meaning(folded) & none;
}

unsigned doubt_before(const char *begin, const char *at, unsigned meant)
{
	const char *p = at;
	char folded[WORD_TEXT];

	for (unsigned i = 0; i < NEAR_WORDS && (p = word_before(begin, p)) && !digit_octet(*p); i++) {
		unsigned is;

		word_fold(p, at, folded);
		is = doubt_meaning(folded) & meant;
		if (is || !is_between(folded))
			return is;
	}
	return 0;
}

struct said doubt_words(const char *at, const char *end)
{
	struct said s = { 0 };
	char folded[WORD_TEXT];
	bool later = false;

	while (word_next(&at, end, folded)) {
		s.any |= doubt_meaning(folded);
		s.first = later ? s.first : s.any;
		later = true;
	}
	return s;
}

const char *doubt_hour(const char *at, const char *end, struct hour *ret)
{
	const char *p = at;

	*ret = (struct hour){ 0 };
	for (unsigned i = 0; i < 3; i++) {
		const char *part = p + (i > 0);

		if (i && (p >= end || *p != ':'))
			return i > 1 ? p : NULL;
		for (p = part; p < end && digit_octet(*p) && p - part < 2; p++)
			ret->number[i] = ret->number[i] * 10 + (unsigned)(*p - '0');
		if (p == part || (i && p - part < 2))
			return NULL;
	}
	ret->seconds = true;
	return p;
}
