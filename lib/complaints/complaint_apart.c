/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sentences. A time and a port that stand in two of them are of one event if that of the time says what happened, and
 * nothing that was done about it, and that of the port speaks of no other event: of "We blocked it at ten. Its last
 * connection came from port 5100", ten is no time of that port. Values of keys, and lines of logs, are no sentences.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "complaints/complaint_private.h"
#include "complaints/complaint_sentence.h"

/* A longer text before a value is no key. */
#define KEY_TEXT 60

struct sentence {
	const char *begin, *end;
	bool record;
	unsigned any;  /* of all words */
	bool happened; /* a word says what, and is not who did it */
};

static bool is_letter(char c)
{
	return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Whether a full stop is within short parentheses, which end no sentence: "10:00 (CEST, i.e. UTC+2)". */
static bool in_parentheses(const char *begin, const char *at, const char *end)
{
	const char *open = at, *close = at;

	while (open > begin && at - open < KEY_TEXT && !octet_is_of(*open, "()\n"))
		open--;
	while (close < end && close - at < KEY_TEXT && !octet_is_of(*close, "()\n"))
		close++;
	return *open == '(' && close < end && *close == ')';
}

bool sentence_ends_at(const char *begin, const char *at, const char *end)
{
	const char *next = at + 1;

	if ((*at == ';' && next < end && *next == ' ') || (*at == '\n' && next < end && *next == '\n'))
		return true;
	/* A full stop of Japanese. */
	if (end - at >= 3 && !memcmp(at, "\343\200\202", 3))
		return true;
	if (*at != '.' && *at != '!' && *at != '?')
		return false;
	while (next < end && next - at < KEY_TEXT && strchr(" \n\t>\"", *next) && *next)
		next++;
	if (next == at + 1 || next == end)
		return next == end;
	/* Not in "No. 5", nor in "3. 5. 2026". */
	if (isdigit((unsigned char)*next))
		return at - begin >= 3 && is_letter(at[-1]) && is_letter(at[-2]) && is_letter(at[-3]);
	return (isupper((unsigned char)*next) || (unsigned char)*next >= 0x80) &&
	       !(*at == '.' && in_parentheses(begin, at, end));
}

/* Whether the end of a sentence is between two places; there is one if they are far from each other. */
static bool apart(const char *begin, const char *from, const char *to, const char *end)
{
	if (to - from > SENTENCE)
		return true;
	for (; from < to; from++)
		if (sentence_ends(begin, from, end))
			return true;
	return false;
}

static void read_words(struct sentence *s)
{
	const char *p = s->begin;
	char folded[WORD_TEXT];

	s->any = 0;
	s->happened = false;
	while (word_next(&p, s->end, folded)) {
		unsigned is = word_meaning(folded);

		s->any |= is;
		s->happened |= (is & (WORD_EVENT | WORD_DEED)) && !(is & (WORD_SOURCE | WORD_MEASURE));
	}
}

/* Reads the sentence of an item, or its line if it is a record, unless it is the one that was read before. */
static void read_sentence(const struct reading *x, const struct item *i, bool record, struct sentence *s)
{
	const char *text = x->text, *all = text + x->size, *at = text + i->at, *behind = at + i->size;

	if (s->begin && s->record == record && at >= s->begin && behind <= s->end)
		return;
	*s = (struct sentence){ .begin = at, .end = behind, .record = record };
	while (s->begin > text && at - s->begin < SENTENCE &&
	       !(record ? s->begin[-1] == '\n' : sentence_ends(text, s->begin - 1, all)))
		s->begin--;
	while (s->end < all && s->end - behind < SENTENCE &&
	       !(record ? *s->end == '\n' : sentence_ends(text, s->end, all)))
		s->end++;
	read_words(s);
}

static unsigned words_of(const char *at, const char *end)
{
	unsigned words = 0;

	for (; at < end; at++)
		words += word_octet(*at) && (at + 1 == end || !word_octet(at[1]));
	return words;
}

/* Whether an item is a cell or the value of a key: at most two words are before it, and four are the key. */
static bool is_value(const struct reading *x, const struct item *i)
{
	const char *at = x->text + i->at, *sign = at, *line;

	while (sign > x->text && at - sign < KEY_TEXT && !memchr("=|\t\"{<[,:\n", sign[-1], 10))
		sign--;
	for (line = at; line > sign + 1; line--)
		if (line[-1] == ' ' && line[-2] == ' ')
			return true;
	if (sign == x->text || at - sign >= KEY_TEXT || sign[-1] == '\n' || words_of(sign, at) > 2)
		return false;
	if (sign[-1] != ':' && sign[-1] != ',')
		return true;
	for (line = sign - 1; line > x->text && sign - line < KEY_TEXT && line[-1] != '\n';)
		line--;
	return sign[-1] == ':' ? sign - line < KEY_TEXT && words_of(line, sign) <= 4 : sign < at && *sign != ' ';
}

/* The sentences of a time and a port. */
struct both {
	struct sentence time, port;
};

/*
 * Whether a port and a time are of one "Received:" of a mail that is quoted, whose time is behind a semicolon (RFC 5321
 * section 4.4).
 */
static bool in_received(const struct reading *x, const char *port, const char *time)
{
	const char *p = port;

	if (time < port || time - port > SENTENCE || port - x->text < 9)
		return false;
	for (const char *q = port; q + 1 < time; q++)
		if (*q == '\n' && !octet_is_of(q[1], " \t>"))
			return false;
	while (p > x->text && port - p < SENTENCE && (p[-1] != '\n' || octet_is_of(*p, " \t")))
		p--;
	while (octet_is_of(*p, " \t>"))
		p++;
	return p < port && !strncasecmp(p, "received:", 9);
}

/* Whether a time is not said to be that of a port. addr: of the port; as in 203.0.113.36:5100, no sentence is needed.
 */
static bool of_another(const struct reading *x, const struct item *addr, const struct item *time,
		       const struct item *port, struct both *s)
{
	bool joined = port->at - (addr->at + addr->size) <= 1;
	const char *all = x->text + x->size, *a = x->text + time->at, *b = x->text + port->at;

	if (!(a < b ? apart(x->text, a + time->size, b, all) : apart(x->text, b + port->size, a, all)) ||
	    is_value(x, time) || is_value(x, joined ? addr : port) || in_received(x, b, a))
		return false;
	read_sentence(x, time, false, &s->time);
	read_sentence(x, port, joined, &s->port);
	return (s->time.any & WORD_MEASURE) || (s->port.any & (WORD_ANOTHER | WORD_MEASURE)) ||
	       (!s->time.happened && !time->stamped && !joined);
}

static uint32_t find_item(const struct reading *x, enum item_kind kind, uint32_t at)
{
	uint32_t i = 0;

	while (i < x->n_items && (x->items[i].kind != kind || x->items[i].at != at))
		i++;
	return i;
}

/* An endpoint of a quoted mail, below a text that has a port of its own. */
static void doubt_quoted_ports(struct reading *x)
{
	uint32_t own = find_item(x, ITEM_PORT, x->own_port);

	for (size_t i = 0; i < x->n_items && own < x->n_items; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || a->fault || a->port_item == NONE ||
		    x->items[a->port_item].port == x->items[own].port)
			continue;
		a->fault = FAULT_SEVERAL_PORTS;
		a->other = own;
	}
}

/* An endpoint of a quoted mail, below a text that has a time of its own: the text may tell of a new event. */
static void doubt_quoted(struct reading *x)
{
	uint32_t own = find_item(x, ITEM_TIME, x->own_time);

	for (size_t i = 0; i < x->n_items && own < x->n_items; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || a->fault || a->port_item == NONE || a->time_item == NONE ||
		    stamp_agree(&x->stamps[x->items[a->time_item].stamp], &x->stamps[x->items[own].stamp]))
			continue;
		a->fault = FAULT_SEVERAL_TIMES;
		a->other = own;
	}
}

void complaint_apart(struct reading *x)
{
	struct both s = { 0 };

	if (x->own_time != NONE)
		doubt_quoted(x);
	if (x->own_port != NONE)
		doubt_quoted_ports(x);
	for (size_t i = 0; i < x->n_items; i++) {
		struct item *a = &x->items[i];

		if (a->kind != ITEM_ADDR || a->fault || a->port_item == NONE || a->time_item == NONE)
			continue;
		if (!of_another(x, a, &x->items[a->time_item], &x->items[a->port_item], &s))
			continue;
		a->fault = FAULT_NO_TIME;
		a->other = a->time_item;
	}
}
