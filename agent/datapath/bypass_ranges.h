/* SPDX-License-Identifier: BSD-2-Clause */
/* The destinations of `bypass` in the form that the datapath looks them up. */
#ifndef DETNAT_BYPASS_RANGES_H
#define DETNAT_BYPASS_RANGES_H

#include <detnat/tables.h>

#include "config/config.h"

/*
 * Fills in settings->bypass and n_bypass: disjoint ranges sorted by address, from at most MAX_BYPASS prefixes, which
 * may overlap, adjoin or repeat. Equal sets of addresses give equal settings.
 */
void bypass_ranges(const struct config *c, struct settings *settings);

#endif
