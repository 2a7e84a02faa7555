/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times as other systems and people write them, and their zones. A time without a zone is not guessed: it needs the
 * zone that the operator names. Not for several threads, as a name of the time zone database becomes the process's TZ.
 */
#ifndef DETNAT_ZONE_H
#define DETNAT_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ZONE_TEXT 64

/* What becomes of a time that came twice, as clocks were set back: it is refused, or one of the two. */
enum zone_twice { TWICE_REFUSED, TWICE_FIRST, TWICE_SECOND };

/* Zero-initialised: none. */
struct zone {
	bool given;
	bool named;	/* `name` is of the time zone database; otherwise `offset` counts */
	int32_t offset; /* seconds east of UTC */
	char name[ZONE_TEXT];
	enum zone_twice twice;
};

/*
 * Reads "UTC", "Z", "+01:00", "-0500", an abbreviation with one meaning ("CET", "EDT"), or a name of the time zone
 * database ("Europe/Berlin"). 0, or -EINVAL with err (may be NULL).
 */
int zone_parse(const char *text, struct zone *ret, struct error *err);

/*
 * Finds the first time in a text of size octets: RFC 3339 and its looser relatives ("2026-01-31 10:00:00 +0100",
 * "2026/01/31 10:00:00"), RFC 5322 ("Sat, 31 Jan 2026 10:00:00 +0100"), ctime ("Sat Jan 31 10:00:00 2026"), Apache's
 * ("31/Jan/2026:10:00:00 +0100"). A zone after it counts; otherwise `zone`. Returns 0; -ENOENT: there is no time;
 * -ENODATA: it has no zone; -EINVAL: it has none that is known, or comes twice or never there, with err. *ret_end,
 * unless it is NULL, is where the time ends.
 */
int zone_time_find(const char *text, size_t size, const struct zone *zone, int64_t *ret, size_t *ret_end,
		   struct error *err);

/* The same for a text that is a time, or the seconds since 1970 ("1769860800", "1769860800.25"), or milliseconds
 * ("1769860800250"). */
int zone_time_read(const char *text, const struct zone *zone, int64_t *ret, struct error *err);

#endif
