/* SPDX-License-Identifier: BSD-2-Clause */
/* By which number the peers of a gateway know that its tables are those that it had, or began empty. */
#ifndef DETNAT_TABLES_IDENTITY_H
#define DETNAT_TABLES_IDENTITY_H

#include <stdint.h>

#include "datapath/datapath.h"

/* Of the boot and of the map of sessions, so it outlives the agent but neither a reboot nor `--detach`. Never 0. */
uint64_t tables_identity(const struct datapath *d);

/* Such a number in 16 bits, not 0: of two, one pair in 65,535 has the same. */
static inline uint16_t tables_mark(uint64_t identity)
{
	return (uint16_t)(1 + identity % UINT16_MAX);
}

#endif
