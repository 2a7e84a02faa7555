// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a text itself is not sure of. A time that it calls approximate, or a span of which it gives both ends, is no
 * second. A zone or a port "maybe", "I think", or with a question mark is none. A clock that it calls wrong did not
 * show the second. What it corrects it names twice: a question has to say all that the correction says.
 */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_doubt.h"
#include "complaints/complaint_quotes.h"
#include "complaints/complaint_sentence.h"

/* So much text around a value speaks of it. */
#define NEAR_TEXT 60

/* So much text and so many words are between an address and another that may be meant. */
#define OR_TEXT	 40
#define OR_WORDS 4U

/* A clock may be off by so many. */
#define SECONDS_OFF 5U

/* What words say behind a value, in its sentence, up to a number, or in parentheses. */
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
	return doubt_words(at, stop);
}

/* "+/- 5 minutes", but for an error of few seconds, of a time that has seconds. */
static bool has_margin(const struct reading *x, const char *at, bool seconds)
{
	const char *end = x->text + x->size;
	unsigned n = 0;

	while (at < end && octet_is_of(*at, " ,("))
		at++;
	if (end - at < 4 || (memcmp(at, "+/-", 3) != 0 && memcmp(at, "\302\261", 2) != 0))
		return false;
	at += *at == '+' ? 3 : 2;
	for (; at < end && (*at == ' ' || digit_octet(*at)); at++)
		n = *at == ' ' || n > SECONDS_OFF ? n : n * 10 + (unsigned)(*at - '0');
	return at >= end || (*at | 32) != 's' || n > SECONDS_OFF || !seconds;
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
	struct said is = behind(x, end, &parentheses), in = doubt_words(at, end);

	if (in.any & IS_MAYBE || memmem(at, i->size, "?", 1) || doubt_before(x->text, at, IS_MAYBE))
		return true;
	if (end[0] == '?' && end[1] == ')')
		return true;
	if (asks_behind(end, x->text + x->size))
		return true;
	return (is.any & IS_MAYBE && (parentheses || is.first & IS_PERSON)) ||
	       ((is.any | in.any) & IS_SURE && (is.any | in.any) & IS_NOT);
}

/* Whether a clause ends at a place. Parentheses that end within one are of it for what comes behind them. */
static bool ends_clause(const struct reading *x, const char *at)
{
	return octet_is_of(*at, ",;:()") || sentence_ends(x->text, at, x->text + x->size);
}

/* The first clause of a text in which a zone stands, from its begin on. */
static void begin_clause(const struct reading *x, struct clause *c, const char *at)
{
	*c = (struct clause){ .begin = at, .stop = at };
	while (c->begin > x->text && at - c->begin < SENTENCE && (c->begin[-1] == ')' || !ends_clause(x, c->begin - 1)))
		c->begin--;
	c->read = c->begin;
}

/* Goes on to the clause that a place is of. */
static void next_clause(const struct reading *x, struct clause *c, const char *at)
{
	for (; c->stop < at; c->stop++, c->ended = false)
		if ((c->ended || ends_clause(x, c->stop)) && *c->stop != ')')
			c->begin = c->stop + 1;
	c->read = c->read < c->begin ? c->begin : c->read;
}

/* Notes the words of a clause up to its end, or to where it is cut off; none is read twice. */
static void read_clause(const struct reading *x, struct clause *c, const char *end)
{
	const char *all = x->text + x->size;
	char folded[WORD_TEXT];

	if (c->stop < end)
		c->stop = end, c->ended = false;
	for (; !c->ended && c->stop < all && c->stop - end < SENTENCE; c->stop += !c->ended)
		c->ended = ends_clause(x, c->stop);
	while (c->read < c->stop) {
		const char *word = c->read;
		unsigned is;

		if (!word_octet(*word)) {
			c->read++;
			continue;
		}
		c->read = word_fold(word, c->ended ? c->stop : all, folded);
		is = doubt_meaning(folded);
		c->wish = is & IS_WISH ? word : c->wish;
		c->asked = is & IS_ASKED ? word : c->asked;
		c->person = is & IS_PERSON ? word : c->person;
	}
}

bool complaint_asked_zone(struct reading *x, const char *at, const char *end)
{
	struct clause *c = &x->clause;
	const char *begin;
	bool asked;

	/* Zones are asked about in the order of the text, but where it is read again. */
	if (!c->begin || at <= c->zone)
		begin_clause(x, c, at);
	next_clause(x, c, at);
	c->zone = at;
	read_clause(x, c, end);
	begin = end - c->begin > SENTENCE ? end - SENTENCE : c->begin;
	asked = (c->wish && c->wish >= begin) || (c->asked && c->asked >= begin && !(c->person && c->person >= begin));
	/* What ends a clause may stand within a zone: "UTC+5:30". */
	for (; at < end; at++)
		c->begin = ends_clause(x, at) ? at + 1 : c->begin;
	return asked;
}

/* Where the last word before a zone begins that doubts, or NULL. No word is read twice. */
static const char *maybe_before(struct clause *c, const char *begin, const char *at)
{
	const char *p = c->doubted > begin ? c->doubted : begin, *word;
	char folded[WORD_TEXT];

	while ((word = word_next(&p, at, folded)))
		c->maybe = doubt_meaning(folded) & IS_MAYBE ? word : c->maybe;
	c->doubted = at;
	return c->maybe;
}

bool complaint_unsure_zone(struct reading *x, const char *at, const char *end)
{
	const char *begin = at - x->text > NEAR_TEXT ? at - NEAR_TEXT : x->text, *maybe;
	bool parentheses;
	struct said is = behind(x, end, &parentheses);

	if (at < x->clause.doubted)
		x->clause.doubted = x->clause.maybe = NULL;
	maybe = maybe_before(&x->clause, begin, at);
	for (begin = maybe && maybe >= begin ? maybe : at; begin < at; begin++)
		if (sentence_ends(x->text, begin, x->text + x->size))
			maybe = NULL;
	return (maybe && at - maybe <= NEAR_TEXT) || is.first & IS_MAYBE ||
	       (is.any & IS_MAYBE && (parentheses || is.any & IS_PERSON)) || (is.any & IS_SURE && is.any & IS_NOT) ||
	       *end == '?';
}

/* Whether a time is the later end of a span whose other end is an hour right before it: "14:00 to 14:05". */
static bool ends_span(const struct reading *x, const char *at)
{
	const char *begin = at - x->text > NEAR_TEXT ? at - NEAR_TEXT : x->text, *p = at, *word, *hour;
	struct hour any;
	char folded[WORD_TEXT];
	bool dash = false;

	for (; p > begin && octet_is_of(p[-1], " \t-\342\200\223\224"); p--)
		dash |= octet_is_of(p[-1], "-\223\224");
	if (!dash) {
		word = p - (p > begin && p[-1] == '\n');
		for (p = word; word > begin && word_octet(word[-1]);)
			word--;
		word_fold(word, p, folded);
		if (!(doubt_meaning(folded) & IS_JOINER))
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
	       doubt_hour(hour, p, &any);
}

/* Whether a time is the begin of a span: "14:00 UTC - 15:00 UTC". */
static bool begins_span(const struct reading *x, const char *end)
{
	const char *all = x->text + x->size, *at = end;
	struct stamp last;
	char folded[WORD_TEXT];
	const char *word;

	all = all - end > NEAR_TEXT ? end + NEAR_TEXT : all;
	while (at < all && *at == ' ')
		at++;
	word = word_fold(at, all, folded);
	if (all - at > 3 && !memcmp(at, "\342\200", 2))
		at += 3;
	else if (at < all && *at == '-')
		at++;
	else if (all - at > 2 && !memcmp(at, "..", 2))
		at += 2 + (at[2] == '.');
	else if (word_in_list("to until till through thru bis a au jusqu* hasta fino ate do tot til or oder ou o of "
			      "lub albo "
			      "eller или до",
			      folded))
		at = word;
	else
		return false;
	while (at < all && *at == ' ')
		at++;
	return at < all && digit_octet(*at) && stamp_read(at, all, &last) && last.clock;
}

/*
 * Whether the word before a time says that something was before or after it, or from it on: "shortly after 14:00", "ab
 * 14:00". "From: " may be a key, of when it began.
 */
static bool is_bound(const struct reading *x, const char *at)
{
	const char *begin = at - x->text > NEAR_TEXT ? at - NEAR_TEXT : x->text, *word = at, *end;
	char folded[WORD_TEXT];
	bool keyed = false;

	for (unsigned i = 0; i < 5; i++) {
		for (end = word; end > begin && octet_is_of(end[-1], " \t\n:");)
			keyed |= *--end == ':';
		for (word = end; word > begin && word_octet(word[-1]);)
			word--;
		if (word == end || end - word >= (ptrdiff_t)WORD_TEXT)
			return false;
		word_fold(word, end, folded);
		/* "Within ten minutes of 14:00" */
		if (i && doubt_meaning(folded) & (IS_LARGE | IS_SMALL))
			return true;
		if (word_in_list(
			    "before after than by vor nach avant apres antes despues prima dopo depois przed voor "
			    "fore efter до после ab seit vanaf sinds desde depuis partir partire compter od since "
			    "sedan siden dalle dal с starting beginning commencing bis till until jusque jusqu hasta",
			    folded))
			return true;
		if (word_in_list("from von fran fra", folded))
			return !keyed;
		if (!word_in_list(
			    "of the de del des dem der le la el il las los das os o um at du da and och med og kl klo "
			    "godz dnia dne ore ora hora heure",
			    folded))
			return false;
	}
	return false;
}

/* Whether what is behind a time says that it is from then on: "from 14:00 on", "14:00から". */
static bool is_opened(const char *at, const char *all)
{
	char folded[WORD_TEXT];

	while (at < all && octet_is_of(*at, " \t\n)"))
		at++;
	word_fold(at, all - at > NEAR_TEXT ? at + NEAR_TEXT : all, folded);
	return word_in_list("onwards onward から* 起* itibaren", folded);
}

/* Whether the text denies the zone of a time elsewhere: "the time above is local, not UTC". */
static bool is_denied(const struct reading *x, const struct stamp *s)
{
	for (unsigned i = 0; i < x->n_denied; i++)
		if (claim_equal(&s->zone, &x->denied[i]))
			return true;
	return false;
}

/* What keeps a question from being definite that is said near its values. */
static uint8_t near_doubt(const struct reading *x, const struct item *a)
{
	const struct item *t = &x->items[a->time_item], *p = &x->items[a->port_item];
	const struct stamp *s = &x->stamps[t->stamp];
	const char *at = x->text + t->at, *end = at + t->size;
	/* The line before a log's is of something else. */
	unsigned is = t->stamped ? 0 : doubt_before(x->text, at, IS_ABOUT | IS_BETWEEN);
	bool parentheses;
	struct said after = behind(x, end, &parentheses);

	if (is_denied(x, s))
		return DOUBT_CORRECTED;
	if (t->mean)
		return DOUBT_ABOUT;
	if (is & IS_BETWEEN || (!t->stamped && (ends_span(x, at) || begins_span(x, end) || is_bound(x, at) ||
						is_opened(end, x->text + x->size))))
		return DOUBT_SPAN;
	if (is & IS_ABOUT || (parentheses ? after.any : after.first) & IS_ROUGH ||
	    has_margin(x, end, s->seconds || s->exact))
		return DOUBT_ABOUT;
	if (!s->exact && s->hour < 12 &&
	    (doubt_before(x->text, at, IS_LATER) | after.any | doubt_words(at, end).any) & IS_LATER)
		return DOUBT_MAYBE;
	return is_unsure(x, t) || is_unsure(x, p) || doubt_before(x->text, x->text + a->at, IS_MAYBE) ? DOUBT_MAYBE
												      : DOUBT_NONE;
}

/* Whether nothing but "or" and few words is between what stands for an address and another. */
static bool says_or(const struct reading *x, const struct item *behind, const struct item *a)
{
	const char *begin = x->text + behind->at + behind->size, *at = x->text + a->at;
	bool other = false;
	char folded[WORD_TEXT];
	unsigned words = 0;

	if (begin > at || at - begin > OR_TEXT)
		return false;
	while (word_next(&begin, at, folded)) {
		other |= word_in_list("or oder ou o of lub albo eller или bzw alternatively alternativ*", folded);
		words += !digit_octet(*folded);
	}
	return other && words <= OR_WORDS;
}

/* Whether a text says of an address that it may be another that stands before or behind it: "either A or B:5100". */
static bool has_alternative(const struct reading *x, size_t i)
{
	size_t one = i, two = i;

	while (one-- > 0 && i - one < SCOPE_ITEMS)
		if (x->items[one].kind == ITEM_ADDR && x->items[one].addr != x->items[i].addr)
			break;
	while (++two < x->n_items && two - i < SCOPE_ITEMS)
		if (x->items[two].kind == ITEM_ADDR && x->items[two].addr != x->items[i].addr)
			break;
	return (one < i && x->items[one].kind == ITEM_ADDR && says_or(x, &x->items[one], &x->items[i])) ||
	       (two < x->n_items && x->items[two].kind == ITEM_ADDR && says_or(x, &x->items[i], &x->items[two]));
}

/* Whether a time may be of either half of the day by what it shows. One as of RFC 3339 is of 24 hours. */
static bool is_of_twelve(const struct reading *x, const struct item *t)
{
	const struct stamp *s = &x->stamps[t->stamp];

	const char *at = x->text + t->at, *sign = memchr(at, 'T', t->size);

	return !s->exact && !s->half && s->hour > 0 && s->hour <= 12 && !(sign && digit_octet(sign[1]));
}

/* Whether times of a text have "AM" or "PM", and those that have not are none of 24 hours. */
static bool shows_twelve(const struct reading *x)
{
	bool half = false, day = false;

	for (size_t i = 0; i < x->n_items; i++) {
		const struct stamp *s = x->items[i].kind == ITEM_TIME ? &x->stamps[x->items[i].stamp] : NULL;

		if (!s || s->exact || !s->clock || x->items[i].rank >= RANK_END)
			continue;
		half = half || (s->half && (s->date || s->seconds) && !quotes_attribution(x, &x->items[i]));
		day |= !s->half && (!s->hour || s->hour > 12);
	}
	return half && !day;
}

void complaint_doubt(struct reading *x)
{
	struct doubts d = { .x = x };
	bool twelve = shows_twelve(x);

	doubt_survey(&d);
	twelve |= d.twelve != NULL;
	for (size_t i = 0; i < x->n_items; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || a->fault || a->port_item == NONE || a->time_item == NONE)
			continue;
		a->doubt = complaint_other_weekday(x, &x->items[a->time_item]) ? DOUBT_WEEKDAY : near_doubt(x, a);
		if (!a->doubt && twelve && is_of_twelve(x, &x->items[a->time_item]))
			a->doubt = DOUBT_TWELVE;
		if (!a->doubt && has_alternative(x, i))
			a->doubt = DOUBT_ADDRESS;
		if (a->above)
			a->doubt = DOUBT_ABOVE;
		if (!a->doubt)
			a->doubt = rival_contradicts(x, a) ? DOUBT_RIVAL : DOUBT_NONE;
		if (!a->doubt && rival_differs(x, a))
			a->doubt = DOUBT_RIVAL_OTHER;
		if (!a->doubt)
			a->doubt = x->quoted ? x->quoted : doubt_said(&d, a);
		if (a->doubt)
			a->fault = FAULT_UNSURE;
	}
	complaint_midnights(x);
}
