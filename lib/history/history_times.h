/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The times of the events that the mapping history records, by the machine's clock of those moments.
 *
 * A change is recorded before it takes effect and confirmed after, so it happened between two seconds: it had not
 * happened before the first, and has happened after the last. If the clock was set, the same second may come twice;
 * each reckoning of the clock has a number. Pure.
 */
#ifndef DETNAT_HISTORY_TIMES_H
#define DETNAT_HISTORY_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/timestamp.h"

/* The end of an interval that lasts. */
#define MOMENT_NONE UINT32_MAX

struct history_moment {
	int64_t early;	     /* it had not happened before this second */
	int64_t late;	     /* it has happened after this one; TIME_OPEN: not confirmed yet */
	uint32_t epoch;	     /* number of the reckoning of `early` */
	uint32_t late_epoch; /* and of `late` */
	bool final;	     /* no later record improves `late` */
	uint32_t run;	     /* the first moment that may be of the same change */
	uint32_t undoes;     /* the moment of the change that it takes back; MOMENT_NONE: none */
	uint32_t undone;     /* the moment that takes it back, at least in part; MOMENT_NONE: none */
	uint64_t line;	     /* number of its first record */
};

/*
 * A time during which an interval perhaps did not last: its end was recorded, and taken back. Lists of them are
 * zero-initialised.
 */
struct history_pause {
	size_t of; /* its number */
	uint32_t begin, end;
};

struct history_pauses {
	struct history_pause *at;
	size_t n;
};

/* The place of a record of a beginning or an end. */
struct history_at {
	uint64_t line;
	int64_t time;
	uint32_t moment;
};

/* A reckoning of the clock: its readings from one setting to the next. */
struct history_epoch {
	int64_t start; /* TIME_NONE: from the beginning */
	int64_t end;   /* TIME_OPEN: the present one */
};

/* Zero-initialised. */
struct history_times {
	struct history_moment *moment; /* in the order of their records */
	uint32_t n;
	uint32_t n_settled; /* earlier ones are confirmed */
	struct history_epoch *epoch;
	uint32_t n_epochs;
	/* Of the line that last reported times past: numbers of its moments by their time. */
	struct hash_index past;
	uint64_t past_line;
	uint32_t n_past; /* those below have been indexed */
};

void history_times_free(struct history_times *t);

/* 0 or -ENOMEM. */
int history_times_copy(const struct history_times *from, struct history_times *ret);

/*
 * Adds a moment of the present reckoning, a run of its own; if both times are equal, it is final. Its number, or
 * MOMENT_NONE if out of memory.
 */
uint32_t history_times_add(struct history_times *t, int64_t early, int64_t late, uint64_t line);

/* The same for a time past, reported by a later record: its reckoning is the last that had it. now: the present. */
uint32_t history_times_add_past(struct history_times *t, int64_t time, int64_t now, uint64_t line);

/*
 * Adds the moment at which the records of the moment `undone` are taken back: the change may have been made, and unmade
 * again, at any time between its record and now. The same for all records of one moment. MOMENT_NONE if out of memory.
 */
uint32_t history_times_undo(struct history_times *t, uint32_t undone, int64_t now, uint64_t line);

/* Adds to a list. 0 or -ENOMEM. */
int history_pauses_add(struct history_pauses *p, size_t of, uint32_t begin, uint32_t end);

/* Copies a list, sorted by number, then by time. 0 or -ENOMEM; the caller frees ret->at. */
int history_pauses_sort(const struct history_pauses *p, struct history_pauses *ret);

/* The first pause of a number in such a list, and their count. */
const struct history_pause *history_pauses_of(const struct history_pauses *sorted, size_t of, size_t *ret_n);

/* The changes in the lines from first to last had happened when the clock read `late`, unless that is known. */
void history_times_confirm(struct history_times *t, uint64_t first, uint64_t last, int64_t late);

/* The same for all unconfirmed ones. */
void history_times_settle(struct history_times *t, int64_t late);

/* The same, by the time of a moment. */
void history_times_settle_at(struct history_times *t, uint32_t moment);

/* The clock was set: it had read `before` at most, and then `after` at least. 0 or -ENOMEM. */
int history_times_set(struct history_times *t, int64_t before, int64_t after);

/* Whether the clock showed a second in a reckoning. */
static inline bool history_times_had(const struct history_times *t, uint32_t epoch, int64_t s)
{
	return t->epoch[epoch].start <= s && s <= t->epoch[epoch].end;
}

/* Orders moments by time; those of one record are equal. */
int history_times_order(const struct history_times *t, uint32_t a, uint32_t b);

/* Whether the event of a moment had been recorded by second s of a reckoning. */
bool history_times_begun(const struct history_times *t, uint32_t begin, uint32_t epoch, int64_t s);

/* Whether an interval that ended then (MOMENT_NONE: has not) may have lasted until second s. */
bool history_times_lasts(const struct history_times *t, uint32_t end, uint32_t epoch, int64_t s);

/* Whether an interval with this beginning and end may have included second s. */
bool history_times_touch(const struct history_times *t, uint32_t begin, uint32_t end, uint32_t epoch, int64_t s);

/* Whether its beginning was recorded by second s, and its end was not. */
bool history_times_hold(const struct history_times *t, uint32_t begin, uint32_t end, uint32_t epoch, int64_t s);

/*
 * The earliest and the latest second in which it may have held, as the clock read; cut to the reckoning if that has no
 * second s otherwise.
 */
int64_t history_times_from(const struct history_times *t, uint32_t begin, uint32_t epoch, int64_t s);
int64_t history_times_to(const struct history_times *t, uint32_t end, uint32_t epoch, int64_t s);

/* Orders moments by their latest possible time. */
int history_times_order_late(const struct history_times *t, uint32_t a, uint32_t b);

#endif
