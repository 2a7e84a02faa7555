// SPDX-License-Identifier: BSD-2-Clause
/* Headers of tables: which side they name first, and what their columns hold. */
#include <ctype.h>
#include <string.h>

#include "import/import_build.h"
#include "import/import_columns.h"
#include "import/import_sides.h"

/*
 * Beginnings of words, without accents. Those of the second list name a person, or an address whose side another word
 * says, so they count only where the line has none of the first.
 */
static const char *const inside_words[] = { "inside", "intern", "interi", "inner", "innen", "privat", "in addr",
					    "in ip",  "privad", "prive",  "local", "lan ",  NULL };
static const char *const subscriber_words[] = { "user",	      "usuari", "utente", "utilisateur", "benutzer",
						"subscriber", "suscri", "abonad", "abonne",	 "abbonat",
						"assinante",  "client", "kunde",  "custom",	 "teiln",
						"source",     "src ",	"origin", "quell",	 NULL };
static const char *const outside_words[] = { "outside",	 "outer", "extern",   "exteri",	    "estern",	   "aussen",
					     "ausen",	 "publi", "pubbli",   "offentlich", "oeffentlich", "global",
					     "internet", "wan ",  "out addr", "out ip",	    NULL };
static const char *const nat_words[] = {
	"nat ip", "nat addr", "translat", "traduc", "traduz", "mapped", "natted", NULL
};
static const char *const port_words[] = { "port", "puert", NULL };

/* The same of columns. Those of the last two stand alone, too: "From", "Fin". */
static const char *const range_words[] = { "range", "rang",  "faixa", "interval", "plage",
					   "berei", "block", "bloc",  "bloq",	  NULL };
static const char *const network_words[] = { "vpn", "vrf", "routing instance", NULL };
static const char *const first_words[] = { "first",   "start", "begin",	 "from ",  "low",   "min",
					   "lo ",     "ini",   "primei", "primer", "prime", "desde",
					   "depart ", "deb",   "erst",	 "anf",	   "von ",  NULL };
static const char *const last_words[] = { "last",  "end ", "stop", "to ",    "high",  "max",  "hi ",  "fim ", "fin",
					  "ultim", "dern", "ate ", "hasta ", "letzt", "bis ", "schl", NULL };

/* The letters of Latin-1 from U+00C0 on without their accents. */
static const char plain[] = "aaaaaaaceeeeiiiidnooooo ouuuuypsaaaaaaaceeeeiiiidnooooo ouuuuypy";

/* The line in small letters of ASCII, with one blank before, between and after its words. */
static void fold(const char *line, char text[static 256])
{
	size_t n = 0;

	text[n++] = ' ';
	for (const unsigned char *c = (const unsigned char *)line; *c && n < 254; c++) {
		/* The letter in UTF-8, or in Latin-1. */
		unsigned char letter = *c == 0xc3 && c[1] >= 0x80 && c[1] < 0xc0 ? (unsigned char)(*++c + 0x40) : *c;
		char small = (char)(letter >= 0xc0 ? plain[letter - 0xc0] : tolower(letter));

		if (small < 'a' || small > 'z')
			small = ' ';
		if (small != ' ' || text[n - 1] != ' ')
			text[n++] = small;
	}
	if (text[n - 1] != ' ')
		text[n++] = ' ';
	text[n] = '\0';
}

/* Where the first of the words begins; NULL: there is none. */
static const char *first_of(const char *text, const char *const *words)
{
	const char *first = NULL;

	for (; *words; words++) {
		for (const char *at = text; (at = strstr(at, *words)); at++) {
			/* "internet" is no "intern". */
			if (at[-1] != ' ' || (!strcmp(*words, "intern") && !strncmp(at, "internet", 8)))
				continue;
			first = !first || at < first ? at : first;
			break;
		}
	}
	return first;
}

/* "Inside global" is the outside address of a host inside, "inside local" its own. */
static void without_inside(char *text)
{
	static const char *const terms[] = { " inside global ", " inside local " };

	for (size_t i = 0; i < ARRAY_SIZE(terms); i++) {
		char *at = strstr(text, terms[i]);

		if (at)
			memset(at + 1, '_', strlen("inside"));
	}
}

enum import_column import_header_column(const char *cell)
{
	bool ports, first, last;
	char text[256];

	fold(cell, text);
	without_inside(text);
	ports = first_of(text, port_words) || first_of(text, range_words);
	first = first_of(text, first_words) || !strcmp(text, " de ") || !strcmp(text, " da ");
	last = first_of(text, last_words) || !strcmp(text, " a ") || !strcmp(text, " au ");
	if (first_of(text, network_words))
		return COLUMN_NETWORK;
	if (first_of(text, (const char *const[]){ "proto", NULL }))
		return COLUMN_PROTOCOL;
	if (first != last && (ports || !(first_of(text, inside_words) || first_of(text, outside_words) ||
					 first_of(text, subscriber_words))))
		return first ? COLUMN_FIRST : COLUMN_LAST;
	if (ports)
		return COLUMN_PORTS;
	if (first_of(text, inside_words))
		return COLUMN_INSIDE;
	if (first_of(text, outside_words) || first_of(text, nat_words))
		return COLUMN_OUTSIDE;
	return first_of(text, subscriber_words) ? COLUMN_SUBSCRIBER : COLUMN_OTHER;
}

bool import_header_names(const char *cell, bool outside)
{
	char text[256];

	fold(cell, text);
	without_inside(text);
	return first_of(text, outside ? outside_words : inside_words);
}

void import_plain(char *line)
{
	unsigned char *to = (unsigned char *)line;

	for (const unsigned char *c = to; *c; c++) {
		if (*c < 0x80) {
			*to++ = *c;
		} else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xc0) {
			/* Ordinals and degrees are letters in "Nº"; a blank that breaks no line is one. */
			c++;
			*to++ = *c == 0xba || *c == 0xb0 ? 'o' : *c == 0xaa ? 'a' : ' ';
		} else if (*c == 0xe2 && c[1] == 0x80 && c[2] >= 0x90 && c[2] <= 0x95) {
			*to++ = '-';
			c += 2;
		} else if (*c == 0xe2 && c[1] == 0x88 && c[2] == 0x92) {
			*to++ = '-';
			c += 2;
		} else if (*c == 0xc3 && c[1] >= 0x80 && c[1] < 0xc0) {
			*to++ = (unsigned char)plain[*++c - 0x80];
		} else {
			*to++ = *c >= 0xc0 ? (unsigned char)plain[*c - 0xc0] : *c;
		}
	}
	*to = '\0';
}

struct import_header import_header_read(const char *line, uint32_t number)
{
	struct import_header h = { .line = number };
	const char *in, *out;
	char text[256];

	snprintf(h.shown, sizeof(h.shown), "%s", line);
	fold(line, text);
	without_inside(text);
	in = first_of(text, inside_words);
	in = in ? in : first_of(text, subscriber_words);
	out = first_of(text, outside_words);
	out = out ? out : first_of(text, nat_words);
	h.both = in && out;
	h.outside_first = h.both && out < in;
	h.columns = (in || out) && first_of(text, port_words);
	return h;
}
