// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sentences that say of an event that it was none: a false alarm, a test of one's own, a test of the way of reporting,
 * an example that was made up.
 * Only a statement does ("it was", "Fehlalarm!"), no condition, question or doubt; each clause is one.
 */
#include <string.h>

#include "complaints/complaint_doubt.h"

/* So many words may be between "it was" and what it was, and so many a sentence without "was" may have. */
#define WAS_WORDS 4U
#define FEW_WORDS 4U

/* So many words behind "no" there is the end of "real incident". */
#define REAL_WORDS 5U

static bool is_false(const char *folded)
{
	return word_in_list("false falsch* fausse faux falso falsa vals falsz* falszyw* falskt falsk ложн*", folded);
}

static bool is_alarm(const char *folded)
{
	return word_in_list("alarm alarma alarme allarme alert alerta alerte positive positif positivo тревога",
			    folded);
}

static bool is_alarm_itself(const char *folded)
{
	return word_in_list("fehlalarm falschmeldung testmeldung*", folded);
}

static bool is_own(const char *folded)
{
	return word_in_list("own eigene* propio propia propre proprio wlasn* eigen", folded);
}

/* What somebody does to himself, or has done. */
static bool is_own_deed(const char *folded)
{
	return word_in_list("test* pentest* penetration* admin* scan* skan* monitor* prueba* prova* essai* audit*",
			    folded);
}

static bool is_test(const char *folded)
{
	return word_in_list("test prueba essai prova testmail", folded);
}

static bool is_invented(const char *folded)
{
	return word_in_list(
		"invented invente inventee inventad* inventat* fictitious fictional fictici* fictif* fictief "
		"fiktiv* fikcyjn* fittizi* erfunden* verzonnen zmyslon* выдуман*",
		folded);
}

static bool is_real(const char *folded)
{
	return word_in_list("real actual genuine echt* reel* reale* vero vera verdader* rzeczywist* prawdziw* настоящ*",
			    folded);
}

static bool is_incident(const char *folded)
{
	return word_in_list(
		"incident* event attack abuse case vorfall* ereignis angriff evenement attaque incidente* ataque "
		"evento attacco voorval aanval zdarzen* incydent* инцидент* атак*",
		folded);
}

/* "It was" */
static bool is_was(const char *folded)
{
	return word_in_list("was were is s war ist est etait fue era es foi byl byla bylo jest var turned это был*",
			    folded);
}

static bool is_this(const char *folded)
{
	return word_in_list("this dies das ceci esto esta questo questa dit", folded);
}

/* What the words of a sentence make of it. */
struct statement {
	unsigned words, was, own, made; /* numbers of the last word that is so, from 1; 0: none */
	unsigned negated, real, incident, form;
	bool was_false, was_alarm, this_was, invented, unreal;
	unsigned is; /* of all */
	bool nothing;
};

static void take_word(struct statement *s, const char *folded, bool by)
{
	bool falsely = is_false(folded), alarm = is_alarm(folded);
	unsigned since;

	s->words++;
	s->is |= doubt_meaning(folded);
	s->this_was |= s->words == 1 && is_this(folded);
	/* "It was noticed by our own monitoring" */
	s->was = by ? 0 : is_was(folded) ? s->words : s->was;
	since = s->words - s->was;
	if ((alarm && s->was_false) || (falsely && s->was_alarm) || is_alarm_itself(folded))
		s->nothing |= (s->was && since <= WAS_WORDS) || s->words <= FEW_WORDS;
	if (is_own_deed(folded) && s->own && s->words - s->own <= 2)
		s->nothing |= s->was && s->own - s->was <= WAS_WORDS && s->own > s->was;
	/* "I made it up" */
	s->made = !strcmp(folded, "made") ? s->words : s->made;
	if (is_invented(folded) || (!strcmp(folded, "up") && s->made && s->words - s->made <= WAS_WORDS)) {
		s->invented = true;
		s->nothing |= s->was && since <= WAS_WORDS;
	}
	if (is_test(folded))
		s->nothing |= s->this_was && s->was == 2 && since <= WAS_WORDS - 1;
	/* "No real incident" */
	s->negated = doubt_meaning(folded) & IS_NOT || !strcmp(folded, "no") ? s->words : s->negated;
	s->real = is_real(folded) ? s->words : s->real;
	s->incident = is_incident(folded) ? s->words : s->incident;
	s->unreal |=
		s->negated && s->real > s->negated && s->incident > s->negated && s->words - s->negated <= REAL_WORDS;
	/* "This report only tests the interface" */
	s->unreal |= s->form && s->words - s->form <= 2 && word_in_list("tests testet teste testea", folded);
	s->form = doubt_meaning(folded) & IS_FORM ? s->words : s->form;
	s->own = is_own(folded) ? s->words : s->own;
	s->was_false = falsely;
	s->was_alarm = alarm;
}

static bool is_stated(const struct statement *s)
{
	bool nothing = s->nothing || (s->invented && s->is & (IS_EXAMPLE | IS_ENTRY));

	if (s->unreal)
		return !(s->is & (IS_IF | IS_MAYBE | IS_ASKED));
	return nothing && !(s->is & (IS_IF | IS_NOT | IS_MAYBE | IS_ASKED));
}

bool doubt_was_nothing(const char *begin, const char *end)
{
	struct statement s = { 0 };
	char folded[WORD_TEXT];

	for (const char *p = begin; p < end;) {
		if (word_octet(*p)) {
			const char *word = p;

			p = word_fold(p, end, folded);
			take_word(&s, folded, label_read(word, p).any & WORD_FROM);
			continue;
		}
		if (octet_is_of(*p, ",;:") && is_stated(&s))
			return true;
		if (octet_is_of(*p, ",;:"))
			s = (struct statement){ 0 };
		p++;
	}
	return *end != '?' && is_stated(&s);
}
