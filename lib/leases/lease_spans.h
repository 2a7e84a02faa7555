/* SPDX-License-Identifier: BSD-2-Clause */
/* Seconds that are not what they seem: records are missing, the clock was set, lines are damaged or erased. */
#ifndef DETNAT_LEASE_SPANS_H
#define DETNAT_LEASE_SPANS_H

#include "leases/statements.h"

struct lease_span {
	int64_t from, to;
	enum lease_doubt doubt;
	bool reaches_back; /* from the last line before `to` on, whichever comes to be that */
	int64_t erased;	   /* DOUBT_ERASED: when */
	bool added;	   /* a source was not recorded: others may have been there, what was said stands */
};

enum lease_span_kind {
	SPANS_HIDE,    /* anybody may have been there */
	SPANS_BREAK,   /* and what was said on both sides does not hold between */
	SPANS_ERASED,  /* lines of one customer are missing: others, of whom statements are there, are as certain */
	SPANS_STEP,    /* the clock was set: which of two readings was first, they do not say */
	SPANS_UNCLEAR, /* the clock was set, or may have been */
	SPANS_KINDS,
};

/* Those of one kind, by their beginning. `furthest` ends last, of these up to here. */
struct lease_span_row {
	const struct lease_span *span, *furthest;
};

/* Zero-initialised. */
struct lease_spans {
	struct lease_span *span;
	size_t n, room;
	struct lease_span *back; /* those that reach back, until all are ordered */
	size_t n_back, back_room;
	struct lease_span_row *row[SPANS_KINDS];
	size_t n_rows[SPANS_KINDS];
};

/* 0 or -ENOMEM. */
int lease_spans_add(struct lease_spans *x, struct lease_span span);

/* There is a line of a second. */
void lease_spans_note(struct lease_spans *x, int64_t time);

/* After the last one: those below are found from then on. 0 or -ENOMEM. */
int lease_spans_order(struct lease_spans *x);
void lease_spans_free(struct lease_spans *x);

/* The first that reaches into what lies between two moments; NULL: none. */
const struct lease_span *lease_spans_between(const struct lease_spans *x, enum lease_span_kind kind, int64_t from,
					     int64_t to);

/* One that begins by a second and ends in another one, or later; NULL: none. */
const struct lease_span *lease_spans_around(const struct lease_spans *x, enum lease_span_kind kind, int64_t begins_by,
					    int64_t ends_from);

#endif
