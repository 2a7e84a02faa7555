/* SPDX-License-Identifier: BSD-2-Clause */
/* Gaps: times for which the mapping history knows only its intervals. Pure. */
#ifndef DETNAT_HISTORY_GAPS_H
#define DETNAT_HISTORY_GAPS_H

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "history/history_times.h"

/* From <= t < to. Of a second that came twice, it may contain only one passage. */
struct history_gap {
	int64_t from; /* TIME_NONE: from the beginning */
	int64_t to;   /* TIME_OPEN: it has no end yet */
	uint32_t begin;
	uint32_t end; /* MOMENT_NONE: it has no end yet */
	bool damage;  /* lines were changed or removed; otherwise the datapath went away unnoticed */
};

/* Zero-initialised. */
struct history_gaps {
	struct history_gap *at; /* in the order of their ends */
	size_t n;
};

/* Begins a gap at a moment, which has the time `from`. 0, or -ENOMEM, also for MOMENT_NONE. */
int history_gaps_begin(struct history_gaps *g, int64_t from, uint32_t moment, bool damage);

/* Ends the last gap at a moment, which has the time `to`. 0, or -ENOMEM, also for MOMENT_NONE. */
int history_gaps_end(struct history_gaps *g, int64_t to, uint32_t moment);

/* A gap that contains second s of a reckoning, or NULL. */
const struct history_gap *history_gaps_find(const struct history_gaps *g, const struct history_times *t, uint32_t epoch,
					    int64_t s);

/* A gap that contains this second of any reckoning, or NULL. */
const struct history_gap *history_gaps_find_any(const struct history_gaps *g, int64_t s);

/* Explains why the history knows nothing in a gap. */
void history_gap_explain(const struct history_gap *gap, struct error *ret);

/*
 * Arrays of the history's index. Their room follows from the number of elements: the next power of two, at least 8.
 */

#define HISTORY_FIRST_ROOM 8U

/* Makes room for one more element of `size` octets. array: address of the pointer to n elements. 0 or -ENOMEM. */
static inline int history_grow(void *array, size_t n, size_t size)
{
	void **at = array, *larger;

	if (n & (n - 1) || (n && n < HISTORY_FIRST_ROOM))
		return 0;
	larger = reallocarray(*at, n ? n * 2 : HISTORY_FIRST_ROOM, size);
	if (!larger)
		return -ENOMEM;
	*at = larger;
	return 0;
}

#endif
