/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mapping history for the event loop: what is to be written is queued, and a thread writes it, one after the other,
 * as a disk may take its time. A change of mappings takes effect when its record is on the disk, and everything else
 * goes on meanwhile. What does not work is TROUBLE_HISTORY, and is tried again.
 */
#ifndef DETNAT_QUEUE_H
#define DETNAT_QUEUE_H

#include <event2/event.h>

#include "history/history.h"
#include "tables/mappings.h"

struct history_queue;

/*
 * Opens the history of a state directory for a datapath, as history_new() and history_begin(). Where it cannot be
 * opened: an error that can pass, or any over a datapath that was there, is trouble only; else it is an error.
 */
int history_queue_new(struct event_base *base, const char *dir, const struct datapath *d, const struct mappings *m,
		      struct history_queue **ret, struct error *err);

/* Told in the event loop how it ended. */
typedef void (*history_done)(void *arg, int r, const struct error *err);

/* history_change(); done is called later, never from within. -ENOMEM. */
int history_queue_change(struct history_queue *q, const struct history_mapping *del, size_t n_del,
			 const struct history_mapping *add, size_t n_add, history_done done, void *arg);

/* Whoever waits with this argument waits no longer. What was written is compared with the tables when it ends. */
void history_queue_forget(struct history_queue *q, const void *arg);

/* history_confirm(): the tables change in this moment, by the last change that was written. */
void history_queue_confirm(struct history_queue *q);

/* history_reconcile() with what is in the tables now. */
void history_queue_reconcile(struct history_queue *q);

/* history_assume(): the tables have changed without a record. */
void history_queue_assume(struct history_queue *q);

/* history_tick(): the agent runs. Waits for it for a moment, so that normally it is written when this returns. */
void history_queue_ready(struct history_queue *q);

/* To be called every second: history_tick() each HISTORY_TICK_S, or each second while there is trouble. */
void history_queue_second(struct history_queue *q);

/* Where the history ends, as history_end(). */
uint64_t history_queue_end(const struct history_queue *q, char ret_hash[static HASH_TEXT]);

/*
 * history_holds() of what is in the tables; true, too, while anything is being written, and where nothing can be.
 */
bool history_queue_holds(const struct history_queue *q);

/* The tables are about to be closed: waits for what is to be compared with them. NULL is allowed. */
void history_queue_drain(struct history_queue *q);

/*
 * The agent ends, and the datapath goes on (EVENT_STOP) or was removed (EVENT_DETACH): written after all that waits,
 * unless the disk takes longer than anybody would wait; and freed. NULL is allowed.
 */
void history_queue_close(struct history_queue *q, enum history_event event);

#endif
