/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OUT2IN entries of the overflow whose IN2OUT entry is gone: their deletion failed because the kernel held their hash
 * bucket locked. Such an entry keeps its port from being used again.
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

/* Looks at an OUT2IN entry. What exceeds ORPHANS_MAX is left for another time. */
void overflow_orphans_look(struct overflow_orphans *o, const struct datapath *d, const struct overflow_key *out2in,
			   const struct overflow_session *session);

/* Deletes those that still are orphans after a grace period. */
void overflow_orphans_remove(struct overflow_orphans *o, struct mappings *m);

#endif
