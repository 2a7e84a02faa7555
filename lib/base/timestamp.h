/* SPDX-License-Identifier: BSD-2-Clause */
/* Times, in seconds since 1970 UTC without leap seconds, to text (RFC 3339) and back. */
#ifndef DETNAT_TIMESTAMP_H
#define DETNAT_TIMESTAMP_H

#include <stdint.h>

/* Enough for "2026-01-31T10:00:00Z". */
#define TIME_TEXT 24
/* Enough for "2026-01-31T10:00:00.123456Z". */
#define TIME_US_TEXT 32

/* No time, and a time that has not come yet. */
#define TIME_NONE INT64_MIN
#define TIME_OPEN INT64_MAX

/* The times that can be written as text: years 0000 to 9999. */
#define TIME_MIN (-62167219200LL)
#define TIME_MAX 253402300799LL

/*
 * Reads a time of RFC 3339 ("2026-01-31T10:00:00Z", "2026-01-31t11:00:00.5+01:00"; a blank may replace the T), or
 * "2026-01-31", "2026-01-31 10:00", "2026-01-31 10:00:00", which are UTC. Fractions of a second are dropped. A leap
 * second (23:59:60 UTC at the end of a month) is read as the second before it, as the kernel's clock shows it.
 * 0 or -EINVAL.
 */
int time_parse(const char *text, int64_t *ret);

/* Days from 1970-01-01 to a date of the Gregorian calendar, which may be earlier. month: 1 to 12. */
int64_t time_days(int year, int month, int day);

/* Writes a time as RFC 3339 in UTC and returns text; times outside TIME_MIN..TIME_MAX are clamped to that range. */
const char *time_format(int64_t t, char text[static TIME_TEXT]);

/* The same for nanoseconds since 1970, written with microseconds. */
const char *time_format_us(uint64_t ns, char text[static TIME_US_TEXT]);

#endif
