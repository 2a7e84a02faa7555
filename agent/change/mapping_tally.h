/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of all mappings decides about the programs, counted: so a change of few mappings counts those alone, before and
 * after it, and not the thousands beside them.
 */
#ifndef DETNAT_MAPPING_TALLY_H
#define DETNAT_MAPPING_TALLY_H

#include "config/active.h"

/*
 * The tally of `after`. part: of its difference from the active configuration, or one without a configuration: then all
 * of its mappings are counted.
 */
struct mapping_tally mapping_tally_of(const struct active_config *active, const struct config *after,
				      const struct config_part *part);

#endif
