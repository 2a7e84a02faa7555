/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OUT2IN entries of the overflow whose IN2OUT entry is gone: a deletion that was never finished, because the agent was
 * killed in it or the kernel evicted the other entry. Such an entry keeps its port from being used again, and the
 * counts still hold its session.
 */
#ifndef DETNAT_OVERFLOW_ORPHANS_H
#define DETNAT_OVERFLOW_ORPHANS_H

#include "mappings_private.h"

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

/*
 * Deletes those that still are orphans after a grace period, when no packet is in the middle of opening or
 * closing them, and takes them off the counts.
 */
void overflow_orphans_remove(struct overflow_orphans *o, struct mappings *m);

#endif
