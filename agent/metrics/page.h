/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metrics as text. What is of fixed length is written when asked for; what has a line for each mapping or interface
 * is gathered beforehand, in slices, and copied by reference.
 */
#ifndef DETNAT_PAGE_H
#define DETNAT_PAGE_H

#include <event2/buffer.h>

#include "metrics/metrics.h"

struct metrics_text;

/* -ENOMEM */
int metrics_text_new(struct event_base *base, const struct metrics_sources *from, struct metrics_text **ret);
void metrics_text_free(struct metrics_text *t); /* NULL is allowed */

/* Gathers mappings and interfaces anew; until it is done the former text serves. */
void metrics_text_gather(struct metrics_text *t);

/* Appends all of it: 0 or -errno. Some 100 microseconds. */
int metrics_text(const struct metrics_text *t, struct evbuffer *out);

/* ---- metrics/lists.c --------------------------------------------------------------------------------------- */

/* Goes through families with a line or more for each mapping or interface. Zeroed to begin with. */
struct metrics_cursor {
	unsigned family;
	int item; /* mapping number, or place in the list of interfaces */
	bool begun;
};

/* Writes the samples of one mapping or interface: 1 more to do, 0 done. */
int metrics_lists_step(const struct metrics_sources *from, struct metrics_cursor *cursor, struct evbuffer *out);

/* ---- metrics/counters.c ------------------------------------------------------------------------------------ */

/* What the datapath has counted. */
void metrics_counters(const struct counters *c, struct evbuffer *out);

#endif
