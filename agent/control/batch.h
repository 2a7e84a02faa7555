/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Batches: several requests that edit the configuration, as one change. The edits are made in order, each on what the
 * ones before have left; the result takes effect as a whole, or nothing does.
 */
#ifndef DETNAT_BATCH_H
#define DETNAT_BATCH_H

#include "control/request.h"

struct batch {
	unsigned n;
	unsigned refused; /* the number, from 1, of the request that was refused; 0: none, or all of them together */
	struct request *request[];
};

/*
 * Checks the requests of a list, which are moved out of it, and queues their change. The answer is an array of theirs.
 * Returns as request_start() does.
 */
int batch_start(struct request *r, cJSON *list, int *ret_status, struct error *err);

#endif
