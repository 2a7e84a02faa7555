/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OUT2IN entries of the overflow without their IN2OUT entry: their deletion failed because the kernel held the lock of
 * their hash bucket. Such an entry blocks its port.
 */
#ifndef DETNAT_OVERFLOW_ORPHANS_H
#define DETNAT_OVERFLOW_ORPHANS_H

#include "tables/mapping_tables.h"

#define ORPHANS_MAX 256U

/* Entries that looked like orphans. */
struct overflow_orphans {
	unsigned n;
	struct {
		struct overflow_key out2in;
		struct overflow_key in2out;
	} found[ORPHANS_MAX];
};

/* Examines an OUT2IN entry. Orphans beyond ORPHANS_MAX are left for the next pass. */
void overflow_orphans_look(struct overflow_orphans *o, const struct datapath *d, const struct overflow_key *out2in,
			   const struct overflow_session *session);

/* Deletes those that are still orphans after a grace period. */
void overflow_orphans_remove(struct overflow_orphans *o, struct mappings *m);

#endif
