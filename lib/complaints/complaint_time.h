/* SPDX-License-Identifier: BSD-2-Clause */
/* Times as complaints have them, with what of them is missing or can be read in two ways. */
#ifndef DETNAT_COMPLAINT_TIME_H
#define DETNAT_COMPLAINT_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "leases/zone.h"

/* When clocks that a zone is named for are in use. */
enum season { SEASON_ANY, SEASON_EU_WINTER, SEASON_EU_SUMMER, SEASON_US_WINTER, SEASON_US_SUMMER };

/* What a text says about a zone: minutes east of UTC, several if a name has several meanings. */
struct claim {
	uint8_t n;	 /* of minutes; 0: nothing is said */
	uint8_t seasons; /* a bit for each of enum season that names say */
	bool clash;	 /* two names or numbers contradict each other */
	int16_t minutes[3];
	char name[40]; /* of the time zone database, "": none */
};

bool claim_given(const struct claim *c);

/* Reads a zone at a place; loose: right behind a time, where "+02" and any abbreviation is one. Returns its end or
 * NULL. */
const char *claim_read(const char *at, const char *end, bool loose, struct claim *ret);

/* Adds what another says: what both have in common, or a clash. */
void claim_add(struct claim *c, const struct claim *more);

bool claim_equal(const struct claim *a, const struct claim *b);

struct stamp {
	int16_t year; /* 0: none */
	int8_t month, day, hour, minute, second;
	bool date, clock; /* what is given */
	bool seconds;	  /* or the minute only */
	bool half;	  /* "AM" or "PM" */
	bool either;	  /* day and month could be exchanged */
	bool exact;	  /* `t` is of seconds since 1970 */
	int64_t t;
	struct claim zone;
};

/*
 * Reads a time, a day, or a time of the day at a place of a text, with the zone behind it. Returns its end, or NULL if
 * there is none.
 */
const char *stamp_read(const char *at, const char *end, struct stamp *ret);

/* Reads "22.17.45", where a word before it says that it is an hour. Its end, or NULL. */
const char *stamp_read_dotted(const char *at, const char *end, struct stamp *ret);

/* Seconds, or their thousandths, millionths or milliardths, since 1970; false: no such number of this time. */
bool stamp_epoch(const char *at, const char *end, struct stamp *ret);

/* The second of a time that has all; 0, or -EINVAL with err: no such day, hour or zone. */
int stamp_second(const struct stamp *s, const struct claim *zone, int64_t *ret, struct error *err);

/* Reads its day as the month, and its month as the day. */
void stamp_exchange(struct stamp *s);

/* Adds an hour, and its zone, to a day. */
void stamp_add_clock(struct stamp *day, const struct stamp *hour);

/* Whether a day alone, or an hour alone, is that of a time that has both. */
bool stamp_half_agrees(const struct stamp *half, const struct stamp *whole);

/* Whether two clocks, each of its zone, show the same moment, but for the day. */
bool stamp_same_moment(const struct stamp *a, const struct stamp *b);

/* Whether two texts can mean the same moment, as far as they say it. */
bool stamp_agree(const struct stamp *a, const struct stamp *b);

#endif
