/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts requests, and batches of them: several that edit the configuration, as one change. The edits are made in
 * order, each on what the ones before have left; the result takes effect as a whole, or nothing does.
 */
#ifndef DETNAT_REQUEST_BATCH_H
#define DETNAT_REQUEST_BATCH_H

#include "control/request.h"

/* request_start_one() for a request or a batch, whose answer is an array of those to its requests. */
int request_start(struct request *r, cJSON **ret_result, int *ret_status, struct error *err);

#endif
