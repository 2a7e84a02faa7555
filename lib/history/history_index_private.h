/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by history_index_ends.c, history_index_lists.c, which takes the records that list all, and history_index.c,
 * which takes the others. Each calls only those before it.
 */
#ifndef DETNAT_HISTORY_INDEX_PRIVATE_H
#define DETNAT_HISTORY_INDEX_PRIVATE_H

#include "history/history_index.h"

/* Takes a start or daily record, or a line of the grants of such a list. 0 or -ENOMEM. */
int history_index_take_list(struct history_index *x, const struct history_record *r);
int history_index_take_grants(struct history_index *x, const struct history_record *r);

/* Forgets the grants of a list that is over, or was not finished. */
void history_index_forget_listed(struct history_index *x);

/* Ends all facts at a moment: events not known to have happened by then may have. */
void history_index_end_all_at(struct history_index *x, int64_t time, uint32_t moment);

/* The same in the present reckoning of the clock. 0 or -ENOMEM. */
int history_index_end_all(struct history_index *x, int64_t time);

/* Begins a gap at a time of the present reckoning; ends it at a record. 0 or -ENOMEM. */
int history_index_begin_gap(struct history_index *x, int64_t from, bool damage);
int history_index_end_gap(struct history_index *x, const struct history_record *r);

/*
 * The last line cannot be trusted: mappings are assumed to have held until the last good line; the time after it is
 * unknown. 0 or -ENOMEM.
 */
int __attribute__((format(printf, 2, 3))) history_index_damage(struct history_index *x, const char *format, ...);

/* Something is wrong that makes no difference to the lines themselves. 0 or -ENOMEM. */
int __attribute__((format(printf, 2, 3))) history_index_note(struct history_index *x, const char *format, ...);

/* The moment for the time of a beginning that a record names and earlier records lack. MOMENT_NONE if out of memory. */
uint32_t history_index_past(struct history_index *x, int64_t from, struct history_at at);

#endif
