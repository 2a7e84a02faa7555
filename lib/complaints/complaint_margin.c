// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a text says of the error of all its times, apart from each: "Clock accuracy: +/- 90 s", "NTP offset: +37 s". It
 * is a number with a unit of time behind a sign or a word for an error, and is none of few seconds.
 */
#include <string.h>

#include "base/base.h"
#include "complaints/complaint_doubt.h"

/* So far behind what names an error its number stands, and so far before it what tells that it is a zone's. */
#define FIGURE_TEXT 60
#define BEFORE_TEXT 24

/* So many words behind "add" there is "hours", and so many behind it what they are added to. */
#define SHIFT_NEAR  3U
#define SHIFT_WORDS 9U

/* A clock may be off by so many seconds. */
#define SECONDS_OFF 5U

/* Words for an error, and for a port or an address, in the order of their octets. */
static const struct word marks[] = {
	{ "abweichung", MARK_ERROR },
	{ "abzieh*", MARK_SHIFT },
	{ "abzuziehen", MARK_SHIFT },
	{ "accuracy", MARK_ERROR },
	{ "add", MARK_SHIFT },
	{ "addier*", MARK_SHIFT },
	{ "address*", MARK_PORT },
	{ "adres*", MARK_PORT },
	{ "adress*", MARK_PORT },
	{ "aftrekken", MARK_SHIFT },
	{ "afwijking", MARK_ERROR },
	{ "aggiung*", MARK_SHIFT },
	{ "ajouter", MARK_SHIFT },
	{ "ajoutez", MARK_SHIFT },
	{ "allineat*", MARK_CLOCK },
	{ "altra", MARK_OTHER },
	{ "altro", MARK_OTHER },
	{ "ander", MARK_OTHER },
	{ "andere*", MARK_OTHER },
	{ "andersom", MARK_SWAP },
	{ "andra", MARK_OTHER },
	{ "another", MARK_OTHER },
	{ "arrival", MARK_CLOCK },
	{ "arrived", MARK_CLOCK },
	{ "arrivo", MARK_CLOCK },
	{ "asservi*", MARK_CLOCK },
	{ "autre", MARK_OTHER },
	{ "autres", MARK_OTHER },
	{ "average", MARK_MEAN },
	{ "avg", MARK_MEAN },
	{ "avvikelse", MARK_ERROR },
	{ "chrony", MARK_CLOCK },
	{ "collection", MARK_CLOCK },
	{ "daylight", MARK_CLOCK },
	{ "decalage", MARK_ERROR },
	{ "deduct", MARK_SHIFT },
	{ "derive", MARK_ERROR },
	{ "desincro*", MARK_CLOCK },
	{ "desviacion", MARK_ERROR },
	{ "desync*", MARK_CLOCK },
	{ "deviation", MARK_ERROR },
	{ "different", MARK_OTHER },
	{ "direccion*", MARK_PORT },
	{ "disciplined", MARK_CLOCK },
	{ "dodac", MARK_SHIFT },
	{ "dokladnosc", MARK_ERROR },
	{ "drift", MARK_ERROR },
	{ "dst", MARK_CLOCK },
	{ "durchschnitt*", MARK_MEAN },
	{ "early", MARK_CLOCK },
	{ "ecart", MARK_ERROR },
	{ "eingang*", MARK_CLOCK },
	{ "empfang*", MARK_CLOCK },
	{ "empfangen", MARK_CLOCK },
	{ "envers", MARK_SWAP },
	{ "ete", MARK_CLOCK },
	{ "exactitud", MARK_ERROR },
	{ "exactitude", MARK_ERROR },
	{ "exchanged", MARK_SWAP },
	{ "freerun*", MARK_CLOCK },
	{ "fruh", MARK_CLOCK },
	{ "ganggenauigkeit", MARK_ERROR },
	{ "gemiddeld*", MARK_MEAN },
	{ "genauigkeit", MARK_ERROR },
	{ "gesynchron*", MARK_CLOCK },
	{ "godzin*", MARK_CLOCK },
	{ "h", MARK_CLOCK },
	{ "herum", MARK_SWAP },
	{ "heures", MARK_CLOCK },
	{ "hinzurechn*", MARK_SHIFT },
	{ "hinzuzurechn*", MARK_SHIFT },
	{ "holdover", MARK_CLOCK },
	{ "horas", MARK_CLOCK },
	{ "hour", MARK_CLOCK },
	{ "hours", MARK_CLOCK },
	{ "incertezza", MARK_ERROR },
	{ "incertitude", MARK_ERROR },
	{ "indexed", MARK_CLOCK },
	{ "indirizz*", MARK_PORT },
	{ "ingest*", MARK_CLOCK },
	{ "inna", MARK_OTHER },
	{ "innego", MARK_OTHER },
	{ "innej", MARK_OTHER },
	{ "inny", MARK_OTHER },
	{ "intercambi*", MARK_SWAP },
	{ "interchanged", MARK_SWAP },
	{ "invers*", MARK_SWAP },
	{ "inverted", MARK_SWAP },
	{ "inverti*", MARK_SWAP },
	{ "ip", MARK_PORT },
	{ "ips", MARK_PORT },
	{ "klok", MARK_CLOCK },
	{ "legale", MARK_CLOCK },
	{ "letni*", MARK_CLOCK },
	{ "llegada", MARK_CLOCK },
	{ "mean", MARK_MEAN },
	{ "medeltid", MARK_MEAN },
	{ "media", MARK_MEAN },
	{ "mediaan", MARK_MEAN },
	{ "median*", MARK_MEAN },
	{ "mediana", MARK_MEAN },
	{ "medio", MARK_MEAN },
	{ "middag", MARK_CLOCK },
	{ "midden", MARK_MEAN },
	{ "middle", MARK_MEAN },
	{ "midpoint", MARK_MEAN },
	{ "milieu", MARK_MEAN },
	{ "mitad", MARK_MEAN },
	{ "mitte", MARK_MEAN },
	{ "mittel", MARK_MEAN },
	{ "mittelwert*", MARK_MEAN },
	{ "mittlere*", MARK_MEAN },
	{ "moyen*", MARK_MEAN },
	{ "nachmittag*", MARK_CLOCK },
	{ "nauwkeurigheid", MARK_ERROR },
	{ "noggrannhet", MARK_ERROR },
	{ "ntp", MARK_CLOCK },
	{ "odbior*", MARK_CLOCK },
	{ "odchylenie", MARK_ERROR },
	{ "odjac", MARK_SHIFT },
	{ "odwrotnie", MARK_SWAP },
	{ "offset", MARK_ERROR },
	{ "omgewisseld", MARK_SWAP },
	{ "ontvangen", MARK_CLOCK },
	{ "ontvangst", MARK_CLOCK },
	{ "optellen", MARK_SHIFT },
	{ "ore", MARK_CLOCK },
	{ "other", MARK_OTHER },
	{ "others", MARK_OTHER },
	{ "otra", MARK_OTHER },
	{ "otras", MARK_OTHER },
	{ "otro", MARK_OTHER },
	{ "otros", MARK_OTHER },
	{ "outra", MARK_OTHER },
	{ "outro", MARK_OTHER },
	{ "pm", MARK_CLOCK },
	{ "poludni*", MARK_CLOCK },
	{ "pomeriggio", MARK_CLOCK },
	{ "poort", MARK_PORT },
	{ "poorten", MARK_PORT },
	{ "port", MARK_PORT },
	{ "porta", MARK_PORT },
	{ "porte", MARK_PORT },
	{ "ports", MARK_PORT },
	{ "precisao", MARK_ERROR },
	{ "precision", MARK_ERROR },
	{ "precisione", MARK_ERROR },
	{ "processing", MARK_CLOCK },
	{ "promedio", MARK_MEAN },
	{ "puerto", MARK_PORT },
	{ "puertos", MARK_PORT },
	{ "quellport*", MARK_PORT },
	{ "receipt", MARK_CLOCK },
	{ "received", MARK_CLOCK },
	{ "recepcao", MARK_CLOCK },
	{ "recepcion", MARK_CLOCK },
	{ "reception", MARK_CLOCK },
	{ "recib*", MARK_CLOCK },
	{ "recu*", MARK_CLOCK },
	{ "reference", MARK_CLOCK },
	{ "retranch*", MARK_SHIFT },
	{ "reversed", MARK_SWAP },
	{ "reves", MARK_SWAP },
	{ "ricevut*", MARK_CLOCK },
	{ "ricezione", MARK_CLOCK },
	{ "rovescio", MARK_SWAP },
	{ "scambiat*", MARK_SWAP },
	{ "scarto", MARK_ERROR },
	{ "sincro*", MARK_CLOCK },
	{ "skew", MARK_ERROR },
	{ "soir", MARK_CLOCK },
	{ "sommerzeit", MARK_CLOCK },
	{ "sottra*", MARK_SHIFT },
	{ "source", MARK_CLOCK },
	{ "sourceport*", MARK_PORT },
	{ "soustra*", MARK_SHIFT },
	{ "sredni*", MARK_MEAN },
	{ "srednia", MARK_MEAN },
	{ "srodek", MARK_MEAN },
	{ "stunden*", MARK_CLOCK },
	{ "subtract", MARK_SHIFT },
	{ "subtrahier*", MARK_SHIFT },
	{ "subtrair", MARK_SHIFT },
	{ "summer", MARK_CLOCK },
	{ "swap*", MARK_SWAP },
	{ "sync*", MARK_CLOCK },
	{ "tarde", MARK_CLOCK },
	{ "temprano", MARK_CLOCK },
	{ "tolerance", MARK_ERROR },
	{ "tolerancia", MARK_ERROR },
	{ "tolerancja", MARK_ERROR },
	{ "toleranz", MARK_ERROR },
	{ "tolleranza", MARK_ERROR },
	{ "trocad*", MARK_SWAP },
	{ "trocou", MARK_SWAP },
	{ "uncertainty", MARK_ERROR },
	{ "undisciplined", MARK_CLOCK },
	{ "ungenauigkeit", MARK_ERROR },
	{ "ungesynchron*", MARK_CLOCK },
	{ "unsync*", MARK_CLOCK },
	{ "uren", MARK_CLOCK },
	{ "uurs", MARK_CLOCK },
	{ "verano", MARK_CLOCK },
	{ "vertausch*", MARK_SWAP },
	{ "verwisseld", MARK_SWAP },
	{ "vrij", MARK_CLOCK },
	{ "way", MARK_SWAP },
	{ "wplyw*", MARK_CLOCK },
	{ "written", MARK_CLOCK },
	{ "zamienion*", MARK_SWAP },
	{ "zeitquelle", MARK_CLOCK },
	{ "zomertijd", MARK_CLOCK },
	{ "zsynchron*", MARK_CLOCK },
	{ "вечера", MARK_CLOCK },
	{ "вычесть", MARK_SHIFT },
	{ "друго*", MARK_OTHER },
	{ "летн*", MARK_CLOCK },
	{ "медиан*", MARK_MEAN },
	{ "наоборот", MARK_SWAP },
	{ "несинхрон*", MARK_CLOCK },
	{ "отклонен*", MARK_ERROR },
	{ "перепутан*", MARK_SWAP },
	{ "погрешност*", MARK_ERROR },
	{ "получен*", MARK_CLOCK },
	{ "порт*", MARK_PORT },
	{ "поступлен*", MARK_CLOCK },
	{ "прибав*", MARK_SHIFT },
	{ "середин*", MARK_MEAN },
	{ "синхрон*", MARK_CLOCK },
	{ "средн*", MARK_MEAN },
	{ "точност*", MARK_ERROR },
	{ "часов*", MARK_CLOCK },
};
static struct word_table known_marks = { .words = marks, .n = ARRAY_SIZE(marks) };

unsigned doubt_mark(const char *folded)
{
	return word_find(&known_marks, folded);
}

void doubt_each_mark(void (*take)(void *arg, const char *text), void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		take(arg, marks[i].text);
}

/* Whether a number with a unit of time is more than a clock may be off by. before: the word before, or "". */
static bool is_large(const char *at, const char *end, const char *before)
{
	unsigned whole = 0, any = 0, is;
	char folded[WORD_TEXT];
	const char *p = at;

	for (; p < end && digit_octet(*p); p++)
		whole = whole < 100000 ? whole * 10 + (unsigned)(*p - '0') : whole, any |= *p != '0';
	if (p + 1 < end && octet_is_of(*p, ".,") && digit_octet(p[1]))
		for (p++; p < end && digit_octet(*p); p++)
			any |= *p != '0';
	while (p < end && octet_is_of(*p, " \""))
		p++;
	word_fold(p, end, folded);
	if (!*folded || digit_octet(*folded))
		snprintf(folded, sizeof(folded), "%s", before);
	is = doubt_meaning(folded);
	if (word_in_list("ms us ns milli* micro* mikro* nano*", folded))
		return false;
	if (is & IS_LARGE || word_in_list("h hour* std", folded))
		return any;
	return whole > SECONDS_OFF && (is & IS_SMALL || word_in_list("s sec secs sek seg", folded));
}

bool doubt_margin(const char *text, const char *word, const char *at, const char *end)
{
	const char *stop = end - at > FIGURE_TEXT ? at + FIGURE_TEXT : end, *p = at;
	const char *begin = word - text > BEFORE_TEXT ? word - BEFORE_TEXT : text;
	char unit[WORD_TEXT] = "";

	for (const char *line = begin; line < word; line++)
		begin = *line == '\n' ? line + 1 : begin;
	while (p < stop && !digit_octet(*p) && !octet_is_of(*p, ",;\n{}|"))
		p = word_octet(*p) ? word_fold(p, stop, unit) : p + 1;
	return p < stop && digit_octet(*p) && is_large(p, end, unit) &&
	       !words_in_list("utc gmt zone zona timezone tz zeitzone fuso fuseau strefa tijdzone", begin, p);
}

bool doubt_margin_sign(const char *text, const char *sign, const char *at, const char *end)
{
	const char *p = sign;

	/* That of a time before it is of this alone. */
	while (p > text && sign - p < 12 && p[-1] != '\n' && !digit_octet(*p))
		p--;
	while (at < end && octet_is_of(*at, " ~"))
		at++;
	return !digit_octet(*p) && at < end && digit_octet(*at) && is_large(at, end, "");
}

bool doubt_shift(const char *at, const char *end)
{
	bool large = false;
	char folded[WORD_TEXT];

	for (unsigned n = 0; n < SHIFT_WORDS && word_next(&at, end, folded); n++) {
		if (large && word_meaning(folded) & WORD_TIME)
			return true;
		large |= n < SHIFT_NEAR && doubt_meaning(folded) & IS_LARGE;
	}
	return false;
}
