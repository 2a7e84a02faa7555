// SPDX-License-Identifier: BSD-2-Clause
/* What the words before a value say about it, in the languages that complaints are written in. */
#include "complaints/complaint_words.h"

#include <ctype.h>
#include <endian.h>
#include <string.h>

#include "base/base.h"
#include "base/search.h"

/* Latin letters with marks, U+00C0 to U+017F, without them; blank: two letters or none. */
static const char plain[] = "aaaaaaaceeeeiiiidnooooo ouuuuy saaaaaaaceeeeiiiidnooooo ouuuuy y"
			    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllllllln"
			    "nnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

char word_plain(unsigned code)
{
	if (code < 0xc0 || code >= 0xc0 + sizeof(plain) - 1)
		return ' ';
	return plain[code - 0xc0];
}

/* A letter of UTF-8 of two octets, folded: its octets, at most two. */
static unsigned fold_pair(unsigned char first, unsigned char second, char *ret)
{
	unsigned code = (first & 31U) << 6 | (second & 63U);

	if (word_plain(code) != ' ')
		return *ret = word_plain(code), 1;
	if (code >= 0x410 && code <= 0x42f)
		code += 0x20;
	if (code == 0x401 || code == 0x451)
		code = 0x435;
	ret[0] = (char)(0xc0 | code >> 6);
	ret[1] = (char)(0x80 | (code & 63U));
	return 2;
}

const char *word_next(const char **at, const char *end, char ret[static WORD_TEXT])
{
	const char *word;

	while (*at < end && !word_octet(**at))
		(*at)++;
	if (*at >= end)
		return NULL;
	word = *at;
	*at = word_fold(word, end, ret);
	return word;
}

const char *word_skip(const char *at, const char *end)
{
	bool lower = false;

	for (; at < end && word_octet(*at); at++) {
		bool upper = *at >= 'A' && *at <= 'Z';

		if (lower && upper)
			break;
		lower = !upper && (unsigned char)*at < 0x80;
	}
	return at;
}

const char *word_fold(const char *at, const char *end, char ret[static WORD_TEXT])
{
	unsigned n = 0;
	bool lower = false;

	/* Most words are of a few small letters. */
	for (; at < end && n + 3 < WORD_TEXT && (unsigned char)(*at - 'a') < 26; lower = true)
		ret[n++] = *at++;
	for (; at < end && word_octet(*at); at++) {
		unsigned char c = (unsigned char)*at;
		bool upper = c >= 'A' && c <= 'Z';

		/* "sourcePort" is two words, and so is "SourceIP". */
		if (n && lower && upper)
			break;
		lower = !upper && c < 0x80;
		if (n + 3 >= WORD_TEXT)
			continue;
		if ((c & 0xe0) == 0xc0 && at + 1 < end) {
			n += fold_pair(c, (unsigned char)at[1], ret + n);
			at++;
		} else {
			ret[n++] = (char)(upper ? c | 32 : c);
		}
	}
	ret[n] = '\0';
	return at;
}

/* With which two letters the words of a list begin: nearly all words of a text are in none of a hundred lists. */
struct list_index {
	const char *list;
	uint32_t pairs[32]; /* by the first letter, a bit for the second: five bits of each; 0 where a word has ended */
};

#define LISTS  512U
#define SHARED 16U

static void index_fill(struct list_index *x, const char *list)
{
	*x = (struct list_index){ .list = list };
	for (const char *at = list; *at; at += *at == ' ') {
		uint32_t *seconds = &x->pairs[*at & 31];

		if (*at != ' ')
			*seconds |= *at == '*' || at[1] == '*' ? UINT32_MAX
				    : at[1] == ' ' || !at[1]   ? 1
							       : 1U << (at[1] & 31);
		at += strcspn(at, " ");
	}
}

/* Returns false if no word of a list can begin as this one does. */
static bool may_be_in_list(const char *list, const char *folded)
{
	static _Thread_local struct list_index known[LISTS];
	size_t slot = (uintptr_t)list * 0x9e3779b97f4a7c15ULL >> 55;
	struct list_index *x = &known[slot];

	/* Of two that would share a slot each has its own: making one costs as much as a hundred looks at it. */
	for (unsigned i = 1; x->list != list && x->list && i < SHARED; i++)
		x = &known[(slot + i) % LISTS];
	if (x->list != list)
		index_fill(x, list);
	return x->pairs[*folded & 31] >> (folded[1] & 31) & 1;
}

bool word_in_list(const char *list, const char *folded)
{
	if (!*folded || !may_be_in_list(list, folded))
		return false;
	for (const char *at = list; *folded && (at = strchr(at, *folded)); at++) {
		const char *rest = folded, *p = at;

		if (at > list && at[-1] != ' ')
			continue;
		for (; *p == *rest && *rest; p++)
			rest++;
		if (*p == '*' || (!*rest && (!*p || *p == ' ')))
			return true;
	}
	return false;
}

bool words_in_list(const char *list, const char *at, const char *end)
{
	char folded[WORD_TEXT];

	while (word_next(&at, end, folded))
		if (word_in_list(list, folded))
			return true;
	return false;
}

#define S WORD_SOURCE
#define X WORD_TARGET
#define P WORD_PORT
#define A WORD_ADDR
#define T WORD_TIME
#define E WORD_EVENT
#define O WORD_OTHER
#define N WORD_END
#define L WORD_LINK
#define F WORD_FROM
#define B WORD_TO
#define R WORD_PROTO
#define U WORD_UNLESS
#define D WORD_LATE
#define M WORD_MEASURE
#define V WORD_ANOTHER
#define W WORD_DEED
#define G WORD_NOT
#define K WORD_BUT
#define H WORD_NAMED

static const struct word words[] = {
#define WORD(text, is) { text, is },
#include "complaints/complaint_words.def"
#undef WORD
};
static struct word_table known = { .words = words, .n = ARRAY_SIZE(words) };

#undef S
#undef X
#undef P
#undef A
#undef T
#undef E
#undef O
#undef N
#undef L
#undef F
#undef B
#undef R
#undef U
#undef D
#undef M
#undef V
#undef W
#undef G
#undef K
#undef H

/* The first two octets of a text, in its order. */
static unsigned begin_of(const char *text)
{
	return (unsigned)(unsigned char)text[0] << 8 | (unsigned char)text[1];
}

/* The first word of those that begin with two octets, or where it would be. */
static size_t first_word(const struct word *table, size_t n, unsigned begin)
{
	return count_while(i, n, begin_of(table[i].text) < begin);
}

static bool matches(const char *text, const char *folded)
{
	while (*text && *text == *folded) {
		text++;
		folded++;
	}
	return *text == '*' || *text == *folded;
}

/* Of two octets: the letter, from 1, or 0 if it is none, as after a word of one. */
static unsigned letter_of(char c)
{
	return (unsigned char)(c - 'a') < 26 ? (unsigned char)(c - 'a') + 1U : 0;
}

/* Makes the places of a table. Two threads that do write the same. */
static void make_places(struct word_table *t)
{
	size_t i = 0;

	for (unsigned pair = 0; pair < WORD_PAIRS; pair++) {
		unsigned second = pair % 27, begin = ('a' + pair / 27) << 8 | (second ? 'a' + second - 1 : 0);

		while (i < t->n && begin_of(t->words[i].text) < begin)
			i++;
		__atomic_store_n(&t->places[pair], (uint16_t)i, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&t->ready, true, __ATOMIC_RELEASE);
}

/* The first word of a table that begins as another, or where it would be. */
static size_t place_of(struct word_table *t, const char *folded)
{
	unsigned first = letter_of(folded[0]), second = letter_of(folded[1]);

	if (!first || (unsigned char)folded[1] > 'z')
		return first_word(t->words, t->n, begin_of(folded));
	if (!__atomic_load_n(&t->ready, __ATOMIC_ACQUIRE))
		make_places(t);
	return __atomic_load_n(&t->places[(first - 1) * 27 + second], __ATOMIC_RELAXED);
}

/* A capital letter as a small one; other signs may become others. */
static char lowered(char c)
{
	return (char)((unsigned char)c | 32U);
}

bool word_begins(struct word_table *t, const char *at, const char *end)
{
	char two[2] = { lowered(*at) };
	size_t i;

	if (at + 1 < end)
		two[1] = lowered(at[1]);
	/* Of a word of one letter, or of none that is of ASCII, nothing is known so. */
	if (!letter_of(two[0]) || !letter_of(two[1]))
		return (unsigned char)two[1] >= 0x80 || !letter_of(two[0]);
	i = place_of(t, two);
	return i < t->n && begin_of(t->words[i].text) == begin_of(two);
}

static unsigned search(struct word_table *t, const char *folded)
{
	unsigned is = 0, begin = begin_of(folded);
	size_t i;

	/* As a number does. */
	if (!t->n || begin < begin_of(t->words[0].text))
		return 0;
	for (i = place_of(t, folded); i < t->n && begin_of(t->words[i].text) < begin;)
		i++;
	/* A star is never the second octet. Third ones ascend, a star before all letters. */
	for (; i < t->n && begin_of(t->words[i].text) == begin; i++) {
		const char *text = t->words[i].text;

		if (begin & 255 && text[2] != '*' && (unsigned char)text[2] > (unsigned char)folded[2])
			break;
		if (!(begin & 255) || ((text[2] == folded[2] || text[2] == '*') && matches(text + 2, folded + 2)))
			is |= t->words[i].is;
	}
	return is;
}

/* A word of fewer than eight octets as a number, or 0. */
static uint64_t number_of(const char folded[static 8])
{
	const uint64_t ones = 0x0101010101010101U;
	uint64_t number, ends;

	memcpy(&number, folded, sizeof(number));
	number = le64toh(number);
	/* The lowest bit that is set is the highest of the first octet that is a NUL. */
	ends = (number - ones) & ~number & (ones << 7);
	return ends ? number & (((ends & -ends) >> 7) - 1) : 0;
}

/* Words that were looked for before: most of a text are short, and the same are looked for again and again. */
#define BEFORE 512U

unsigned word_find(struct word_table *t, const char *folded)
{
	static _Thread_local struct {
		const struct word_table *table;
		uint64_t number;
		unsigned is;
	} before[BEFORE];
	uint64_t number = number_of(folded), hash = (number ^ (uintptr_t)t) * 0x9e3779b97f4a7c15U;
	size_t slot = hash >> 32 & (BEFORE - 1);

	if (!number)
		return search(t, folded);
	if (before[slot].number != number || before[slot].table != t) {
		before[slot].is = search(t, folded);
		before[slot].table = t;
		before[slot].number = number;
	}
	return before[slot].is;
}

unsigned word_meaning(const char *folded)
{
	return word_find(&known, folded);
}

/* "not" is about so many words behind it. */
#define NOT_WORDS 6U

/* Where a text goes on behind "(not the target's port)", or in any other parentheses. */
static const char *behind_other(const char *at, const char *end)
{
	const char *close = memchr(at, ')', end - at < 40 ? (size_t)(end - at) : 40), *p = at + 1;
	char folded[WORD_TEXT];

	if (!close || close + 1 >= end)
		return at + 1;
	word_fold(p, close, folded);
	return word_find(&known, folded) & WORD_NOT ? close + 1 : at + 1;
}

/* Whether a day or a part of one is behind "last": "last night" is when it was, and no end. */
static bool is_before_day(const char *at, const char *end)
{
	char folded[WORD_TEXT];

	while (at < end && octet_is_of(*at, " \n"))
		at++;
	word_fold(at, end, folded);
	return word_in_list(
		"night evening week weekend month year monday tuesday wednesday thursday friday saturday sunday "
		"nacht abend woche wochenende monat montag dienstag mittwoch donnerstag freitag samstag sonntag "
		"nuit semaine mois noche semana mes notte sera settimana mese nocy tydzien week maand noite",
		folded);
}

struct label label_read(const char *at, const char *end)
{
	struct label l = { 0 };
	char folded[WORD_TEXT];
	unsigned said = 0, not_at = 0, before = 0;
	bool valid = false;

	while (at < end) {
		unsigned is;

		if (!word_octet(*at)) {
			l.negated &= !octet_is_of(*at, ",.;:)]");
			at = *at == '(' ? behind_other(at, end) : at + 1;
			continue;
		}
		at = word_fold(at, end, folded);
		/* "d'identifier" */
		is = at < end && *at == '\'' && !folded[1] ? WORD_LINK : word_find(&known, folded);
		if (is & WORD_END && is & WORD_ANOTHER && is_before_day(at, end))
			is &= ~WORD_END;
		/* "Time of observation" is when it was seen; IntelMQ's time.observation is not. */
		if (before == WORD_LINK && l.any & WORD_TIME && !strncmp(folded, "observation", 11))
			is = WORD_TIME | WORD_EVENT;
		l.words++;
		l.any |= is;
		l.before_port = is & WORD_PORT ? said : l.before_port;
		said = is == WORD_LINK ? said : is;
		not_at = is & WORD_NOT ? l.words : not_at;
		l.negated = is & WORD_NOT || (l.negated && !(is & WORD_BUT) && l.words - not_at < NOT_WORDS);
		l.loose =
			is & WORD_PORT ? false : !(is & (WORD_SOURCE | WORD_TARGET | WORD_LINK | WORD_ADDR)) || l.loose;
		l.strange |= !(
			is & (WORD_PORT | WORD_LINK | WORD_SOURCE | WORD_TARGET | WORD_FROM | WORD_PROTO | WORD_ADDR));
		/* "valid from": of what is asked for */
		l.any |= valid && is & (WORD_FROM | WORD_LINK) ? WORD_OTHER : 0;
		valid = !strncmp(folded, "valid", 5);
		/* "our report" */
		if (is & WORD_OTHER && before == WORD_TARGET && l.role == WORD_TARGET)
			l.role = 0;
		before = is;
		if (is & (WORD_SOURCE | WORD_TARGET))
			l.role = is & (WORD_SOURCE | WORD_TARGET);
		if (is & (WORD_EVENT | WORD_OTHER | WORD_END | WORD_LATE))
			l.when = is;
		l.last = is;
		l.last_said = is && !(is & ~(WORD_LINK | WORD_ADDR)) ? l.last_said : is;
	}
	return l;
}
