/* SPDX-License-Identifier: BSD-2-Clause */
/* Lengths of time as people type them, and times given relative to now. */
#ifndef DETNAT_DURATION_H
#define DETNAT_DURATION_H

#include <stdint.h>

/* Any longer duration is read as this: more than the seconds between any two times. */
#define DURATION_MAX (1ULL << 40)

/*
 * Reads a number of seconds: "600", or numbers that have units each, "90s", "1h30m", "7d". Units are s or sec, m or
 * min, h, d and w. 0 or -EINVAL.
 */
int duration_parse(const char *text, uint64_t *ret);

/*
 * Reads a time as time_parse() does, or relative to now: "-60", "-5m", "+2h", "now". 0 or -EINVAL, also if the time
 * cannot be written as text.
 */
int time_parse_typed(const char *text, int64_t now, int64_t *ret);

#endif
