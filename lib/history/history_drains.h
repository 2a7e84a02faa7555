/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drains in the mapping history: the mapping of inside addresses opens no more sessions for them, because it was
 * deleted or replaced or because an exception has the addresses, while their sessions in it continue.
 */
#ifndef DETNAT_HISTORY_DRAINS_H
#define DETNAT_HISTORY_DRAINS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/address.h"
#include "history/history_times.h"

/* As in a record. */
struct history_drain {
	struct prefix in; /* the mapping's */
	struct prefix out;
	struct prefix of; /* the addresses; the mapping's inside prefix if all of it drains */
	int64_t from;
};

/* They drained from <= t < to. */
struct drain_interval {
	struct history_drain drain;
	bool undone;
	uint32_t begin;	   /* moments */
	uint32_t end;	   /* MOMENT_NONE: none */
	int64_t to;	   /* TIME_OPEN: still */
	uint64_t line;	   /* number of the record that began it */
	uint64_t end_line; /* number of the record that ended it; 0: none */
};

/* Zero-initialised. */
struct history_drains {
	struct drain_interval *interval; /* in the order of the lines that began them */
	size_t n;
	struct history_pauses pauses;
	size_t *open; /* numbers of the open ones */
	size_t n_open;
};

void history_drains_free(struct history_drains *p);

/* Whether two drains have the same addresses and the same mapping. */
bool history_drain_same(const struct history_drain *a, const struct history_drain *b);

/* Whether a drain covers all addresses of its mapping. */
bool history_drain_whole(const struct history_drain *d);

/* The open interval of a drain, or NULL. */
struct drain_interval *history_drain_open(const struct history_drains *p, const struct history_drain *d);

/*
 * Applies the record of a beginning, which was at the moment begin. Ends drains from the same mapping that it covers:
 * they continue as this one. 0 or -ENOMEM.
 */
int history_drains_begin(struct history_drains *p, const struct history_drain *d, uint32_t begin, struct history_at at);

/* Applies the record of an end; begin: the moment of the beginning, if that is unknown. 0 or -ENOMEM. */
int history_drains_end(struct history_drains *p, const struct history_drain *d, uint32_t begin, struct history_at at);

/* Ends the drains of an ended mapping, or all. */
void history_drains_end_of(struct history_drains *p, struct prefix in, struct prefix out, struct history_at at);
void history_drains_end_all(struct history_drains *p, struct history_at at);

/* Undoes the effect of a line; false if the line is not about drains. *ret: 0 or -ENOMEM. */
bool history_drains_undo(struct history_drains *p, struct history_times *t, uint64_t line, struct history_at at,
			 int *ret);

/* Copies the open ones, in the order in which they began; returns their number. */
size_t history_drains_list(const struct history_drains *p, struct history_drain *ret);

/* Writes "in":...,"out":...,"of":...,"from":... of a record; reads them: false if malformed. */
void history_drain_write(FILE *out, const struct history_drain *d);
bool history_drain_read(const cJSON *json, struct history_drain *ret);

#endif
