/* SPDX-License-Identifier: BSD-2-Clause */
/* When old files are removed: once a day, and not by a clock that may be wrong. */
#ifndef DETNAT_EXPIRY_DAY_H
#define DETNAT_EXPIRY_DAY_H

#include <stdbool.h>
#include <stdint.h>

/* After the clock was set by more than this, nothing is removed for as long: it may be wrong. */
#define RETENTION_STEP_S 3600

/* Zero-initialised. */
struct expiry_day {
	int64_t day;	    /* the last that was looked after, since 1970 */
	int64_t offset_s;   /* of the clock from that of the boot */
	int64_t patience_s; /* on the clock of the boot: nothing is removed before */
	bool known;	    /* the clocks have been compared */
};

/* Whether the day is to be looked after, by the time of day and that since the boot. Call it again and again. */
bool expiry_due(struct expiry_day *r, int64_t now, int64_t boot_s);

/* The day was looked after. */
void expiry_done(struct expiry_day *r, int64_t now);

#endif
