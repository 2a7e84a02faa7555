// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sentences that are about all of a text: that a clock is wrong, and what was wrong. A correction names values, all of
 * which a question has to have; one that names none says that something is wrong, and keeps each from being definite.
 */
#include <limits.h>
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_doubt.h"
#include "complaints/complaint_sentence.h"

/* A smaller number may be a year. */
#define LAST_YEAR 2099U

/* So far behind what is wrong, in words, and so far before it, "wrong" may stand. */
#define WRONG_BEHIND 4U
#define WRONG_BEFORE 2U

/* And so many between "sorry" and a day that is meant: "Sorry, it was on the 5th of May 2026". */
#define SORRY_WORDS 6U

/* The words that a sentence is looked at for. */
#define ANY_SAID (IS_CLOCK | IS_WRONG | IS_SORRY | IS_CORRECT | IS_FALSE | IS_IGNORE | IS_ACT | IS_EXAMPLE | IS_ALARM)

/* Adds what a correction says, unless it says that it does not hold. */
static void say(struct doubts *d, const struct correction *c, const char *begin, const char *at)
{
	if (doubt_before(begin, at, IS_NOT))
		return;
	if (d->n < CORRECTED)
		d->said[d->n] = *c;
	d->n += d->n <= CORRECTED;
}

/* A port is no year, no part of a date and of no longer word. Its end. */
static const char *take_port(struct doubts *d, const char *begin, const char *at, const char *end)
{
	struct correction c = { .kind = ITEM_PORT };
	const char *stop = at;

	for (; stop < end && digit_octet(*stop); stop++)
		c.port = c.port < 100000 ? c.port * 10 + (unsigned)(*stop - '0') : c.port;
	if (c.port > LAST_YEAR && c.port <= UINT16_MAX &&
	    (at == begin || !(word_octet(at[-1]) || octet_is_of(at[-1], ".-/#"))) &&
	    (stop == end || !(word_octet(*stop) || *stop == '-')))
		say(d, &c, begin, at);
	return stop;
}

/* The value of a correction at a place: where it ends. days: whether a day is one. */
static const char *take_value(struct doubts *d, const char *begin, const char *at, const char *end, bool days)
{
	const struct complaint_reader *reader = d->x->reader;
	struct correction c = { .kind = ITEM_ADDR };
	bool word = !digit_octet(*at);
	const char *stop = word ? NULL : addr_at(at, end, &c.addr);

	if (stop) {
		if (reader->ours && reader->ours(reader->arg, c.addr))
			say(d, &c, begin, at);
		return stop;
	}
	c.kind = ITEM_TIME;
	if ((stop = stamp_read(at, end, &c.day)) && c.day.date && !c.day.exact) {
		if (!days)
			return stop;
		c.hour = (struct hour){ { (unsigned)c.day.hour, (unsigned)c.day.minute, (unsigned)c.day.second },
					c.day.seconds };
		say(d, &c, begin, at);
		return stop;
	}
	c.day = (struct stamp){ 0 };
	if (!word && (stop = doubt_hour(at, end, &c.hour))) {
		say(d, &c, begin, at);
		return stop;
	}
	for (stop = at; word && stop < end && word_octet(*stop) && !digit_octet(*stop);)
		stop++;
	return word ? stop : take_port(d, begin, at, end);
}

/* The values of a correction; days: how many words may be before one. Returns whether there are any. */
static bool take_values(struct doubts *d, const char *begin, const char *end, unsigned days)
{
	unsigned before = d->n, words = 0;

	for (const char *p = begin; p < end && d->n <= CORRECTED; words++) {
		while (p < end && !word_octet(*p))
			p++;
		if (p < end)
			p = take_value(d, begin, p, end, words < days);
	}
	return d->n > before;
}

static bool same_hour(const struct stamp *t, const struct hour *h)
{
	/* 2 may be 14 in the afternoon. */
	return h->number[0] % 12 == (unsigned)t->hour % 12 && h->number[1] == (unsigned)t->minute &&
	       (!h->seconds || !t->seconds || h->number[2] == (unsigned)t->second);
}

static bool same_day(const struct stamp *t, const struct stamp *day)
{
	bool exchanged = day->either && t->month == day->day && t->day == day->month;

	return (!day->year || !t->year || day->year == t->year) &&
	       ((day->month == t->month && day->day == t->day) || exchanged ||
		(t->either && day->month == t->day && day->day == t->month));
}

static bool follows(const struct reading *x, const struct item *a, const struct correction *c)
{
	const struct stamp *t = &x->stamps[x->items[a->time_item].stamp];

	if (c->kind == ITEM_ADDR)
		return c->addr == a->addr;
	if (c->kind == ITEM_PORT)
		return c->port == x->items[a->port_item].port;
	if (t->exact || (c->day.date && !same_day(t, &c->day)))
		return false;
	return (c->day.date && !c->day.clock) || same_hour(t, &c->hour);
}

/* Whether a question is not what the corrections say. */
static bool is_corrected(const struct doubts *d, const struct item *a)
{
	for (unsigned i = 0; i < d->n && i < CORRECTED; i++)
		if (!follows(d->x, a, &d->said[i]))
			return true;
	return d->n > CORRECTED;
}

/* Whether a sentence says "wrong" of a time or a port: "the date was wrong", "a wrong port was given". */
static bool names_wrong(const char *at, const char *end)
{
	unsigned n = 0, wrong = 0, named = 0, label;
	char folded[WORD_TEXT];
	bool is = false; /* the word before: "is off", not "turned off" */
	const char *word;

	while ((word = word_next(&at, end, folded))) {
		n++;
		label = label_read(word, at).any;
		if (label & (WORD_TIME | WORD_PORT) && !(label & (WORD_EVENT | WORD_LATE)) && at - word > 2)
			named = n;
		if (doubt_meaning(folded) & IS_FALSE && (strcmp(folded, "off") != 0 || is))
			wrong = n;
		is = word_in_list("is are was were be", folded);
		if (wrong && named && (wrong > named ? wrong - named <= WRONG_BEHIND : named - wrong <= WRONG_BEFORE))
			return true;
	}
	return false;
}

static const char modals[] =
	"should must sollte muss musste devrait doit deberia debe dovrebbe deve powinno powinien moet moest";

/*
 * Whether "should" and the like, which asks for something else of most sentences, says what a value is: "it should read
 * 5100". ret: where the value is.
 */
static bool says_value(const char *at, const char *end, const char **ret)
{
	const char *p = at;
	char folded[WORD_TEXT];
	bool is = false;

	for (unsigned i = 0; i < 6; i++) {
		while (p < end && octet_is_of(*p, " \n:\"'"))
			p++;
		if (p >= end || !word_octet(*p))
			return false;
		if (digit_octet(*p))
			return *ret = p, is;
		p = word_fold(p, end, folded);
		if (word_in_list("read be been lauten heissen sein etre lire ser leerse leer essere leggere byc "
				 "brzmiec zijn "
				 "luiden",
				 folded))
			is = true;
		else if (!word_in_list("have port number the der die el la le il o port porta puerto poort portu to",
				       folded))
			return false;
	}
	return false;
}

static bool is_modal(const char *folded)
{
	return word_in_list(modals, folded);
}

/* A sentence that may say what was wrong; at: the word that says so. */
static void take_correction(struct doubts *d, const char *begin, const char *end, const char *at, unsigned is)
{
	const char *all = d->x->text + d->x->size, *own = end;
	bool about = is & IS_CORRECT ||
		     (is & IS_FALSE && !(is & IS_SECRET) && label_read(begin, end).any & (WORD_TIME | WORD_PORT));

	if (!about) {
		if (is & IS_SORRY)
			take_values(d, at, end, is & IS_LETTER ? 0 : SORRY_WORDS);
		return;
	}
	/* The next sentence, too: "The port was wrong. It was 5100." */
	for (end += end < all && *end != '\n';
	     end < all && end - begin < 2L * SENTENCE && !sentence_ends(begin, end, all);)
		end++;
	if (!take_values(d, begin, end, is & IS_LETTER ? 0 : UINT_MAX) && is & IS_FALSE && !(is & (IS_NOT | IS_IF)) &&
	    (!(is & IS_SMALL) || is & IS_LARGE) && names_wrong(begin, own))
		d->wrong = begin;
}

/* Whether a sentence speaks of how clocks are set: "is not synchronised", "has no NTP". */
static bool names_setting(const char *at, const char *end)
{
	return words_in_list("ntp sync* synch* sincro* zsynchron* unsync* gesynchron* set gestellt reglee ajusta* "
			     "regolat* adjusted changed umgestellt changee cambiad* cambiat* verzet",
			     at, end);
}

/* Whether a sentence says of a time that it is late, slow, off: "the time I gave is an hour late". */
static bool names_late(const char *at, const char *end)
{
	char folded[WORD_TEXT];
	unsigned n = 0, named = 0, is = 0;
	const char *word;
	bool too = false;

	while ((word = word_next(&at, end, folded))) {
		n++;
		if (word_in_list("time times timestamp* date hour uhrzeit zeit zeiten heure hora ora", folded))
			named = is ? named : n;
		else if (word_in_list("is are was were ist war sind waren est etait es era e", folded) && at - word < 6)
			is = named ? n : 0;
		else if (is && n - is <= 4 && is - named <= 4 && doubt_meaning(folded) & IS_WRONG)
			return true;
		if (is && n - is <= 5 && too && word_in_list(DOUBT_EARLY, folded))
			return true;
		too = word_in_list("too zu trop demasiado troppo te za muito", folded);
	}
	return false;
}

/* at: the word that a sentence is looked at for. */
static void take_sentence(struct doubts *d, const char *begin, const char *end, const char *at)
{
	unsigned is = doubt_words(begin, end).any;
	/* "14:05 Uhr" is no clock. */
	bool clock = is & IS_CLOCK && !(at - begin > 1 && (digit_octet(at[-1]) || digit_octet(at[-2])));

	if (clock && is & IS_WRONG && !(is & IS_NOT) && (!(is & IS_SMALL) || is & IS_LARGE))
		d->clock = begin;
	if (clock &&
	    ((is & IS_NOT && names_setting(begin, end)) || doubt_unset_clock(begin, end) || doubt_stepped(begin, end)))
		d->clock = begin;
	if (clock && doubt_twelve_hours(begin, end))
		d->twelve = begin;
	if (is & IS_WRONG && !(is & (IS_NOT | IS_IF)) && (!(is & IS_SMALL) || is & IS_LARGE) && names_late(begin, end))
		d->clock = begin;
	if (is & (IS_IGNORE | IS_ACT | IS_EXAMPLE | IS_ALARM))
		doubt_take_back(d, begin, end, at, is);
	take_correction(d, begin, end, at, is);
}

/* A bit for each two octets that a word begins with which a sentence is looked at for. */
struct filter {
	uint8_t bits[(1U << 16) / 8];
};

static unsigned letter(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
}

/* The first two octets of the word at a place, folded; those that are not of ASCII are not told apart. */
static unsigned begin_of(const char *at, const char *end)
{
	bool alone =
		at + 1 == end || !word_octet(at[1]) || (at[1] >= 'A' && at[1] <= 'Z' && !(*at >= 'A' && *at <= 'Z'));
	unsigned first = letter(*at), second = alone ? 0 : letter(at[1]);

	return first >= 0x80 || second >= 0x80 ? 0 : first << 8 | second;
}

static void add_begin(struct filter *f, unsigned begin)
{
	f->bits[begin / 8] |= (uint8_t)(1U << begin % 8);
}

static void add_word(void *filter, const char *text)
{
	add_begin(filter, begin_of(text, text + strlen(text)));
}

static void make_filter(struct filter *f)
{
	*f = (struct filter){ .bits = { 1 } };
	for (const char *p = modals; p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
		add_word(f, p);
	doubt_each_mark(add_word, f);
	for (size_t i = 0; i < DOUBT_WORDS; i++) {
		if (doubt_table[i].is & ANY_SAID)
			add_word(f, doubt_table[i].text);
	}
}

static bool passes(const struct filter *f, unsigned begin)
{
	return f->bits[begin / 8] & 1U << begin % 8;
}

/* Whether nothing that comes can make a question definite. */
static bool is_settled(const struct doubts *d)
{
	return d->clock || d->wrong || d->rewritten || d->n > CORRECTED || d->n_taken > WITHDRAWN;
}

/* The sign "+/-", or the one of a letter, at a place: its end, or NULL. */
static const char *sign_at(const char *at, const char *end)
{
	return end - at > 3 && !memcmp(at, "+/-", 3)	    ? at + 3
	       : end - at > 2 && !memcmp(at, "\302\261", 2) ? at + 2
							    : NULL;
}

/* The sentence of a word, which begins no further up than another ended. */
static void find_sentence(const struct doubts *d, const char *word, const char *seen, const char **begin,
			  const char **stop)
{
	const char *text = d->x->text, *end = text + d->x->size, *p = word;

	while (p > seen && word - p < SENTENCE && !sentence_ends(text, p - 1, end))
		p--;
	*begin = p;
	for (p = word; p < end && p - word < SENTENCE && !sentence_ends(text, p, end);)
		p++;
	*stop = p;
}

/* Whether "source" at a place is that of a time, "time source", and not what most complaints speak of. */
static bool is_of_time(const char *text, const char *word)
{
	const char *p = word, *end;
	char folded[WORD_TEXT];

	if (p == text || p[-1] != ' ')
		return false;
	for (end = --p; p > text && word - p < 16 && word_octet(p[-1]);)
		p--;
	word_fold(p, end, folded);
	return word_in_list("time reference", folded);
}

/* doubt_clock_words() of a sentence, which is often asked for twice. */
static unsigned clock_words(struct doubts *d, const char *begin, const char *end)
{
	if (d->said_begin != begin || d->said_end != end) {
		d->said_begin = begin;
		d->said_end = end;
		d->clock_words = doubt_clock_words(begin, end);
	}
	return d->clock_words;
}

/* What a sentence says of clocks; most have no word that any of the looks at it needs. */
static void take_clocks(struct doubts *d, const char *begin, const char *end)
{
	unsigned said = clock_words(d, begin, end);

	if ((said & CLOCK_UNSET && doubt_unset_clock(begin, end)) ||
	    (said & CLOCK_ARRIVAL && doubt_arrival(begin, end)) ||
	    (said & CLOCK_STEPPED && doubt_stepped(begin, end)) || (said & CLOCK_LATE && names_late(begin, end)))
		d->clock = begin;
	if (said & CLOCK_UNSET && doubt_no_summer(begin, end))
		d->winter = begin;
	if (said & CLOCK_TWELVE && doubt_twelve_hours(begin, end))
		d->twelve = begin;
}

/* A word that says what a value is, or what an error; at: its end. Returns whether its sentence is looked at, unless it
 * was seen. */
static bool take_word(struct doubts *d, const char *word, const char *at, const char *folded, bool seen)
{
	const char *text = d->x->text, *end = text + d->x->size, *value, *begin;
	unsigned mark = doubt_mark(folded);

	if (!seen && is_modal(folded) && says_value(at, end, &value))
		take_value(d, at, value, end, true);
	if ((mark & MARK_ERROR && doubt_margin(text, word, at, end)) || (mark & MARK_SHIFT && doubt_shift(at, end)))
		d->clock = word;
	if (word >= d->ports && mark & (MARK_PORT | MARK_SWAP)) {
		find_sentence(d, word, d->ports, &begin, &d->ports);
		if (doubt_rewritten(begin, d->ports))
			d->rewritten = begin;
	}
	if (word >= d->clocks && mark & MARK_CLOCK && (strcmp(folded, "source") != 0 || is_of_time(text, word))) {
		find_sentence(d, word, d->clocks, &begin, &d->clocks);
		take_clocks(d, begin, d->clocks);
	}
	if (word >= d->means && mark & MARK_MEAN) {
		find_sentence(d, word, d->means, &begin, &d->means);
		if (doubt_mean_time(begin, d->means))
			doubt_take(d, begin, d->means, DOUBT_ABOUT);
	}
	if (word >= d->rounds && mark & (MARK_ROUND | MARK_SECOND)) {
		find_sentence(d, word, d->rounds, &begin, &d->rounds);
		if (doubt_granularity(begin, d->rounds))
			doubt_take(d, text, end, DOUBT_ABOUT);
	}
	if (word >= d->shown && mark & (MARK_SHOWS | MARK_TIMES | MARK_LOGS)) {
		find_sentence(d, word, d->shown, &begin, &d->shown);
		if (clock_words(d, begin, d->shown) & CLOCK_SHOWN && doubt_shown_times(begin, d->shown))
			d->clock = begin;
	}
	if (mark & MARK_OTHER)
		doubt_note_other(d, word, at);
	return !seen && doubt_meaning(folded) & ANY_SAID;
}

void doubt_survey(struct doubts *d)
{
	const char *text = d->x->text, *end = text + d->x->size, *seen = text;
	char folded[WORD_TEXT];
	struct filter f;

	make_filter(&f);
	d->ports = d->clocks = d->means = d->rounds = d->shown = text;
	for (const char *p = text; p < end && !is_settled(d);) {
		const char *word = p, *begin, *stop = octet_is_of(*p, "+\302") ? sign_at(p, end) : NULL;

		if (stop && doubt_margin_sign(text, p, stop, end))
			d->clock = p;
		if (stop || !word_octet(*p) || digit_octet(*p)) {
			p = stop ? stop : p + 1;
			continue;
		}
		if (!passes(&f, begin_of(p, end))) {
			p = word_skip(p, end);
			continue;
		}
		p = word_fold(p, end, folded);
		if (!take_word(d, word, p, folded, word < seen))
			continue;
		find_sentence(d, word, seen, &begin, &stop);
		take_sentence(d, begin, stop, word);
		seen = stop;
	}
}

uint8_t doubt_said(const struct doubts *d, const struct item *a)
{
	const char *at = d->x->text + a->at;

	const struct claim *zone = &d->x->stamps[d->x->items[a->time_item].stamp].zone;

	if (d->clock || (d->winter && (*zone->name || zone->seasons & ~(1U << SEASON_ANY))))
		return DOUBT_CLOCK;
	if (d->rewritten)
		return DOUBT_REWRITTEN;
	if (d->wrong || is_corrected(d, a))
		return DOUBT_CORRECTED;
	if (doubt_of_other(d, a))
		return DOUBT_MAYBE;
	for (unsigned i = 0; i < d->n_taken && i < WITHDRAWN; i++)
		if (at >= d->taken[i].begin && at < d->taken[i].end)
			return d->taken[i].doubt;
	return d->n_taken > WITHDRAWN ? DOUBT_WITHDRAWN : DOUBT_NONE;
}
