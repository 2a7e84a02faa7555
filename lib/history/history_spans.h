/* SPDX-License-Identifier: BSD-2-Clause */
/* What portmaps and grants have in common: lists of intervals whose open ones are indexed, and which a line may undo.
 */
#ifndef DETNAT_HISTORY_SPANS_H
#define DETNAT_HISTORY_SPANS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "history/history_times.h"

/* From one moment to another; the first member of an interval, whose members they are, too. */
#define HISTORY_SPAN_MEMBERS                                                 \
	uint32_t begin;	   /* moments */                                     \
	uint32_t end;	   /* MOMENT_NONE: none */                           \
	int64_t to;	   /* TIME_OPEN: still */                            \
	uint64_t line;	   /* number of the record that began it */          \
	uint64_t end_line; /* number of the record that ended it; 0: none */ \
	bool undone;

struct history_span {
	HISTORY_SPAN_MEMBERS
};

#define HISTORY_SPAN                         \
	union {                              \
		struct history_span span;    \
		struct {                     \
			HISTORY_SPAN_MEMBERS \
		};                           \
	}

/* A list of intervals; each call gets a view of it. */
struct history_spans {
	void *interval;
	size_t n;
	size_t size; /* of an interval */
	struct history_pauses *pauses;
	struct hash_index *open;
	uint64_t (*hash)(const void *interval);
};

/* Makes an interval open. 0 or -ENOMEM. */
int history_spans_open(const struct history_spans *s, struct history_span *v);

/* Ends an open interval, or all. */
void history_spans_end(const struct history_spans *s, struct history_span *v, struct history_at at);
void history_spans_end_all(const struct history_spans *s, struct history_at at);

/* Indexes the open ones anew. 0 or -ENOMEM. */
int history_spans_index(const struct history_spans *s);

/* Undoes the effect of a line; false if none of the intervals is of that line. *ret: 0 or -ENOMEM. */
bool history_spans_undo(const struct history_spans *s, struct history_times *t, uint64_t line, struct history_at at,
			int *ret);

#endif
