/* SPDX-License-Identifier: BSD-2-Clause */
/* Times of the mapping history: seconds since 1970 UTC, leap seconds not counted, as text and back. Pure. */
#ifndef DETNAT_TIMESTAMP_H
#define DETNAT_TIMESTAMP_H

#include <stdint.h>

/* Enough for "2026-01-31T10:00:00Z". */
#define TIME_TEXT 24

/* Times that have a text: years 0000 to 9999. */
#define TIME_MIN (-62167219200LL)
#define TIME_MAX 253402300799LL

/*
 * Reads a time of RFC 3339 ("2026-01-31T10:00:00Z", "2026-01-31t11:00:00.5+01:00", a blank may stand for the T), or
 * "2026-01-31", "2026-01-31 10:00", "2026-01-31 10:00:00", which are UTC. Fractions of a second are cut off. A leap
 * second (23:59:60 UTC at the end of a month) is the second before, as the kernel's clock has it. 0 or -EINVAL.
 */
int time_parse(const char *text, int64_t *ret);

/* Writes a time as RFC 3339 in UTC and returns text; times outside TIME_MIN..TIME_MAX become the nearest within. */
const char *time_format(int64_t t, char text[static TIME_TEXT]);

#endif
