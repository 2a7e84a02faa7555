/* SPDX-License-Identifier: BSD-2-Clause */
/* Times of which the mapping history does not know what was mapped, except for what its intervals say. Pure. */
#ifndef DETNAT_HISTORY_GAPS_H
#define DETNAT_HISTORY_GAPS_H

#include "base/error.h"
#include "proto/history_times.h"

/* From <= t < to; a second that came twice may be in it once. */
struct history_gap {
	int64_t from; /* TIME_NONE: from the beginning */
	int64_t to;   /* TIME_OPEN: lasts */
	uint32_t begin;
	uint32_t end; /* MOMENT_NONE: lasts */
	bool damage;  /* caused by changed or removed lines; otherwise the datapath went away unnoticed */
};

/* Zero-initialised. */
struct history_gaps {
	struct history_gap *at; /* in the order of their ends */
	size_t n;
};

/* Begins one at a moment, of the time `from`. 0 or -ENOMEM, also if there is no moment. */
int history_gaps_begin(struct history_gaps *g, int64_t from, uint32_t moment, bool damage);

/* Ends the last one. 0 or -ENOMEM, as before. */
int history_gaps_end(struct history_gaps *g, int64_t to, uint32_t moment);

/* One that second s of a reckoning lies in, or NULL. */
const struct history_gap *history_gaps_find(const struct history_gaps *g, const struct history_times *t, uint32_t epoch,
					    int64_t s);

/* One with this second, however the clock was set; NULL: none. */
const struct history_gap *history_gaps_find_any(const struct history_gaps *g, int64_t s);

/* Says why nothing is known in it. */
void history_gap_explain(const struct history_gap *gap, struct error *ret);

#endif
