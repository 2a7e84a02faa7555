// SPDX-License-Identifier: BSD-2-Clause
/*
 * Times that a sentence gives to another address or another port than the one that it names: "203.0.113.36:5100 came
 * back after a login from another address at 10:00". Addresses that something was done to are none.
 */
#include "complaints/complaint_doubt.h"
#include "complaints/complaint_sentence.h"

/* So far from an address its time, or from a time what is said of it, stands. */
#define NEAR_TEXT 160

/* So many words behind "another" there is what is another. */
#define OTHER_WORDS 2U

static bool is_party(const char *folded)
{
	return doubt_mark(folded) & MARK_PORT ||
	       word_in_list("host hosts machine system computer customer client user subscriber source kunde* rechner "
			    "quelle cliente klant utente abonne hote",
			    folded);
}

/* Whether something is done to what comes: "to another address". */
static bool is_aimed(const char *text, const char *word)
{
	const char *p = word, *end;
	char folded[WORD_TEXT];

	for (unsigned i = 0; i < 2; i++) {
		while (p > text && octet_is_of(p[-1], " \t\n"))
			p--;
		for (end = p; p > text && word_octet(p[-1]) && end - p < (ptrdiff_t)WORD_TEXT - 1;)
			p--;
		word_fold(p, end, folded);
		if (word_meaning(folded) & (WORD_TO | WORD_TARGET) ||
		    word_in_list("against gegen auf on contra contre contro tegen przeciw против", folded))
			return true;
	}
	return false;
}

void doubt_note_other(struct doubts *d, const char *word, const char *at)
{
	const char *end = d->x->text + d->x->size;
	char folded[WORD_TEXT];

	if (is_aimed(d->x->text, word))
		return;
	for (unsigned i = 0; i < OTHER_WORDS && at < end && *at == ' ' && word_next(&at, end, folded); i++) {
		if (!is_party(folded))
			continue;
		if (d->n_others < OTHERS)
			d->others[d->n_others] = word;
		d->n_others += d->n_others <= OTHERS;
		return;
	}
}

/* Whether a place is in a stretch, in which no sentence ends; clause: nor a clause before it. */
static bool is_within(const struct reading *x, const char *place, const char *begin, const char *end, bool clause)
{
	if (place < begin || place >= end || end - begin > NEAR_TEXT)
		return false;
	for (; begin < end; begin++)
		if (sentence_ends(x->text, begin, x->text + x->size) || (clause && octet_is_of(*begin, ",;:()|\"")))
			return false;
	return true;
}

bool doubt_of_other(const struct doubts *d, const struct item *a)
{
	const struct reading *x = d->x;
	const struct item *t = &x->items[a->time_item];
	const char *addr = x->text + a->at, *time = x->text + t->at, *behind = time + t->size;

	for (unsigned i = 0; i < d->n_others && i < OTHERS; i++) {
		const char *place = d->others[i];

		if (addr < time ? is_within(x, place, addr + a->size, time, false) ||
					  is_within(x, place, behind, place + 1, true)
				: is_within(x, place, behind, addr, false) ||
					  (place < time && is_within(x, place, place, time, true)))
			return true;
	}
	return d->n_others > OTHERS;
}
