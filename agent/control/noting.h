/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests that look at persons leave lines in the ledger of queries (base/query_ledger.h) before they are answered:
 * all of them with `audit_queries`, else those with a case or a reason. A thread writes the lines, those that wait
 * together, as a disk may be slow.
 */
#ifndef DETNAT_NOTING_H
#define DETNAT_NOTING_H

#include "control/handlers.h"

struct notes;

/* 0 or -ENOMEM. The memory of a thread that hangs at a disk is not freed. NULL is allowed. */
int notes_new(struct event_base *base, struct notes **ret);
void notes_free(struct notes *n);

/* Whether a request, or one of a batch, looks at persons and is to leave a line. */
bool notes_want(const struct request *r);

/*
 * Makes the request a job that calls its handler once its line is on the disk, and is refused without it. What has left
 * enough lines in this hour (control/look_counts.h) is answered at once, or refused.
 */
int notes_begin(struct request *r, verb_handler handler, cJSON **ret_result, struct error *err);

#endif
