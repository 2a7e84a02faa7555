/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to metrics/: the metrics as text. Families of fixed size are written at each scrape; those with a line for
 * each mapping or interface are gathered beforehand, in slices, and appended by reference.
 */
#ifndef DETNAT_PAGE_H
#define DETNAT_PAGE_H

#include <event2/buffer.h>

#include "metrics/exposition.h"
#include "metrics/metrics.h"

struct metrics_text;

/* -ENOMEM */
int metrics_text_new(struct event_base *base, const struct parts *from, struct metrics_text **ret);
void metrics_text_free(struct metrics_text *t); /* NULL is allowed */

/* Begins to gather mappings and interfaces; until that is done, the previous text is served. */
void metrics_text_gather(struct metrics_text *t);

/* Appends all families: 0 or -errno. Takes some 100 microseconds. */
int metrics_text(const struct metrics_text *t, enum metrics_form form, struct evbuffer *out);

/* The position in the families of metrics/lists.c; zeroed, at the first. */
struct metrics_cursor {
	unsigned family;
	int item; /* number of the mapping, or index of the interface */
	bool begun;
};

/* Writes the samples of one mapping or interface: 1: more to do, 0: done. */
int metrics_lists_step(const struct parts *from, struct metrics_cursor *cursor, struct evbuffer *out);

/* Leases that are recorded (metrics/page_leases.c); nothing if none are, or x is NULL. */
void metrics_leases(struct identity *x, struct evbuffer *out);

/* The counters of the datapath (metrics/counters.c). */
void metrics_counters(const struct counters *c, struct evbuffer *out);

#endif
