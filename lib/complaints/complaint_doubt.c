// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a text itself is not sure of. A time that it calls approximate, or a span of which it gives both ends, is no
 * second. A zone or a port "maybe", "I think", or with a question mark is none. A clock that it calls wrong did not
 * show the second. What it corrects it names twice: a question has to say all that the correction says.
 */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_private.h"
#include "complaints/complaint_sentence.h"

enum {
	IS_ABOUT = 1,	   /* "approximately" */
	IS_MAYBE = 2,	   /* "perhaps", and verbs of thinking */
	IS_SURE = 4,	   /* which a negation makes a doubt */
	IS_NOT = 8,	   /* a negation */
	IS_PERSON = 16,	   /* "I" */
	IS_BETWEEN = 32,   /* a span follows */
	IS_JOINER = 64,	   /* between the ends of a span */
	IS_CLOCK = 128,	   /* a clock of a machine */
	IS_WRONG = 256,	   /* of a clock */
	IS_SORRY = 512,	   /* a correction follows */
	IS_CORRECT = 1024, /* it is one */
	IS_FALSE = 2048,   /* it is one if it is said of a time or a port */
	IS_LARGE = 4096,   /* a unit of which an error counts */
	IS_SMALL = 8192,   /* and of which it does not */
	IS_ROUGH = 16384,  /* "approximately", which may stand behind, too */
	IS_SECRET = 65536, /* what may be wrong, too: "wrong password" */
	IS_LATER = 32768,  /* of the day: what is 7 there may be 19 */
	IS_ASKED = 131072, /* of others, unless a person does it */
	IS_WISH = 262144,  /* of others */
};

static const struct word words[] = {
#define WORD(text, is) { text, is },
#include "complaints/complaint_doubt.def"
#undef WORD
};

/* Words before a value that speak of it, and the text around it that does. */
#define NEAR_WORDS 3U
#define NEAR_TEXT  60

/* A smaller number may be a year. */
#define LAST_YEAR 2099U

/* Corrections that say more values than these are not told apart. */
#define CORRECTED 64U

/* What a correction says: an address, an hour or a port. */
struct correction {
	enum item_kind kind;
	uint32_t addr;
	unsigned number[3]; /* the port, or hour, minute and second */
	bool seconds;
};

struct doubts {
	struct reading *x;
	const char *clock; /* where a text says that a clock is wrong, or NULL */
	struct correction said[CORRECTED];
	unsigned n; /* CORRECTED + 1: more */
};

static unsigned meaning(const char *folded)
{
	return word_find(words, ARRAY_SIZE(words), folded);
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
	while (p > begin && word_octet(p[-1]) && end - p < NEAR_TEXT)
		p--;
	return p == end || at - end > 4 || (stop && end - p > 3) ? NULL : p;
}

/* Whether a word means nothing of its own between a value and what speaks of it: "about at", "not from port". */
static bool is_between(const char *at, const char *end)
{
	static const unsigned none = WORD_LINK | WORD_TO | WORD_FROM | WORD_TIME | WORD_PORT | WORD_SOURCE;

	return label_read(at, end).any & none;
}

/* What the nearest word before a value says of it, of those that are meant. */
static unsigned before(const char *begin, const char *at, unsigned meant)
{
	const char *p = at, *end;
	char folded[WORD_TEXT];

	for (unsigned i = 0; i < NEAR_WORDS && (p = word_before(begin, p)) && !digit_octet(*p); i++) {
		end = word_fold(p, at, folded);
		if (meaning(folded) & meant)
			return meaning(folded) & meant;
		if (!is_between(p, end))
			return 0;
	}
	return 0;
}

/* What words say from a place on up to an end: bits of the first word, and of all. */
struct said {
	unsigned first, any;
};

static struct said words_of(const char *at, const char *end)
{
	struct said s = { 0 };
	char folded[WORD_TEXT];
	bool later = false;

	while (at < end) {
		if (!word_octet(*at)) {
			at++;
			continue;
		}
		at = word_fold(at, end, folded);
		s.any |= meaning(folded);
		s.first = later ? s.first : s.any;
		later = true;
	}
	return s;
}

/* The same behind a value, in its sentence, up to a number, or in parentheses. */
static struct said behind(const struct reading *x, const char *at, bool *ret_within)
{
	const char *all = x->text + x->size, *end = all - at > NEAR_TEXT ? at + NEAR_TEXT : all, *stop;

	while (at < end && octet_is_of(*at, " \t,)"))
		at++;
	*ret_within = at < end && *at == '(';
	at += *ret_within;
	for (stop = at; stop < end && !digit_octet(*stop) && *stop != ')' && *stop != ';' &&
			(*stop != '\n' || *ret_within) && !sentence_ends(x->text, stop, all);)
		stop++;
	return words_of(at, stop);
}

/* "+/- 5 minutes", but for an error of seconds. */
static bool has_margin(const struct reading *x, const char *at)
{
	const char *end = x->text + x->size;

	while (at < end && octet_is_of(*at, " ,("))
		at++;
	if (end - at < 4 || (memcmp(at, "+/-", 3) != 0 && memcmp(at, "\302\261", 2) != 0))
		return false;
	at += *at == '+' ? 3 : 2;
	while (at < end && (*at == ' ' || digit_octet(*at)))
		at++;
	return at >= end || (*at | 32) != 's';
}

/* Whether there are parentheses behind a value that end in a question: "(spoofed?)". */
static bool asks_behind(const char *at, const char *all)
{
	const char *end = all - at > NEAR_TEXT ? at + NEAR_TEXT : all, *close;

	while (at < end && *at == ' ')
		at++;
	if (at >= end || *at != '(')
		return false;
	close = memchr(at, ')', (size_t)(end - at));
	return close && close[-1] == '?';
}

/* Whether the text says of a value that it may be another: "maybe", "I think", "(UTC?)". */
static bool is_unsure(const struct reading *x, const struct item *i)
{
	const char *at = x->text + i->at, *end = at + i->size;
	bool parentheses;
	struct said is = behind(x, end, &parentheses), in = words_of(at, end);

	if (in.any & IS_MAYBE || memmem(at, i->size, "?", 1) || before(x->text, at, IS_MAYBE))
		return true;
	if (end[0] == '?' && end[1] == ')')
		return true;
	if (asks_behind(end, x->text + x->size))
		return true;
	return (is.any & IS_MAYBE && (parentheses || is.first & IS_PERSON)) ||
	       ((is.any | in.any) & IS_SURE && (is.any | in.any) & IS_NOT);
}

bool complaint_asked_zone(const struct reading *x, const char *at, const char *end)
{
	const char *all = x->text + x->size, *stop = end;
	unsigned is;

	while (at > x->text && end - at < SENTENCE && !octet_is_of(at[-1], ",;:(") &&
	       !sentence_ends(x->text, at - 1, all))
		at--;
	while (stop < all && stop - end < SENTENCE && !octet_is_of(*stop, ",;:()") &&
	       !sentence_ends(x->text, stop, all))
		stop++;
	is = words_of(at, stop).any;
	return is & IS_WISH || (is & IS_ASKED && !(is & IS_PERSON));
}

bool complaint_unsure_zone(const struct reading *x, const char *at, const char *end)
{
	const char *begin = at;
	bool parentheses;
	struct said is = behind(x, end, &parentheses);

	while (begin > x->text && at - begin < NEAR_TEXT && !sentence_ends(x->text, begin - 1, x->text + x->size))
		begin--;
	return (words_of(begin, at).any | is.first) & IS_MAYBE ||
	       (is.any & IS_MAYBE && (parentheses || is.any & IS_PERSON)) || (is.any & IS_SURE && is.any & IS_NOT) ||
	       *end == '?';
}

static const char *hour_at(const char *at, const char *end, struct correction *ret)
{
	const char *p = at;

	*ret = (struct correction){ .kind = ITEM_TIME };
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

/* Whether a time is the later end of a span whose other end is an hour right before it: "14:00 to 14:05". */
static bool ends_span(const struct reading *x, const char *at)
{
	const char *begin = at - x->text > NEAR_TEXT ? at - NEAR_TEXT : x->text, *p = at, *word, *hour;
	struct correction any;
	char folded[WORD_TEXT];
	bool dash = false;

	for (; p > begin && octet_is_of(p[-1], " \t-\342\200\223\224"); p--)
		dash |= octet_is_of(p[-1], "-\223\224");
	if (!dash) {
		word = p - (p > begin && p[-1] == '\n');
		for (p = word; word > begin && word_octet(word[-1]);)
			word--;
		word_fold(word, p, folded);
		if (!(meaning(folded) & IS_JOINER))
			return false;
		for (p = word; p > begin && octet_is_of(p[-1], " \n");)
			p--;
	}
	/* A zone may stand between. */
	for (hour = p; hour > begin && p - hour < 14 && !digit_octet(hour[-1]);)
		hour--;
	while (hour > begin && (digit_octet(hour[-1]) || hour[-1] == ':'))
		hour--;
	return (hour == begin || !octet_is_of(hour[-1], "T.-/")) && !memchr(hour, '\n', (size_t)(p - hour)) &&
	       hour_at(hour, p, &any);
}

/* What keeps a question from being definite that is said near its values. */
static uint8_t near_doubt(const struct reading *x, const struct item *a)
{
	const struct item *t = &x->items[a->time_item], *p = &x->items[a->port_item];
	const struct stamp *s = &x->stamps[t->stamp];
	const char *at = x->text + t->at, *end = at + t->size;
	/* The line before a log's is of something else. */
	unsigned is = t->stamped ? 0 : before(x->text, at, IS_ABOUT | IS_BETWEEN);
	bool parentheses;
	struct said after = behind(x, end, &parentheses);

	if (is & IS_BETWEEN || (!t->stamped && ends_span(x, at)))
		return DOUBT_SPAN;
	if (is & IS_ABOUT || (parentheses ? after.any : after.first) & IS_ROUGH || has_margin(x, end))
		return DOUBT_ABOUT;
	if (!s->exact && s->hour < 12 && (before(x->text, at, IS_LATER) | after.any | words_of(at, end).any) & IS_LATER)
		return DOUBT_MAYBE;
	return is_unsure(x, t) || is_unsure(x, p) ? DOUBT_MAYBE : DOUBT_NONE;
}

/* Adds what a correction says, unless it says that it does not hold. */
static void say(struct doubts *d, const struct correction *c, const char *begin, const char *at)
{
	if (before(begin, at, IS_NOT))
		return;
	if (d->n < CORRECTED)
		d->said[d->n] = *c;
	d->n += d->n <= CORRECTED;
}

/* The values of a correction. What may be a port is no year, no part of a date and of no longer word. */
static void take_values(struct doubts *d, const char *begin, const char *end)
{
	const struct complaint_reader *reader = d->x->reader;
	const char *p = begin, *stop;

	while (p < end) {
		struct correction c = { .kind = ITEM_ADDR };
		unsigned number = 0;

		if (!digit_octet(*p)) {
			p++;
			continue;
		}
		if ((stop = addr_at(p, end, &c.addr))) {
			if (reader->ours && reader->ours(reader->arg, c.addr))
				say(d, &c, begin, p);
		} else if ((stop = hour_at(p, end, &c))) {
			say(d, &c, begin, p);
		} else {
			for (stop = p; stop < end && digit_octet(*stop); stop++)
				number = number < 100000 ? number * 10 + (unsigned)(*stop - '0') : number;
			c = (struct correction){ .kind = ITEM_PORT, .number = { number } };
			if (number > LAST_YEAR && number <= UINT16_MAX &&
			    (p == begin || !(word_octet(p[-1]) || octet_is_of(p[-1], ".-/#"))) &&
			    (stop == end || !(word_octet(*stop) || *stop == '-')))
				say(d, &c, begin, p);
		}
		p = stop;
	}
}

static bool follows(const struct reading *x, const struct item *a, const struct correction *c)
{
	const struct stamp *t = &x->stamps[x->items[a->time_item].stamp];

	if (c->kind == ITEM_ADDR)
		return c->addr == a->addr;
	if (c->kind == ITEM_PORT)
		return c->number[0] == x->items[a->port_item].port;
	/* 2 may be 14 in the afternoon. */
	return !t->exact && c->number[0] % 12 == (unsigned)t->hour % 12 && c->number[1] == (unsigned)t->minute &&
	       (!c->seconds || !t->seconds || c->number[2] == (unsigned)t->second);
}

/* Whether a question is not what the corrections say. */
static bool is_corrected(const struct doubts *d, const struct item *a)
{
	for (unsigned i = 0; i < d->n && i < CORRECTED; i++)
		if (!follows(d->x, a, &d->said[i]))
			return true;
	return d->n > CORRECTED;
}

/* A sentence that may say that a clock is wrong, or what was wrong; at: the word that says so. */
static void take_sentence(struct doubts *d, const char *begin, const char *end, const char *at)
{
	const char *all = d->x->text + d->x->size;
	unsigned is = words_of(begin, end).any, about = label_read(begin, end).any;
	/* "14:05 Uhr" is no clock. */
	bool clock = is & IS_CLOCK && !(at - begin > 1 && (digit_octet(at[-1]) || digit_octet(at[-2])));

	if (clock && is & IS_WRONG && !(is & IS_NOT) && (!(is & IS_SMALL) || is & IS_LARGE) && !d->clock)
		d->clock = begin;
	if (is & IS_CORRECT || (is & IS_FALSE && !(is & IS_SECRET) && about & (WORD_TIME | WORD_PORT))) {
		/* The next sentence, too: "The port was wrong. It was 5100." */
		for (end += end < all && *end != '\n';
		     end < all && end - begin < 2L * SENTENCE && !sentence_ends(begin, end, all);)
			end++;
		take_values(d, begin, end);
	} else if (is & IS_SORRY) {
		take_values(d, at, end);
	}
}

static void survey(struct doubts *d)
{
	const char *text = d->x->text, *end = text + d->x->size, *seen = text;
	char folded[WORD_TEXT];

	for (const char *p = text; p < end;) {
		const char *word = p, *begin, *stop;

		if (!word_octet(*p) || digit_octet(*p)) {
			p++;
			continue;
		}
		p = word_fold(p, end, folded);
		if (word < seen || !(meaning(folded) & (IS_CLOCK | IS_SORRY | IS_CORRECT | IS_FALSE)))
			continue;
		for (begin = word; begin > seen && word - begin < SENTENCE && !sentence_ends(text, begin - 1, end);)
			begin--;
		for (stop = word; stop < end && stop - word < SENTENCE && !sentence_ends(text, stop, end);)
			stop++;
		take_sentence(d, begin, stop, word);
		seen = stop;
	}
}

void complaint_doubt(struct reading *x)
{
	struct doubts d = { .x = x };

	survey(&d);
	for (size_t i = 0; i < x->n_items; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || a->fault || a->port_item == NONE || a->time_item == NONE)
			continue;
		a->doubt = complaint_other_weekday(x, &x->items[a->time_item]) ? DOUBT_WEEKDAY : near_doubt(x, a);
		if (!a->doubt && d.clock)
			a->doubt = DOUBT_CLOCK;
		if (!a->doubt && is_corrected(&d, a))
			a->doubt = DOUBT_CORRECTED;
		if (a->doubt)
			a->fault = FAULT_UNSURE;
	}
	complaint_midnights(x);
}
