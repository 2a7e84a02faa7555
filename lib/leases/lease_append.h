/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of leases on their way to the files of their days. */
#ifndef DETNAT_LEASE_APPEND_H
#define DETNAT_LEASE_APPEND_H

#include "base/hash.h"
#include "leases/lease_line.h"

struct day_batch;

/* Zero-initialised, but for dir, fresh and opens. */
struct lease_batch {
	const char *dir;
	bool fresh; /* lines that the files have are not added again */
	bool opens; /* a file that is new begins with the sessions that are open, see lease_midnight.h */
	struct day_batch *day;
	size_t n_days;
	uint64_t lines; /* to be added */
	uint64_t known; /* were there already */
};

/* Takes a line. 0 or -errno: -ENOMEM, or a file of its day cannot be read. Can be a lease_take. */
int lease_batch_add(void *batch, const struct lease_line *l);

/* Appends all lines and empties the batch. 0, or -errno with err: days that were not written stay in the batch. */
int lease_batch_write(struct lease_batch *b, int64_t now, struct error *err);
void lease_batch_free(struct lease_batch *b);

#endif
