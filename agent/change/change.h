/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public header of change/: a queue of edits of the configuration, reloads of the file and replacements of the
 * programs, carried out in order, one at a time, in slices of the event loop.
 *
 * An edit works on a copy of the active configuration. The copy is validated and checked against the machine as a file
 * is, and the tables of new mappings are prepared. Only when nothing can fail any more does the datapath see the
 * change, and the new configuration is saved in the pinned map `running`. A change takes effect as a whole or not at
 * all.
 */
#ifndef DETNAT_CHANGE_H
#define DETNAT_CHANGE_H

#include <event2/event.h>
#include <stdbool.h>

#include "config/active.h"
#include "config/parts.h"
#include "datapath/datapath.h"
#include "history/history_by.h"
#include "ipfix/ipfix.h"
#include "tables/mappings.h"
#include "tables/portmap_table.h"

struct change_queue;

/* Edits the copy; -errno with err refuses the change. */
typedef int (*change_edit)(struct config *c, void *arg, struct error *err);

/* Called when a replacement of the programs begins; -errno with err refuses it. */
typedef int (*change_prepare)(void *arg, struct error *err);

/* Called once when the change has ended: r is 0, or -errno with the reason. Must not free the queue. */
typedef void (*change_done)(void *arg, int r, const struct error *err);

/*
 * What happens to the sessions of mappings that a change deletes or replaces, and of the addresses that an exception
 * takes. Either they end with the change, or they *drain*: each continues with its outside endpoint until it ends by
 * itself or the time is over, while new sessions follow the new configuration. -EEXIST if a mapping is added whose
 * outside addresses would still be draining.
 */
struct change_options {
	bool drain_given;	     /* false: they end; on a reload, the mappings' `drain` decides */
	uint32_t drain;		     /* seconds, at most CONFIG_MAX_DRAIN; 0: they end */
	struct history_by by;	     /* who wants it; none: its time has come */
	const struct config *before; /* at a start, the configuration of an earlier agent, or NULL */
	/* Ends a drain from `timed_in` to `timed_out`, if there is one, after `drain` seconds; 0: at once. */
	bool timed;
	struct prefix timed_in;
	struct prefix timed_out;
};

/* The context must outlive the queue. */
int change_queue_new(const struct parts *context, struct change_queue **ret);
void change_queue_free(struct change_queue *q);

/* Queues an edit; arg is passed to both functions. -ENOMEM, or 0 and done is called later, never from within. */
int change_submit(struct change_queue *q, change_edit edit, change_done done, void *arg);

/* The same with options, which are copied. */
int change_submit_with(struct change_queue *q, change_edit edit, change_done done, void *arg,
		       const struct change_options *options);

/* How a file is reloaded. */
struct reload_options {
	bool force;	      /* although it ends more sessions than the running `reload_guard` allows; else -EPERM */
	uint32_t confirm;     /* seconds after which it is taken back unless it is confirmed; 0: it stays */
	struct history_by by; /* who wants it */
};

/* Queues a reload of the file. -EBUSY while one waits for its confirmation. */
int change_submit_reload(struct change_queue *q, const struct reload_options *options, change_done done, void *arg);

/* Queues what takes back the reload that waits for its confirmation; -ENOENT if none does when its turn comes. */
int change_submit_back(struct change_queue *q, const struct history_by *by, change_done done, void *arg);

/* Makes the checks that a reload makes before it prepares anything, except for `reload_guard`. Changes nothing. */
int change_check_file(const struct change_queue *q, const struct config *file, struct error *err);

/* Whether an edit would be refused as it stands now, before anything is prepared for it. Changes nothing. */
int change_check_edit(const struct change_queue *q, change_edit edit, void *arg, struct error *err);

/*
 * Queues a replacement of the programs by those that the settings require when its turn comes: after a change of the
 * routing rules, or for a trace. prepare may be NULL.
 */
int change_submit_programs(struct change_queue *q, change_prepare prepare, change_done done, void *arg);

/*
 * Adds (wanted) or removes a client that wants notices of sessions opened and closed. Loads other programs if that
 * changes what the datapath has to report; a failure is logged. -ENOMEM, with nothing changed.
 */
int change_monitor_sessions(struct change_queue *q, bool wanted);

/*
 * Records the agent's file as applied if its contents match the active configuration: another program has written it.
 * -EAGAIN with err if they differ, -EBUSY while a change is under way.
 */
int change_adopt_file(struct change_queue *q, struct error *err);

/*
 * Applies the first configuration at the start of the agent, and returns when it is active. before: the configuration
 * of an earlier agent, or NULL.
 */
int change_apply_now(const struct parts *context, const struct config *wanted, uint64_t file_hash,
		     const struct config *before, struct error *err);

/*
 * At the end of the agent, without a queue: replaces the tracing programs, as the datapath continues without the agent.
 */
void change_end_trace(const struct parts *context);

#endif
