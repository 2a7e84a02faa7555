/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of peers, with which copies are marked: a peer keeps its number over changes and restarts. */
#ifndef DETNAT_PEER_NUMBERS_H
#define DETNAT_PEER_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "datapath/datapath.h"

struct peer_number {
	uint8_t number;
	uint16_t tables; /* the last noted tables; 0: none */
	bool spoken;	 /* an earlier agent spoke for it */
};

/*
 * Numbers the peers from 1, keeping the numbers of an earlier agent. They are in a map pinned in pin_dir, as long as
 * the tables with the copies are. 0, or -errno if they cannot be kept there; ret is right in any case.
 */
int peer_numbers(const char *pin_dir, const struct config_replication *c,
		 struct peer_number ret[static REPLICATION_MAX_PEERS]);

/* Notes there a peer's tables, as tables_mark(). 0 or -errno. */
int peer_numbers_note(const char *pin_dir, unsigned number, uint16_t tables);

/* Notes there for which peers this gateway speaks, by bit of their numbers. 0 or -errno. */
int peer_numbers_speak(const char *pin_dir, uint8_t peers);

/* A number from which a gateway's peers know whether its tables are the former ones, or began empty. */

/* From the boot and the map of sessions, so it outlives the agent but neither a reboot nor `--detach`. Never 0. */
uint64_t tables_identity(const struct datapath *d);

/* Such a number in 16 bits, not 0: of two, one pair in 65,535 has the same. */
static inline uint16_t tables_mark(uint64_t identity)
{
	return (uint16_t)(1 + identity % UINT16_MAX);
}

#endif
