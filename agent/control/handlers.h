/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The handlers: what the agent does for each verb. A handler ends in one of four ways:
 *  - an answer at once: 0 with *ret_result set;
 *  - a job, where the answer takes long: request_run(), whose step is called in slices until it has the answer; after
 *    request_stream() it sends any number of elements instead;
 *  - a change of the running state: request_change() and its like, answered when the change is done;
 *  - a refusal: -errno with err saying why.
 */
#ifndef DETNAT_HANDLERS_H
#define DETNAT_HANDLERS_H

#include "control/answer.h"
#include "control/request.h"

typedef int (*verb_handler)(struct request *r, cJSON **ret_result, struct error *err);

/* verb_mapping_add() and so on. */
#define VERB(id, ...) int verb_##id(struct request *r, cJSON **ret_result, struct error *err);
#define LOCAL_VERB(id, ...)
#include "proto/verbs.def"

/*
 * Checks arguments and rights and calls the handler of the verb. Returns 0 with *ret_result (answered) or without (a
 * job or a change was started), or -errno with err and *ret_status, the exit status for detnatctl: 1 refused (-EPERM:
 * the peer may not make changes), 2 unknown verb, unknown or malformed arguments.
 */
int request_start_one(struct request *r, cJSON **ret_result, int *ret_status, struct error *err);

#endif
