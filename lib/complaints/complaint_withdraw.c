// SPDX-License-Identifier: BSD-2-Clause
/*
 * Events that a text takes back ("please ignore the line above"), and examples of a form ("example of a useful
 * report"). It is about the address in the same sentence; else about the line, or the lines, above or below that it
 * points at; else, of what is taken back, about all.
 */
#include <ctype.h>
#include <string.h>

#include "complaints/complaint_doubt.h"
#include "complaints/complaint_line.h"
#include "complaints/complaint_sentence.h"

/* What stands farther away is not pointed at. */
#define FAR 8192

/* So many words may be between "example" and "report". */
#define FORM_WORDS 4U

static bool has_address(const char *at, const char *end)
{
	uint32_t any;

	for (bool inside = false; at < end; inside = word_octet(*at) || *at == '.', at++)
		if (!inside && digit_octet(*at) && addr_at(at, end, &any))
			return true;
	return false;
}

void doubt_take(struct doubts *d, const char *begin, const char *end, uint8_t doubt)
{
	if (d->n_taken < WITHDRAWN)
		d->taken[d->n_taken] = (struct taken_back){ begin, end, doubt };
	d->n_taken += d->n_taken <= WITHDRAWN;
}

/* The begin of the lines above a place that belong together, or of the last one that has an address. */
static const char *above(const char *text, const char *at, bool one)
{
	const char *p = at, *limit = at - text > FAR ? at - FAR : text;
	bool any = false;

	while (p > limit) {
		const char *end = p - 1, *line = end;

		while (line > limit && line[-1] != '\n')
			line--;
		if (any && line_is_rule(line, end))
			break;
		any |= has_address(line, end);
		p = line;
		if (one && any)
			break;
	}
	return any ? p : at;
}

/* The same below: where they end. */
static const char *below(const char *at, const char *all, bool one)
{
	const char *p = at, *limit = all - at > FAR ? at + FAR : all;
	bool any = false;

	while (p < limit) {
		const char *end = line_end(p, limit);

		if (any && line_is_rule(p, end))
			break;
		any |= has_address(p, end);
		p = end < limit ? end + 1 : limit;
		if (one && any)
			break;
	}
	return any ? p : at;
}

/* Whether a negation is right before a word for acting: "please do not act", "nicht weiter bearbeiten". */
static bool negates_acting(const char *begin, const char *end)
{
	unsigned n = 0, not_at = 0;
	char folded[WORD_TEXT];

	while (word_next(&begin, end, folded)) {
		unsigned is = doubt_meaning(folded);

		n++;
		if (is & IS_ACT && not_at && n - not_at <= 2)
			return true;
		not_at = is & IS_NOT ? n : not_at;
	}
	return false;
}

/* What a sentence points at. */
static void point(struct doubts *d, const char *begin, const char *end, unsigned is, uint8_t doubt)
{
	const char *text = d->x->text, *all = text + d->x->size, *first = begin, *last = end;
	bool one = is & IS_ENTRY && !(is & IS_MANY);

	if (has_address(begin, end))
		return doubt_take(d, begin, end, doubt);
	if ((is & (IS_LETTER | IS_FORM) || negates_acting(begin, end)) && doubt == DOUBT_WITHDRAWN &&
	    !(is & (IS_ENTRY | IS_ABOVE | IS_BELOW)))
		return doubt_take(d, text, all, doubt);
	if (is & IS_BELOW || doubt == DOUBT_EXAMPLE)
		last = is & IS_ABOVE ? end : below(end, all, one);
	if (last == end && !(is & IS_BELOW))
		first = above(text, begin, one);
	if (first < begin || last > end)
		doubt_take(d, first, last, doubt);
	else if (is & IS_ENTRY && doubt == DOUBT_WITHDRAWN)
		doubt_take(d, text, all, doubt);
}

/* What was none, which no more is said of: each. */
static void take_nothing(struct doubts *d, const char *begin, const char *end)
{
	if (has_address(begin, end))
		doubt_take(d, begin, end, DOUBT_WITHDRAWN);
	else
		doubt_take(d, d->x->text, d->x->text + d->x->size, DOUBT_WITHDRAWN);
}

/* Whether a word is part of a name: "host.example", "example.net". */
static bool in_name(const char *text, const char *at, const char *end, const char *all)
{
	return (at > text && octet_is_of(at[-1], ".@-/_")) ||
	       (end + 1 < all && octet_is_of(*end, ".@-/_") && isalnum((unsigned char)end[1]));
}

/* Whether a word likens what comes to something: "this is what our reports will look like". */
static bool is_likening(const char *folded)
{
	return word_in_list("look aussehen ressembler* eruitzien veran wygladac", folded);
}

/* Whether a sentence has an example of a form, and not "for example": of events there are examples, too. */
static bool is_form(const struct doubts *d, const char *begin, const char *end)
{
	const char *text = d->x->text, *all = text + d->x->size;
	unsigned since = FORM_WORDS + 1, before = 0, form = FORM_WORDS + 1;
	const char *p = begin, *word;
	char folded[WORD_TEXT];

	while ((word = word_next(&p, end, folded))) {
		unsigned is = doubt_meaning(folded);
		bool likens = is & IS_EXAMPLE && is_likening(folded);

		/* "Look at this report" */
		if (!strcmp(folded, "look") && (end - p < 5 || memcmp(p + 1, "like", 4) != 0))
			is = 0;
		if (is & IS_EXAMPLE && (is & IS_FORM || (likens && form <= FORM_WORDS)))
			return true;
		form = is & IS_FORM ? 0 : form + 1;
		since = is & IS_EXAMPLE && !(before & IS_REAL) && !in_name(text, word, p, all) ? 0
			: is & IS_REAL							       ? FORM_WORDS + 1
											       : since + 1;
		if (is & IS_FORM && since <= FORM_WORDS + 1 && since)
			return true;
		before = is;
	}
	return false;
}

/* Whether a sentence tells of what would be: "for example, a line like … would show it". */
static bool is_supposed(const char *begin, const char *end)
{
	return words_in_list("would could wurde wurden konnte konnten serait pourrait sarebbe potrebbe seria podria "
			     "poderia zou skulle moglby bylby",
			     begin, end);
}

/* Whether a sentence asks for a format that it shows below: "if you answer, quote logs in this format:". */
static bool asks_for_format(const char *begin, const char *end, unsigned is)
{
	return (is & IS_BELOW || has_address(begin, end)) && is & IS_FORM &&
	       is & (IS_IF | IS_PLEASE | IS_WISH | IS_ASKED) && !(is & IS_PERSON) &&
	       words_in_list("format formats formatted formato formatu formata", begin, end) &&
	       !words_in_list("find see siehe finden veuillez trouver trovate encontrara", begin, end);
}

/* Whether the first word of a sentence is what it asks for. */
static bool is_command(const char *begin, const char *end, unsigned meant)
{
	char folded[WORD_TEXT];

	return word_next(&begin, end, folded) && doubt_meaning(folded) & meant;
}

/* Lines with events that are above and below the one in which a sentence says so are not part of it. */
static unsigned cut(const char **begin, const char **end, const char *at)
{
	const char *line = at, *stop = line_end(at, *end);
	unsigned is = 0;

	while (line > *begin && line[-1] != '\n')
		line--;
	if (has_address(*begin, line))
		*begin = line;
	if (has_address(stop, *end)) {
		*end = stop;
		is = stop[-1] == ':' ? IS_BELOW : 0;
	}
	return is;
}

/* Whether a sentence says of a case that it is at its end, or asks for that: "please close the ticket". */
static bool says_settled(const char *begin, const char *end)
{
	bool about, thing = false, done = false, be = false, close = false, please = false, other = false;
	char folded[WORD_TEXT];

	while (word_next(&begin, end, folded)) {
		unsigned is = doubt_meaning(folded);

		please |= (is & IS_PLEASE) != 0;
		about = word_in_list(
			"ticket* case matter issue incident* sache angelegenheit fall vorgang vorfall problem* "
			"dossier affaire caso asunto incidente* zaak sprawa arende* тикет* вопрос*",
			folded);
		thing |= about;
		other |= (is & (IS_NOT | IS_IF) && !about) ||
			 word_in_list(
				 "until once when as will should must sobald bis wird muss soll quand jusqu lorsque "
				 "quando finche cuando hasta zodra totdat gdy az wenn",
				 folded);
		be |= word_in_list("is was been are ist wurde sind hat est ete stato ha sido fue zijn jest zostal "
				   "zostala has",
				   folded);
		done |= word_in_list("settled resolved solved closed erledigt geklart gelost abgeschlossen geschlossen "
				     "resolu* regle* clos cloture* risolt* chius* resuelt* cerrad* resolvid* encerrad* "
				     "opgelost gesloten afgehandeld rozwiazan* zamkniet* lost avslutat* решен* закрыт*",
				     folded);
		close |= word_in_list(
			"close schliessen fermer cloturer chiudere chiudete cerrar cierren encerrar fechar "
			"sluiten zamknac stang закройте закрыть",
			folded);
	}
	return thing && !other && ((done && be) || (close && please));
}

/* So many words are between what happened and "again". */
#define AGAIN_WORDS 3U

/* Whether a sentence says that it happened again: what is quoted below is of the time before. */
static bool says_again(const char *begin, const char *end)
{
	unsigned n = 0, event = 0, again = 0;
	char folded[WORD_TEXT];

	while (word_next(&begin, end, folded)) {
		n++;
		if (word_meaning(folded) & (WORD_EVENT | WORD_DEED) && !(word_meaning(folded) & WORD_SOURCE))
			event = n;
		if (word_in_list(
			    "again more erneut wieder einmal encore nouveau nuevo nuevamente nuovo nuovamente novo "
			    "novamente znowu ponownie opnieuw weer igen снова опять",
			    folded))
			again = n;
		if (event && again && (event > again ? event - again : again - event) <= AGAIN_WORDS)
			return true;
	}
	return false;
}

uint8_t complaint_about_quoted(const struct reading *x)
{
	const char *end = x->text + x->size, *begin = x->text;

	for (const char *p = begin; p < end; p++) {
		if (!sentence_ends(x->text, p, end) && p + 1 < end)
			continue;
		if (p - begin < SENTENCE && says_settled(begin, p + 1))
			return DOUBT_WITHDRAWN;
		if (p - begin < SENTENCE && says_again(begin, p + 1))
			return DOUBT_BEFORE;
		begin = p + 1;
	}
	return DOUBT_NONE;
}

/* Whether a clause asks to ignore, and does not negate it: "it was no attack, please ignore". */
static bool asks_in_clause(const char *begin, const char *end)
{
	unsigned is = 0;

	for (const char *p = begin, *clause = begin; p <= end; p++) {
		if (p < end && !octet_is_of(*p, ",;:"))
			continue;
		is = doubt_words(clause, p).any;
		if (is & IS_IGNORE && is & IS_PLEASE && !(is & IS_NOT))
			return true;
		clause = p + 1;
	}
	return false;
}

/* Whether a word may say of an event that it was none; "format" is looked at for what it asks for. */
static bool has_alarm(const char *begin, const char *end)
{
	char folded[WORD_TEXT];

	while (word_next(&begin, end, folded))
		if ((doubt_meaning(folded) & (IS_ALARM | IS_FORM)) == IS_ALARM)
			return true;
	return false;
}

void doubt_take_back(struct doubts *d, const char *begin, const char *end, const char *at, unsigned is)
{
	bool asked, retracted, negated;

	is |= cut(&begin, &end, at);
	negated = is & IS_NOT && !asks_in_clause(begin, end);
	asked = is & IS_PLEASE || is_command(begin, end, IS_IGNORE);
	/* "We withdraw this report" */
	retracted = is & IS_IGNORE && is & IS_WISH && is & IS_PERSON && is & (IS_LETTER | IS_FORM | IS_ENTRY) &&
		    !(is & (IS_NOT | IS_IF));

	/* Of another mail. */
	if (is & IS_LETTER && !(is & (IS_ENTRY | IS_ABOVE | IS_BELOW)) && label_read(begin, end).any & WORD_ANOTHER)
		return;
	if (is & IS_ALARM && (!(is & IS_FORM) || has_alarm(begin, end)) && doubt_was_nothing(begin, end))
		take_nothing(d, begin, end);
	else if (retracted || (is & IS_IGNORE && asked && !negated && !(is & IS_IF)) ||
		 (is & IS_ACT && is & IS_NOT && !(is & (IS_IF | IS_PERSON))))
		point(d, begin, end, is | (retracted ? IS_LETTER : 0), DOUBT_WITHDRAWN);
	else if (is & IS_EXAMPLE && is_form(d, begin, end))
		point(d, begin, end, is, DOUBT_EXAMPLE);
	else if (asks_for_format(begin, end, is))
		point(d, begin, end, is, DOUBT_EXAMPLE);
	else if (is & IS_EXAMPLE && is_supposed(begin, end) && has_address(begin, end))
		doubt_take(d, begin, end, DOUBT_EXAMPLE);
}
