// SPDX-License-Identifier: BSD-2-Clause
/* Zones: numbers, abbreviations with their seasons, names of the time zone database, and what two of them leave. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "complaints/complaint_time.h"
#include "complaints/complaint_words.h"

#define ANY SEASON_ANY
#define EW  SEASON_EU_WINTER
#define ES  SEASON_EU_SUMMER
#define UW  SEASON_US_WINTER
#define US  SEASON_US_SUMMER

/* Only behind a time: the others are words, too. */
#define BEHIND true

static const struct {
	char name[7];
	uint8_t season;
	bool behind;
	uint8_t n;
	int16_t minutes[3];
} abbreviations[] = {
	{ "WET", EW, BEHIND, 1, { 0 } },	  { "WEST", ES, BEHIND, 1, { 60 } },
	{ "CET", EW, false, 1, { 60 } },	  { "MEZ", EW, false, 1, { 60 } },
	{ "CEST", ES, false, 1, { 120 } },	  { "MESZ", ES, false, 1, { 120 } },
	{ "EET", EW, false, 1, { 120 } },	  { "EEST", ES, false, 1, { 180 } },
	{ "BST", ES, false, 2, { 60, 360 } },	  { "IST", ANY, false, 3, { 330, 60, 120 } },
	{ "MSK", ANY, false, 1, { 180 } },	  { "EST", UW, false, 1, { -300 } },
	{ "EDT", US, false, 1, { -240 } },	  { "CST", ANY, false, 2, { -360, 480 } },
	{ "CDT", US, false, 1, { -300 } },	  { "MST", ANY, BEHIND, 1, { -420 } },
	{ "MDT", US, BEHIND, 1, { -360 } },	  { "PST", UW, false, 1, { -480 } },
	{ "PDT", US, false, 1, { -420 } },	  { "JST", ANY, false, 1, { 540 } },
	{ "KST", ANY, BEHIND, 1, { 540 } },	  { "BRT", ANY, BEHIND, 1, { -180 } },
	{ "ART", ANY, BEHIND, 1, { -180 } },	  { "AEST", ANY, false, 1, { 600 } },
	{ "AEDT", ANY, false, 1, { 660 } },	  { "ACST", ANY, false, 1, { 570 } },
	{ "AWST", ANY, false, 1, { 480 } },	  { "NZST", ANY, false, 1, { 720 } },
	{ "NZDT", ANY, false, 1, { 780 } },	  { "SGT", ANY, BEHIND, 1, { 480 } },
	{ "HKT", ANY, BEHIND, 1, { 480 } },	  { "PKT", ANY, BEHIND, 1, { 300 } },
	{ "SAST", ANY, BEHIND, 1, { 120 } },	  { "NPT", ANY, BEHIND, 1, { 345 } },
	{ "AST", ANY, BEHIND, 2, { -240, 180 } }, { "MSD", ANY, BEHIND, 1, { 240 } },
	{ "AKST", UW, BEHIND, 1, { -540 } },	  { "HST", ANY, BEHIND, 1, { -600 } },
	{ "МСК", ANY, false, 1, { 180 } },	  { "SEČ", EW, false, 1, { 60 } },
	{ "SELČ", ES, false, 1, { 120 } },
};

bool claim_given(const struct claim *c)
{
	return c->n || *c->name || c->clash;
}

bool claim_equal(const struct claim *a, const struct claim *b)
{
	return a->n == b->n && a->clash == b->clash && !strcmp(a->name, b->name) &&
	       !memcmp(a->minutes, b->minutes, sizeof(a->minutes));
}

static int two(const char *at, const char *end)
{
	if (end - at < 2 || !digit_octet(at[0]) || !digit_octet(at[1]))
		return -1;
	return (at[0] - '0') * 10 + at[1] - '0';
}

/* "+01:00", "+0100"; with fewer digits than 4 also "+01", or even "+1". */
static const char *offset(const char *at, const char *end, unsigned digits, struct claim *ret)
{
	const char *p = at + 1;
	int hours, minutes = 0;

	if (at >= end || (*at != '+' && *at != '-'))
		return NULL;
	hours = two(p, end);
	if (hours < 0 && digits < 2 && p < end && digit_octet(*p)) {
		hours = *p - '0';
		p++;
	} else if (hours < 0) {
		return NULL;
	} else {
		p += 2;
	}
	if (p < end && *p == ':' && two(p + 1, end) >= 0) {
		minutes = two(p + 1, end);
		p += 3;
	} else if (p - at == 3 && two(p, end) >= 0) {
		minutes = two(p, end);
		p += 2;
	} else if (digits > 2) {
		return NULL;
	}
	/* "+25" and "-5.5" are no zones. */
	if (hours > (*at == '-' ? 12 : 14) || minutes % 15 || minutes > 59 || (p < end && isalnum((unsigned char)*p)) ||
	    (p + 1 < end && strchr(":.", *p) && digit_octet(p[1])))
		return NULL;
	*ret = (struct claim){ .n = 1, .minutes = { (int16_t)((hours * 60 + minutes) * (*at == '-' ? -1 : 1)) } };
	return p;
}

/* Behind "UTC" and blanks: " +5:30", " + 2", unless a text goes on behind it: "UTC - 5 attempts". */
static const char *offset_apart(const char *at, const char *end, struct claim *ret)
{
	const char *p = at, *more;
	struct claim found;
	char text[8] = "";

	while (p < end && *p == ' ')
		p++;
	if (p == at || p + 1 >= end || !octet_is_of(*p, "+-"))
		return NULL;
	if (p[1] != ' ')
		return offset(p, end, 1, ret);
	if (end - p < 3 || !digit_octet(p[2]))
		return NULL;
	*text = *p;
	memcpy(text + 1, p + 2, end - p - 2 < 6 ? (size_t)(end - p - 2) : 6);
	more = offset(text, text + strlen(text), 1, &found);
	p += more ? more - text + 1 : 0;
	if (!more || (p < end && !octet_is_of(*p, "),;]\n")))
		return NULL;
	*ret = found;
	return p;
}

/* "UTC offset: +2", whose value says the zone. */
static bool is_offsets_name(const char *at, const char *end)
{
	static const char *const names[] = { "offset", "difference", "abweichung", "decalage", "diferencia" };
	char folded[WORD_TEXT];

	while (at < end && octet_is_of(*at, " -_"))
		at++;
	word_fold(at, end, folded);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], folded))
			return true;
	return false;
}

/* "UTC plus two hours", "GMT minus 3", in words. */
static bool is_shifted(const char *at, const char *end)
{
	char folded[WORD_TEXT];

	while (at < end && octet_is_of(*at, " (,"))
		at++;
	if (at >= end || !word_octet(*at))
		return false;
	at = word_fold(at, end, folded);
	if (!word_in_list("plus minus mas mais piu menos meno moins plusz więcej wiecej mniej less плюс минус", folded))
		return false;
	for (unsigned i = 0; i < 2 && word_next(&at, end, folded); i++)
		if (digit_octet(*folded) || word_in_list("h hour* hr hrs stunde* heure* hora* ora ore uur uren godzin* "
							 "timme* час*",
							 folded))
			return true;
	return false;
}

/* "UTC+?", "UTC + x": a plus is no dash. */
static bool is_unfinished(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	return at < end && *at == '+' && at + 1 < end && at[1] != '/';
}

static const char *universal(const char *at, const char *end, struct claim *ret)
{
	static const char *const names[] = { "UTC", "GMT", "ZULU" };

	if (at >= end || !octet_is_of(*at, "UuGgZ"))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);
		const char *p = at + n, *more;

		if ((size_t)(end - at) < n || strncasecmp(at, names[i], n) != 0 || (p < end && word_octet(*p)))
			continue;
		if (is_offsets_name(p, end))
			return NULL;
		*ret = (struct claim){ .n = 1 };
		if (p + 1 < end && strchr("+-", *p) && digit_octet(p[1])) {
			more = offset(p, end, 1, ret);
			ret->clash = !more;
			return more ? more : p;
		}
		more = offset_apart(p, end, ret);
		ret->clash |= !more && (is_shifted(p, end) || is_unfinished(p, end));
		return more ? more : p;
	}
	return NULL;
}

static const char *abbreviation(const char *at, const char *end, bool loose, struct claim *ret)
{
	const char *p = at;

	/* Of capital letters alone. */
	if (end - at < 3 || (unsigned char)(at[1] - 'a') < 26)
		return NULL;
	while (p < end && word_octet(*p))
		p++;
	for (size_t i = 0; i < ARRAY_SIZE(abbreviations); i++) {
		if (*abbreviations[i].name != *at || (size_t)(p - at) != strlen(abbreviations[i].name) ||
		    strncmp(at, abbreviations[i].name, (size_t)(p - at)) != 0 || (abbreviations[i].behind && !loose))
			continue;
		*ret = (struct claim){ .n = abbreviations[i].n,
				       .seasons = (uint8_t)(1U << abbreviations[i].season),
				       .minutes = { abbreviations[i].minutes[0], abbreviations[i].minutes[1],
						    abbreviations[i].minutes[2] } };
		return p;
	}
	return NULL;
}

/* "Europe/Berlin" */
static const char *region(const char *at, const char *end, bool loose, struct claim *ret)
{
	static const char *const regions[] = { "Europe/",  "America/",	"Asia/",   "Africa/", "Australia/",
					       "Pacific/", "Atlantic/", "Indian/", "Etc/" };
	const char *p = at;
	struct zone z;

	for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
		if (*regions[i] == *at && (size_t)(end - at) > strlen(regions[i]) &&
		    !strncmp(at, regions[i], strlen(regions[i])))
			p = at + strlen(regions[i]);
	/* "Mars/Phobos" is said to be one. */
	if (p == at && loose && p + 1 < end && isupper((unsigned char)*p) && islower((unsigned char)p[1])) {
		while (p < end && isalpha((unsigned char)*p))
			p++;
		p = end - p > 2 && *p == '/' && isupper((unsigned char)p[1]) && islower((unsigned char)p[2]) ? p : at;
	}
	if (p == at)
		return NULL;
	while (p < end && (isalnum((unsigned char)*p) || strchr("_/+-", *p)))
		p++;
	if ((size_t)(p - at) >= sizeof(ret->name))
		return NULL;
	*ret = (struct claim){ 0 };
	memcpy(ret->name, at, (size_t)(p - at));
	ret->name[p - at] = '\0';
	ret->clash = zone_parse(ret->name, &z, NULL) != 0;
	return p;
}

const char *claim_read(const char *at, const char *end, bool loose, struct claim *ret)
{
	const char *p;

	/* Most octets begin none: a capital letter does, also a Russian one, or "utc", "gmt" or a sign. */
	if (at >= end || ((*at < 'A' || *at > 'Z') && !octet_is_of(*at, "ug+-\320")))
		return NULL;
	p = universal(at, end, ret);
	p = p ? p : abbreviation(at, end, loose, ret);
	p = p ? p : region(at, end, loose, ret);
	if (!p && loose && at < end && *at == 'Z' && (at + 1 == end || !word_octet(at[1]))) {
		*ret = (struct claim){ .n = 1 };
		return at + 1;
	}
	return p ? p : offset(at, end, loose ? 2 : 4, ret);
}

void claim_add(struct claim *c, const struct claim *more)
{
	struct claim both = { .seasons = c->seasons | more->seasons, .clash = c->clash || more->clash };

	if (!claim_given(c) || !claim_given(more)) {
		*c = claim_given(c) ? *c : *more;
		return;
	}
	both.clash |= *c->name && *more->name && strcmp(c->name, more->name) != 0;
	memcpy(both.name, *c->name ? c->name : more->name, sizeof(both.name));
	if (!c->n || !more->n) {
		/* A name of the database and a number: the number says which of its two clocks. */
		both.n = c->n ? c->n : more->n;
		memcpy(both.minutes, c->n ? c->minutes : more->minutes, sizeof(both.minutes));
		*c = both;
		return;
	}
	for (unsigned i = 0; i < c->n; i++)
		for (unsigned k = 0; k < more->n; k++)
			if (c->minutes[i] == more->minutes[k] && both.n < 3)
				both.minutes[both.n++] = c->minutes[i];
	both.clash |= !both.n;
	*c = both;
}
