/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of `check` that compares with peers: rules that are not alike, and copies that a peer lacks. It reads what
 * peers have told anyway, so it takes no time where all is well, and some seconds where not.
 */
#ifndef DETNAT_CHECK_PEERS_H
#define DETNAT_CHECK_PEERS_H

#include "base/findings.h"
#include "peers/replication.h"
#include "tables/mappings.h"

/* Zero-initialised. */
struct check_peers {
	unsigned looks;
	unsigned lacks[REPLICATION_MAX_PEERS]; /* looks at which a peer lacked copies */
	uint64_t next_us;
};

/* 0: done; 1: to be called again some time. *ret_compared: peers that are up. x may be NULL. */
int check_peers(struct check_peers *p, const struct replication *x, const struct mappings *m, struct findings *findings,
		unsigned *ret_compared);

#endif
