/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's part of <detnat/extents.h>: it makes those that subscribers gave up free ones. */
#ifndef DETNAT_TABLES_EXTENT_REUSE_H
#define DETNAT_TABLES_EXTENT_REUSE_H

#include "datapath/datapath.h"

/* Empties an extent that no record has, and that no program can be about to read, and lists it as free. */
void extent_free(const struct datapath *d, uint32_t extent);

/* The same for all retired ones, after a grace period if there are any. Returns their number. */
unsigned extents_reclaim(const struct datapath *d);

#endif
