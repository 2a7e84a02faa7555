// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a text says of the clock that showed its times: that nothing sets it ("our clock runs free", "NTP synced: no"),
 * or that it shows twelve hours, and not which half of the day ("a 12-hour clock without AM or PM"). And that a time
 * is made of several, or is that of the arrival of a log.
 */
#include <string.h>

#include "complaints/complaint_doubt.h"

/* So many words before and behind what sets a clock its negation stands, and so many around "free" the clock. */
#define SET_BEFORE 4U
#define SET_BEHIND 2U
#define FREE_WORDS 6U

/* So many words are between "median" and "time". */
#define MEAN_WORDS 3U

/* So many words are between times and "are", and between that and "arrival". */
#define ARRIVAL_WORDS 5U

/* So many words around "12-hour" there is what has such a form. */
#define FORM_WORDS 3U

/* Words by which a sentence may say something of a clock, as lists. */
#define NOTS  "no false off none nein sin sans senza ohne sem bez zonder failed lost brak без нет"
#define UNSET "unsync* desync* desincro* ungesynchron* undisciplined несинхрон*"
#define FREE                                                                                     \
	"free freely frei freilaufend* librement libre libremente livre livremente liber* vrij " \
	"swobodn* freerun* freewheel* holdover свободн*"
#define TWELVE "12 12h 12hour twelve zwolf douze doce dodici twaalf dwunasto* zwolfstundig*"
#define HALVES                                                                                  \
	"am pm ampm vormittag* nachmittag* matin soir manana tarde mattina pomeriggio ochtend " \
	"middag rano poludni* утра вечера"
#define ARRIVAL                                                                                      \
	"arrival receipt reception eingang* empfang* ingest* collection arrivo ricezione recepcion " \
	"recepcao llegada ontvangst odbior* wplyw* processing получен* поступлен*"
#define ARRIVED "received arrived indexed written empfangen recu* recib* ricevut* ontvangen"

unsigned doubt_clock_words(const char *begin, const char *end)
{
	unsigned said = 0;
	char folded[WORD_TEXT];

	while (word_next(&begin, end, folded)) {
		unsigned is = doubt_meaning(folded), mark = doubt_mark(folded);

		said |= (is & IS_NOT ? CLOCK_UNSET : 0) | (is & IS_WRONG ? CLOCK_LATE : 0) |
			(is & IS_LARGE ? CLOCK_SHOWN : 0) | (mark & MARK_MOVED ? CLOCK_SHOWN : 0) |
			(mark & MARK_STEPPED ? CLOCK_STEPPED : 0);
		/* Nearly all words are in none. */
		if (!word_in_list(NOTS " " UNSET " " FREE " " TWELVE " " HALVES " " ARRIVAL " " ARRIVED " " DOUBT_EARLY,
				  folded))
			continue;
		if (word_in_list(NOTS " " UNSET " " FREE, folded))
			said |= CLOCK_UNSET;
		if (word_in_list(TWELVE " " HALVES, folded))
			said |= CLOCK_TWELVE;
		if (word_in_list(ARRIVAL " " ARRIVED, folded))
			said |= CLOCK_ARRIVAL;
		if (word_in_list(DOUBT_EARLY, folded))
			said |= CLOCK_LATE;
	}
	return said;
}

static bool is_not(const char *folded)
{
	return doubt_meaning(folded) & IS_NOT || word_in_list(NOTS, folded);
}

static bool is_clock(const char *folded)
{
	return doubt_meaning(folded) & IS_CLOCK || word_in_list("clock klok time times ntp chrony uhrzeit* zeit zeiten "
								"heure heures hora horas ora ore tijd czas "
								"время времени",
								folded);
}

/* What is done to a clock; of "NTP", that it is there. */
static bool is_setting(const char *folded)
{
	return word_in_list("sync* synch* sincro* zsynchron* gesynchron* abgeglichen disciplined allineat* "
			    "sincronizad* asservi* синхрон*",
			    folded);
}

static bool is_unset(const char *folded)
{
	return word_in_list(UNSET, folded);
}

static bool is_use(const char *folded)
{
	return word_in_list("configured used use uses available running konfiguriert eingerichtet configure "
			    "configurado configurato ingesteld skonfigurowan* настроен*",
			    folded);
}

static bool is_free(const char *folded)
{
	return word_in_list(FREE, folded);
}

/* Where the words of a sentence stand that say so, from 1; 0: none does. */
struct settings {
	unsigned words, clock, set, negated, ntp, free;
	bool unset, machine;
};

static bool near(unsigned one, unsigned two, unsigned most)
{
	return one && two && (one > two ? one - two : two - one) <= most;
}

/* So many words behind an hour "UTC" makes it one of a zone. */
#define ZONE_WORDS 4U

/* What shows the times of a text: 2 if nothing else has that name, by its marks and the word before it. */
static unsigned shows_times(unsigned mark, const char *before)
{
	if (mark & MARK_SHOWS)
		return 2;
	if (mark & MARK_TIMES && word_in_list("the all these our die alle diese unsere les ces nos las estas nuestras "
					      "gli i nostri de onze",
					      before))
		return 2;
	return mark & (MARK_LOGS | MARK_TIMES) ? 1 : 0;
}

bool doubt_shown_times(const char *begin, const char *end)
{
	unsigned words = 0, shows = 0, large = 0;
	bool wrong = false, moved = false;
	char folded[WORD_TEXT], before[WORD_TEXT] = "";

	while (word_next(&begin, end, folded)) {
		unsigned mark = doubt_mark(folded), is = doubt_meaning(folded), showing = shows_times(mark, before);

		if (is & IS_NOT)
			return false;
		words++;
		shows = showing > shows ? showing : shows;
		wrong |= (is & IS_WRONG) != 0;
		moved |= mark & MARK_MOVED;
		if (shows && is & IS_LARGE && strcmp(folded, "min") != 0 && !showing && !word_in_list("12 24", before))
			large = words;
		if (large && words - large <= ZONE_WORDS &&
		    word_in_list("utc gmt zone zona zeitzone fuso fuseau", folded))
			large = 0;
		memcpy(before, folded, sizeof(before));
		/* What is behind a key is no prose. */
		if (begin < end && octet_is_of(*begin, ":=|{}\"")) {
			shows = large = 0;
			moved = false;
		}
	}
	return (large && (shows > 1 || (shows && wrong))) || (moved && shows > 1);
}

bool doubt_unset_clock(const char *begin, const char *end)
{
	struct settings s = { 0 };
	unsigned set_at = 0;
	bool reference = false;
	char folded[WORD_TEXT], before[WORD_TEXT] = "";
	const char *word;

	while ((word = word_next(&begin, end, folded))) {
		bool source = word_in_list("time reference", before) && !strcmp(folded, "source") && word[-1] == ' ';

		s.words++;
		/* "Free of errors" */
		if (s.free && s.free + 1 == s.words && word_in_list("of von de di van od da", folded))
			s.free = 0;
		s.clock = is_clock(folded) ? s.words : s.clock;
		s.machine |= (doubt_mark(folded) & MARK_MACHINE) != 0;
		s.ntp = word_in_list("ntp chrony", folded) ? s.words : s.ntp;
		s.free = is_free(folded) ? s.words : s.free;
		s.unset |= is_unset(folded);
		if (is_setting(folded) || source || !strcmp(folded, "zeitquelle") ||
		    (is_use(folded) && near(s.ntp, s.words, SET_BEFORE)))
			s.set = s.words;
		reference |= !strcmp(folded, "reference");
		/* "Was never set against a reference" */
		if (reference && set_at && s.negated && s.negated < set_at && set_at - s.negated <= SET_BEFORE)
			return true;
		set_at = !strcmp(folded, "set") ? s.words : set_at;
		s.negated = is_not(folded) ? s.words : s.negated;
		if ((s.clock || (s.machine && is_setting(folded))) && s.set && s.negated &&
		    (s.negated > s.set ? s.negated - s.set <= SET_BEHIND : s.set - s.negated <= SET_BEFORE))
			return true;
		memcpy(before, folded, sizeof(before));
	}
	return (s.clock && s.unset) || near(s.free, s.clock, FREE_WORDS);
}

/* "12-hour", "12 Stunden", in one word or two: whether a word is the number, or both. */
static bool is_twelve(const char *folded)
{
	return word_in_list(TWELVE, folded);
}

static bool is_hours(const char *folded)
{
	return word_in_list("hour hours h stunden* heures horas ore uurs* uren godzin* часов*", folded);
}

/* What has a form: a clock, or how it is shown. */
static bool is_shown(const char *folded)
{
	return doubt_meaning(folded) & IS_CLOCK ||
	       word_in_list(
		       "format* formato formaat notation display* style anzeige zahlung schreibweise affich* montre "
		       "clock klok notatie weergave visualizza* mostra* muestra* zapis* wyswietl* формат* "
		       "показыва*",
		       folded);
}

/* "AM" and "PM", and words for both halves of the day. */
static bool is_half_of_day(const char *folded)
{
	return word_in_list(HALVES, folded);
}

bool doubt_twelve_hours(const char *begin, const char *end)
{
	unsigned words = 0, twelve = 0, hours = 0, shown = 0, denied = 0, half = 0, halves = 0, negated = 0;
	unsigned one = 0;
	bool any_hours = false;
	char folded[WORD_TEXT];

	while (word_next(&begin, end, folded)) {
		words++;
		negated = is_not(folded) ? words : negated;
		shown = is_shown(folded) ? words : shown;
		if (is_half_of_day(folded)) {
			halves += near(half, words, FORM_WORDS);
			denied = half ? denied : negated;
			half = words;
		}
		one = !strcmp(folded, "1") ? words : one;
		/* "Hours go from 1 to 12" */
		if (any_hours && !strcmp(folded, "12") && one && words - one == 2)
			return true;
		any_hours |= is_hours(folded);
		if (is_twelve(folded) && !near(negated, words, FORM_WORDS - 1))
			twelve = words;
		if (is_hours(folded) && near(twelve, words, 1))
			hours = words;
		if (near(hours, shown, FORM_WORDS) || (!strcmp(folded, "12h") && near(shown, words, FORM_WORDS)))
			return true;
	}
	return halves && denied && near(denied, half, FORM_WORDS + FORM_WORDS);
}

bool doubt_mean_time(const char *begin, const char *end)
{
	unsigned words = 0, mean = 0, time = 0;
	char folded[WORD_TEXT];
	const char *word;

	while ((word = word_next(&begin, end, folded))) {
		words++;
		mean = doubt_mark(folded) & MARK_MEAN ? words : mean;
		time = label_read(word, begin).any & WORD_TIME ? words : time;
		if (near(mean, time, MEAN_WORDS))
			return true;
		if (begin < end && octet_is_of(*begin, ",;:|\n\""))
			mean = time = 0;
	}
	return false;
}

bool doubt_arrival(const char *begin, const char *end)
{
	unsigned words = 0, time = 0, is = 0, negated = 0;
	char folded[WORD_TEXT];
	bool when = false;

	while (word_next(&begin, end, folded)) {
		words++;
		if (word_in_list(
			    "time times timestamp* date dates zeit zeiten uhrzeit* zeitstempel heure heures hora horas "
			    "ora ore orari tijd tijden czas czasy время времена",
			    folded))
			time = is ? time : words;
		if (time &&
		    word_in_list("is are show shows sind ist zeigen est sont indiquent son es sono e zijn sa jest это",
				 folded))
			is = words;
		when |= is && is - time == 1 &&
			word_in_list("when which wann wenn dem quand cuando quando toen kiedy когда", folded);
		negated = doubt_meaning(folded) & IS_NOT ? words : negated;
		if (is && is - time <= ARRIVAL_WORDS && words - is <= ARRIVAL_WORDS && (!negated || negated < is) &&
		    (word_in_list(ARRIVAL, folded) || (when && word_in_list(ARRIVED, folded))))
			return true;
		if (begin < end && octet_is_of(*begin, ":|{}\"")) {
			time = is = negated = 0;
			when = false;
		}
	}
	return false;
}

bool doubt_no_summer(const char *begin, const char *end)
{
	return words_in_list("daylight dst sommerzeit summer ete verano legale zomertijd letni* летн*", begin, end) &&
	       doubt_words(begin, end).any & IS_NOT &&
	       words_in_list("follow* observe* switch* change* adjust* use* apply set folgt umgestellt beachtet kennt "
			     "umstellt suit passe applique utilise usa sigue aplica segue volgt gebruikt uwzglednia "
			     "переходит",
			     begin, end);
}
