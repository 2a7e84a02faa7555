/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of peers, by which copies are marked: a peer keeps its own over changes and restarts. */
#ifndef DETNAT_PEER_NUMBERS_H
#define DETNAT_PEER_NUMBERS_H

#include <stdint.h>

#include "config/config.h"
#include "datapath/datapath.h"

struct peer_number {
	uint8_t number;
	uint16_t tables; /* what was noted last; 0: nothing */
};

/*
 * Numbers the peers from 1, as an earlier agent did where it knew them. They are kept in a map pinned in pin_dir, as
 * long as the tables with the copies are. 0, or -errno if they cannot be kept there; ret is right in any case.
 */
int peer_numbers(const char *pin_dir, const struct config_replication *c,
		 struct peer_number ret[static REPLICATION_MAX_PEERS]);

/* Notes there which tables a peer has, by tables_mark(). 0 or -errno. */
int peer_numbers_note(const char *pin_dir, unsigned number, uint16_t tables);

/* By which number the peers of a gateway know that its tables are those that it had, or began empty. */

/* Of the boot and of the map of sessions, so it outlives the agent but neither a reboot nor `--detach`. Never 0. */
uint64_t tables_identity(const struct datapath *d);

/* Such a number in 16 bits, not 0: of two, one pair in 65,535 has the same. */
static inline uint16_t tables_mark(uint64_t identity)
{
	return (uint16_t)(1 + identity % UINT16_MAX);
}

#endif
