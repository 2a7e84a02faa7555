/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of times: zone.c has their zones, zone_times.c their forms. */
#ifndef DETNAT_ZONE_PRIVATE_H
#define DETNAT_ZONE_PRIVATE_H

#include "leases/zone.h"

/* The time that a clock on the wall showed. */
struct wall {
	int year, month, day, hour, minute, second;
};

/* Whether there is such a day and time. */
bool wall_valid(const struct wall *w);

/* Its seconds since 1970 in a zone. 0; -ENODATA: it has no zone; or -EINVAL: it came twice or never there, with err. */
int wall_to_time(const struct wall *w, const struct zone *zone, int64_t *ret, struct error *err);

/* A text that is read from the front; it ends with a NUL. */
struct cursor {
	const char *at;
};

/* Skips blanks and commas. */
void cursor_blanks(struct cursor *c);

/* Reads as many digits, at most 9, and no more. */
bool read_digits(const char *text, unsigned n, int *ret);

/* A zone, if one follows; false: a word that looks like one and is not known. */
bool zone_follows(struct cursor *c, struct zone *ret);

/* The zone that is named just before a place of a text, as in "time (UTC): "; false: there is none. */
bool zone_precedes(const char *text, const char *at, struct zone *ret);

#endif
