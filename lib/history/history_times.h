/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When what the mapping history records happened, by the clock that the machine had then.
 *
 * A change is recorded before it takes effect and confirmed after, so it happened between two seconds: it had not
 * happened before the first, and has happened after the last. Where the clock was set, the same second may come twice;
 * each reckoning of the clock has a number. Pure.
 */
#ifndef DETNAT_HISTORY_TIMES_H
#define DETNAT_HISTORY_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_NONE INT64_MIN
#define TIME_OPEN INT64_MAX

/* Stands for the end of what lasts. */
#define MOMENT_NONE UINT32_MAX

struct history_moment {
	int64_t early;	     /* it had not happened before this second */
	int64_t late;	     /* it has happened after this one; TIME_OPEN: not confirmed yet */
	uint32_t epoch;	     /* number of the reckoning of `early` */
	uint32_t late_epoch; /* and of `late` */
	bool final;	     /* no later record says more of `late` */
	uint32_t run;	     /* the first moment that may be of the same change */
	uint32_t undoes;     /* the moment of the change that it takes back; MOMENT_NONE: none */
	uint32_t undone;     /* the one that takes it back, in part at least; MOMENT_NONE: none */
	uint64_t line;	     /* number of its first record */
};

/*
 * What lasts did not, perhaps, between two moments: its end was recorded, and taken back. Lists of them are
 * zero-initialised.
 */
struct history_pause {
	size_t of; /* its number */
	uint32_t begin, end;
};

struct history_pauses {
	struct history_pause *at;
	size_t n;
	size_t room;
};

/* Where a record is that says that something begins or ends. */
struct history_at {
	uint64_t line;
	int64_t time;
	uint32_t moment;
};

/* A reckoning of the clock: what it read from one setting to the next. */
struct history_epoch {
	int64_t start; /* TIME_NONE: from the beginning */
	int64_t end;   /* TIME_OPEN: the present one */
};

/* Zero-initialised. */
struct history_times {
	struct history_moment *moment; /* in the order of their records */
	uint32_t n;
	uint32_t n_settled; /* those before are confirmed */
	struct history_epoch *epoch;
	uint32_t n_epochs;
};

void history_times_free(struct history_times *t);

/* 0 or -ENOMEM. */
int history_times_copy(const struct history_times *from, struct history_times *ret);

/*
 * Adds a moment of the present reckoning, a run of its own; if both times are equal, nothing says more of it. Its
 * number, or MOMENT_NONE if out of memory.
 */
uint32_t history_times_add(struct history_times *t, int64_t early, int64_t late, uint64_t line);

/* The same of a time past, which a later record tells of: its reckoning is the last that had it. now: the present. */
uint32_t history_times_add_past(struct history_times *t, int64_t time, int64_t now, uint64_t line);

/*
 * Adds the moment at which what was recorded at `undone` is taken back: the change may have been made, and unmade
 * again, at any time between its record and now. The same for all records of one moment. MOMENT_NONE if out of memory.
 */
uint32_t history_times_undo(struct history_times *t, uint32_t undone, int64_t now, uint64_t line);

/* Adds to a list. 0 or -ENOMEM. */
int history_pauses_add(struct history_pauses *p, size_t of, uint32_t begin, uint32_t end);

/* Copies a list, sorted by number, then by time. 0 or -ENOMEM; the caller frees ret->at. */
int history_pauses_sort(const struct history_pauses *p, struct history_pauses *ret);

/* The first of a number in such a list, and how many there are. */
const struct history_pause *history_pauses_of(const struct history_pauses *sorted, size_t of, size_t *ret_n);

/* What the lines from first to last say had happened when the clock read `late`, unless that is known. */
void history_times_confirm(struct history_times *t, uint64_t first, uint64_t last, int64_t late);

/* The same of all that is not confirmed yet. */
void history_times_settle(struct history_times *t, int64_t late);

/* And by the time of a moment. */
void history_times_settle_at(struct history_times *t, uint32_t moment);

/* The clock was set: it had read `before` at most, and then `after` at least. 0 or -ENOMEM. */
int history_times_set(struct history_times *t, int64_t before, int64_t after);

/* Orders moments by time; those of one record are equal. */
int history_times_order(const struct history_times *t, uint32_t a, uint32_t b);

/* Whether what a moment is of had been recorded by second s of a reckoning. */
bool history_times_begun(const struct history_times *t, uint32_t begin, uint32_t epoch, int64_t s);

/* Whether what ended then (MOMENT_NONE: has not) may have lasted until second s. */
bool history_times_lasts(const struct history_times *t, uint32_t end, uint32_t epoch, int64_t s);

/* Whether what began and ended then may have been in second s. */
bool history_times_touch(const struct history_times *t, uint32_t begin, uint32_t end, uint32_t epoch, int64_t s);

/* Whether it was recorded to have begun by second s, and not to have ended. */
bool history_times_hold(const struct history_times *t, uint32_t begin, uint32_t end, uint32_t epoch, int64_t s);

/* From when until when it may have been, as the clock read; cut to the reckoning where that does not have s else. */
int64_t history_times_from(const struct history_times *t, uint32_t begin, uint32_t epoch, int64_t s);
int64_t history_times_to(const struct history_times *t, uint32_t end, uint32_t epoch, int64_t s);

/* Orders moments by the latest time at which they may have been. */
int history_times_order_late(const struct history_times *t, uint32_t a, uint32_t b);

#endif
