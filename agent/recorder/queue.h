/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mapping history for the event loop: writes are queued and done one by one by a thread, as a disk may be slow. A
 * change of mappings takes effect when its record is on the disk; everything else continues meanwhile. Failures are
 * reported as TROUBLE_HISTORY and retried.
 */
#ifndef DETNAT_QUEUE_H
#define DETNAT_QUEUE_H

#include <event2/event.h>

#include "recorder/history.h"
#include "tables/mappings.h"
#include "tables/portmap_table.h"

struct history_queue;

/*
 * Opens the history of a state directory for a datapath, as history_new() and history_begin() do. If it cannot be
 * opened, an error that may be temporary, or any error on an existing datapath, is only reported as trouble.
 */
int history_queue_new(struct event_base *base, const char *dir, const struct datapath *d, const struct mappings *m,
		      const struct portmaps *p, const struct grants *g, struct history_queue **ret, struct error *err);

/* The mappings that had drained and ended less than CONFIG_REST_S before the start. */
const struct history_rest *history_queue_rests(const struct history_queue *q, size_t *ret_n);

/* The granted blocks that a datapath before this one had, or had taken back, with the time of their end. */
const struct history_grant *history_queue_rested_grants(const struct history_queue *q, size_t *ret_n);

/* Called in the event loop with the result; the change is valid until it returns. */
typedef void (*history_done)(void *arg, int r, const struct history_change *c, const struct error *err);

/*
 * history_change(); done is called later, never from within. Takes the lists. A group of grants alone must take effect
 * at once, and history_queue_confirm() be called, or history_queue_reconcile() if part of it did not: until then
 * nothing else is written; and it is not called if the agent ends before. 0 or -ENOMEM.
 */
int history_queue_change(struct history_queue *q, struct history_change *c, history_done done, void *arg);

/* Drops the callbacks with this argument. Once their changes are written, the history is compared with the tables. */
void history_queue_forget(struct history_queue *q, const void *arg);

/* history_confirm(): the tables have changed as the last written change says. */
void history_queue_confirm(struct history_queue *q);

/*
 * Whether the history says of a change that has just taken effect what the tables say: of the mappings that it made,
 * which are read from the tables, and ended, and of all granted blocks. true also where it cannot be asked now. why:
 * the first difference.
 */
bool history_queue_holds_change(const struct history_queue *q, const struct history_change *c, struct error *why);

/* The same of the outside endpoints of a change's portmaps. */
bool history_queue_holds_portmaps(const struct history_queue *q, const struct portmap *list, size_t n,
				  struct error *why);

/*
 * The history says something else than the tables: a trouble until a comparison of all finds no difference. Such a
 * comparison is made in the seconds after each change, and every few minutes. The caller has the tables recorded.
 */
void history_queue_differs(const struct error *why);

/* history_reconcile() with the present contents of the tables. */
void history_queue_reconcile(struct history_queue *q);

/* history_assume(): the tables have changed without a record. */
void history_queue_assume(struct history_queue *q);

/* Says in HISTORY_HEAD_FILE whether each look at a person must leave a line, with a tick if that has changed. */
void history_queue_audit(struct history_queue *q, bool on);

/* history_set_grants() before what is queued from now on. */
void history_queue_grants(struct history_queue *q, uint32_t days);

/* history_tick() for the start. Waits briefly, so that the record is normally written when this returns. */
void history_queue_ready(struct history_queue *q);

/*
 * Call it every second: looks at the clock, and runs history_tick() if that was set, every HISTORY_TICK_S, or every
 * second during trouble.
 */
void history_queue_second(struct history_queue *q);

/* Calls a function whenever the clock was set, as long as the event loop runs. */
void history_queue_on_set(struct history_queue *q, void (*set)(void *arg), void *arg);

/* The end of the history as history_end() returns it. */
uint64_t history_queue_end(const struct history_queue *q, char ret_hash[static HASH_TEXT]);

/*
 * history_holds() for mappings, portmaps and drains in the tables; true also while anything is being written, a written
 * change is not in the tables yet, or nothing can be written. why may be NULL.
 */
bool history_queue_holds(const struct history_queue *q, struct error *why);

/* Called before the tables are closed: waits for jobs that compare the history with them. q may be NULL. */
void history_queue_drain(struct history_queue *q);

/*
 * Records that the agent ends and the datapath continues (EVENT_STOP) or was removed (EVENT_DETACH), after everything
 * queued unless the disk takes too long, and frees the queue. q may be NULL.
 */
void history_queue_close(struct history_queue *q, enum history_event event);

#endif
