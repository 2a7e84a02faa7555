/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of peers, by which copies are marked: a peer keeps its own over changes and restarts. */
#ifndef DETNAT_PEER_NUMBERS_H
#define DETNAT_PEER_NUMBERS_H

#include "config/config.h"

/*
 * Numbers the peers from 1, as an earlier agent did where it knew them. They are kept in a map pinned in pin_dir, as
 * long as the tables with the copies are. 0, or -errno if they cannot be kept there; ret_numbers is right in any case.
 */
int peer_numbers(const char *pin_dir, const struct config_replication *c,
		 uint8_t ret_numbers[static REPLICATION_MAX_PEERS]);

#endif
