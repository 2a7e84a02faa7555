// SPDX-License-Identifier: BSD-2-Clause
/* Which of several times the words around mean, and which are of something else. */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_doubt.h"
#include "complaints/complaint_line.h"
#include "complaints/complaint_scan.h"
#include "complaints/complaint_sentence.h"

/* So many words may be between a key and its time: a day of the week, "on". */
#define MOST_BETWEEN 2U

/* Whether a word that is not known is joined to one for a time: "logtime", "devicedate", "eindzeit". */
static bool is_joined_time(const char *folded)
{
	size_t n = strlen(folded);

	return n > 4 &&
	       (!strcmp(folded + n - 4, "time") || !strcmp(folded + n - 4, "date") || !strcmp(folded + n - 4, "zeit"));
}

/* Whether a word behind one for a time, which is not known, says of what it is the time: "Date de la demande". */
static bool says_of_what(const char *word, const char *end, const char *folded)
{
	struct claim any;

	return !digit_octet(*folded) && word_skip(word, end) - word > 2 && !claim_read(word, end, true, &any) &&
	       !word_in_list("log* entry entries line record* packet* stamp zone format local* this was were sur een "
			     "het ten dla dell sul nel",
			     folded);
}

/* Whether a word before one for a time, which is not known, says of what it is the time: "Signature date". */
static bool names_thing(const char *word, const char *end, const char *folded)
{
	struct claim any;

	/* A sign before a key, such as a bullet, is no word. */
	return !digit_octet(*folded) && *word != '\342' && word_skip(word, end) - word > 2 &&
	       !claim_read(word, end, true, &any) && !doubt_meaning(folded) && !doubt_mark(folded) &&
	       !word_in_list("first flow* syslog offen* log* entry line record* packet* stamp local* server* system* "
			     "device* host* sensor* fire* "
			     "utc gmt unix epoch the your our full exact date datum zone this found gefunden trouve* "
			     "encontrad* trovat* gevonden",
			     folded);
}

/* Whether a key names a span of time: no end of it is a moment of an event, "window.from", "Zeitraum von". */
static bool names_span(const char *at, const char *end)
{
	return words_in_list(
		"window span interval period periode periodo timerange timeframe timespan zeitraum zeitfenster "
		"zeitspanne intervalle plage fenetre ventana intervalo finestra intervallo okres okno "
		"tijdvak venster период окно",
		at, end);
}

/*
 * What the words of a key say of a time. "At" says nothing if other words are there: "installed at"; nor does what is
 * the time of something that is not known.
 */
static unsigned key_says(const char *at, const char *end)
{
	/* In parentheses is the form of the time: "Datum (TT.MM.JJJJ)". */
	const char *form = memchr(at, '(', (size_t)(end - at)), *word;
	unsigned any = 0, words = 0, is = 0;
	char folded[WORD_TEXT];
	bool thing = false;

	if (names_span(at, end))
		return WORD_ANOTHER;
	for (; (word = word_next(&at, end, folded)); words++) {
		any |= is;
		is = word_meaning(folded);
		if (!is && is_joined_time(folded))
			is = WORD_TIME;
		if (!is && (any & (WORD_TIME | WORD_EVENT)) == WORD_TIME && !(form && word > form) &&
		    says_of_what(word, end, folded))
			return WORD_ANOTHER;
		thing |= !is && !(any & WORD_TIME) && !(form && word > form) && names_thing(word, end, folded);
		if (is & (WORD_SOURCE | WORD_TARGET) || (words && is & WORD_TO))
			is &= ~(WORD_TIME | WORD_EVENT | WORD_DEED);
	}
	/* "Signature date" is of no deed. */
	if (thing && (any | is) & WORD_TIME &&
	    !((any | is) & (WORD_DEED | WORD_NAMED | WORD_LATE | WORD_ADDR | WORD_PORT | WORD_SOURCE | WORD_TARGET)))
		return WORD_ANOTHER;
	/* A word alone: "From", "To", "At" of times. */
	return any | is | (words == 1 && is & (WORD_FROM | WORD_TO) ? WORD_TIME : 0);
}

/*
 * Whether a key names something else than an event or a time: "Password changed", "Next scan". A time that is its value
 * is that of this, even if there is no other.
 */
static bool names_other(const char *at, const char *end)
{
	unsigned says = key_says(at, end);

	/* What is of a report, or an end, is ranked so. */
	if (says & (WORD_OTHER | WORD_END))
		return false;
	return says & WORD_ANOTHER || !(says & (WORD_TIME | WORD_EVENT | WORD_DEED | WORD_LATE | WORD_NAMED));
}

/* The same of a member or a column; of one that says nothing, the objects around may. */
static bool is_other_member(const struct scan *c)
{
	const char *key = c->s->key, *end = c->s->key_end, *name = memrchr(key, KEY_PART, (size_t)(end - key));

	if (names_span(key, end))
		return true;
	if (!names_other(name ? name : key, end))
		return false;
	return !name || names_other(key, name) || key_says(name, end) & WORD_ANOTHER;
}

/* Whether nothing but parentheses is behind a time in its line. */
static bool ends_line(const struct scan *c, const char *end)
{
	const char *behind = scan_signs(end, c->s->end, " \t.,;*_|\"'");

	return behind == c->s->end || *behind == '\n' || *behind == '(';
}

bool scan_of_other(struct scan *c, const char *at, const char *end)
{
	const char *line = scan_signs(scan_line(c, at), at, " \t*-|+#>"), *stop, *value;

	if (c->s->cells)
		return c->s->key && at == scan_signs(c->s->begin, at, " \t\"") && is_other_member(c);
	if (!c->s->keyed || at - line > LABEL_TEXT || digit_octet(*line) || !ends_line(c, end))
		return false;
	stop = line_key_end(line, c->s->end, &value);
	return stop && value <= at && label_read(value, at).words < MOST_BETWEEN && names_other(line, stop);
}

static bool same_sentence(const struct scan *c, const char *from, const char *to)
{
	for (; from < to; from++)
		if (sentence_ends(c->x->text, from, c->s->end))
			return false;
	return true;
}

/* Whether the sentence in which a time of prose stands says that an event was, rather than one before it. */
static bool sentence_says_event(const struct scan *c, const char *at)
{
	const char *begin = scan_label_begin(c, at), *p = begin;

	for (; p < at; p++)
		if (sentence_ends(c->x->text, p, c->s->end))
			begin = p + 1;
	return label_read(begin, at).any & WORD_EVENT;
}

/*
 * Whether a time of which nothing is said goes on with the one before, which is of the event: "at 10:00 and at 11:00",
 * "the firewall says 10:00 and the sensor 11:00". Neither is meant more than the other.
 */
static bool goes_on(const struct scan *c, const char *at)
{
	const struct reading *x = c->x;
	size_t i = x->n_items;

	/* It may be an item already. */
	while (i > x->first_item && (x->items[i - 1].kind == ITEM_ZONE || x->text + x->items[i - 1].at == at))
		i--;
	if (i == x->first_item || x->items[i - 1].kind != ITEM_TIME || x->items[i - 1].rank != RANK_EVENT)
		return false;
	if (!x->stamps[x->items[i - 1].stamp].clock && !x->stamps[x->items[i - 1].stamp].exact)
		return false;
	return same_sentence(c, x->text + x->items[i - 1].at + x->items[i - 1].size, at);
}

/* What the words before a time of prose mean that are about an event, or about nothing. */
static uint8_t rank_of_prose(const struct scan *c, const struct label *l, const char *at)
{
	if (l->any & WORD_EVENT)
		return sentence_says_event(c, at) ? RANK_EVENT : RANK_NEUTRAL;
	/* "Attacked at 10:00, blocked at 10:05" */
	return !(l->any & WORD_MEASURE) && goes_on(c, at) ? RANK_EVENT : RANK_NEUTRAL;
}

uint8_t scan_rank(struct scan *c, const char *at)
{
	struct label l = scan_label(c, at);

	if (c->s->key) {
		const char *name = memrchr(c->s->key, KEY_PART, (size_t)(c->s->key_end - c->s->key));
		struct label key = label_read(name ? name : c->s->key, c->s->key_end);

		/* What Windows calls so is the time of the event. */
		if (c->s->key_end - c->s->key >= 11 && !memcmp(c->s->key, "TimeCreated", 11))
			key.any = WORD_EVENT;
		if (c->x->xarf && c->s->key_end - c->s->key >= 9 && !memcmp(c->s->key_end - 9, "timestamp", 9))
			return RANK_SCHEMA;
		/* Columns "From" and "To" of times. */
		if (c->s->cells && key.words == 1 && key.any & (WORD_FROM | WORD_TO) && !(key.any & WORD_TIME))
			return key.any & WORD_FROM ? RANK_EVENT : RANK_END;
		if (!(key.any & (WORD_TIME | WORD_EVENT | WORD_OTHER | WORD_END | WORD_LATE)))
			return RANK_STRAY;
		if (name && !(key.any & (WORD_OTHER | WORD_END | WORD_LATE)))
			key.any |= label_read(c->s->key, name).any & WORD_EVENT;
		if (c->s->cells)
			l = key;
	} else if (at - scan_line(c, at) > 12 && !memcmp(c->line, "TimeCreated", 11) &&
		   *scan_signs(c->line + 11, at, " \t") == ':') {
		return RANK_EVENT;
	}
	/* "Opened at" is of a ticket as well. */
	if ((c->s->key || c->s->keyed) && l.any & WORD_MEASURE && l.any & WORD_EVENT)
		return l.any & WORD_OTHER ? RANK_OTHER : RANK_NEUTRAL;
	/* "The attack that was reported began at" */
	if (!c->s->key && !(c->s->keyed && l.any & WORD_OTHER && !(l.any & WORD_DEED)) &&
	    (l.when & (WORD_EVENT | WORD_TIME)) == (WORD_EVENT | WORD_TIME))
		return RANK_EVENT;
	/* "Blocked at: …", "Unblocked: …" */
	if ((c->s->key || c->s->keyed) && l.any & WORD_MEASURE && !(l.any & WORD_EVENT))
		return RANK_OTHER;
	return l.any & WORD_OTHER	    ? RANK_OTHER
	       : l.any & WORD_END	    ? RANK_END
	       : l.any & WORD_LATE	    ? RANK_LATE
	       : !c->s->key && !c->s->keyed ? rank_of_prose(c, &l, at)
	       : l.any & WORD_EVENT	    ? RANK_EVENT
					    : RANK_NEUTRAL;
}
