/* SPDX-License-Identifier: BSD-2-Clause */
/* The destinations of `bypass` as the datapath looks them up. */
#ifndef DETNAT_BYPASS_RANGES_H
#define DETNAT_BYPASS_RANGES_H

#include <detnat/tables.h>

#include "config/config.h"

/*
 * Fills in settings->bypass and n_bypass: disjoint ranges in order of address, out of at most MAX_BYPASS prefixes that
 * may overlap, adjoin or be repeated. Equal sets of addresses give equal settings.
 */
void bypass_ranges(const struct config *c, struct settings *settings);

#endif
