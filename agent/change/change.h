/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of the running configuration, one at a time and in order, in slices of the event loop.
 *
 * A change edits a copy of the running configuration. The copy is validated and checked against the machine as a file
 * is; tables of new mappings are prepared; only when nothing can fail any more does the datapath see any of it, and the
 * new configuration is saved in the pinned map `running`. A change takes effect whole or not at all.
 */
#ifndef DETNAT_CHANGE_H
#define DETNAT_CHANGE_H

#include "service/agent.h"

/* Edits the copy; -errno with err to refuse. */
typedef int (*change_edit)(struct config *c, void *arg, struct error *err);

/* Told once how the change ended: r is 0, or -errno with the reason. Must not free the queue. */
typedef void (*change_done)(void *arg, int r, const struct error *err);

int change_queue_new(struct agent *a, struct change_queue **ret);
void change_queue_free(struct change_queue *q);

/* Queues a change; arg is handed to both functions. -ENOMEM, or 0 with done called later, never from within. */
int change_submit(struct change_queue *q, change_edit edit, change_done done, void *arg);

/* Queues a reload of the file. */
int change_submit_reload(struct change_queue *q, change_done done, void *arg);

/* Applies a configuration at the start, in one go: as a change from an empty configuration or from the running one. */
int change_apply_now(struct agent *a, const struct config *wanted, uint64_t file_hash, struct error *err);

#endif
