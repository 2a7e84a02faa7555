/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mapping history, as the agent writes it (RFC 7422): each change of a mapping before it takes effect, and a record
 * of all mappings once a day. Whoever cannot write it down does not change a mapping.
 *
 * The datapath outlives the agent, and the history outlives the datapath. So a start compares what the history says
 * with what is in the tables. Where the datapath is still there and knows the last line of the history, by a pinned
 * map, nothing was changed meanwhile, but perhaps the last change was written and did not take place: it is taken back.
 * Else what was mapped since the agent was last alive is not known, and the record of the start says so.
 */
#ifndef DETNAT_HISTORY_H
#define DETNAT_HISTORY_H

#include "proto/history_record.h"

struct history;

/* Seconds since 1970 UTC; a test puts its own clock here. */
extern int64_t (*history_clock)(void);

/* How often history_tick() is to be called. */
#define HISTORY_TICK_S 60

/* A change that takes effect so many seconds after its record is written once more. */
#define HISTORY_LATE_S 2

/*
 * The history of a state directory, still to be opened: all that writes does that first. pin: of history_pin_open(), or
 * -1; becomes its own. -ENOMEM.
 */
int history_new(const char *dir, int pin, struct history **ret, struct error *err);

/* Opens it where it is not open, see history_file_open(). */
int history_try_open(struct history *h, struct error *err);

/* Both. */
int history_open(const char *dir, int pin, struct history **ret, struct error *err);
void history_close(struct history *h);

/*
 * The agent begins. taken_over: over a datapath that was there, with these mappings in its tables; else there are none.
 * Nothing is written before the first change or history_ready(), so that starts that fail leave no trace. -ENOMEM.
 */
int history_begin(struct history *h, bool taken_over, const struct history_mapping *present, size_t n);

/*
 * Writes what could not be written before: that the agent runs, that a change did not take place. 0 or -errno with err.
 */
int history_settle(struct history *h, struct error *err);

/*
 * These mappings are in the tables since that time, and there is no record of it, as it could not be written: the
 * record of the start will say so. Does nothing where that has been written. -ENOMEM.
 */
int history_assume(struct history *h, const struct history_mapping *present, size_t n, int64_t time, struct error *err);

/* Mappings are about to be deleted and added; what is in both goes on. 0, or -errno with err: then do not. */
int history_change(struct history *h, const struct history_mapping *del, size_t n_del,
		   const struct history_mapping *add, size_t n_add, struct error *err);

/*
 * The tables changed at that time. Where the disk or the interfaces took long since history_change(), the change is
 * written once more with that time, and the record of before is taken back. Does nothing where none was since the last
 * call. 0 or -errno with err: the change has the time of before.
 */
int history_confirm(struct history *h, int64_t time, struct error *err);

/* Time of the last change that may still be confirmed, or TIME_NONE. */
int64_t history_change_time(const struct history *h);

/*
 * A change went wrong, and these mappings are in the tables now: takes back what did not take place. Where that cannot
 * be written it is an error, and tried again before anything else.
 */
int history_reconcile(struct history *h, const struct history_mapping *present, size_t n, struct error *err);

/* Whether the history says that these are mapped; also where it cannot be written, which is told of elsewhere. */
bool history_holds(const struct history *h, const struct history_mapping *present, size_t n);

/*
 * Says that the agent is alive, and what is mapped where that was last said on another day (UTC); and looks whether
 * there is room for a change. 0, or -errno with err: then none can be written.
 */
int history_tick(struct history *h, struct error *err);

/* The agent ends and the datapath goes on; or it was removed. Logged where it cannot be written. */
void history_stop(struct history *h);
void history_detach(struct history *h);

/* Where the history ends: the number of its last line, 0 of an empty one, and its checksum. */
uint64_t history_end(const struct history *h, char ret_hash[static HASH_TEXT]);

/* For --detach: history_detach() of the history in a state directory, if there is one. */
int history_detach_at(const char *dir, struct error *err);

#endif
