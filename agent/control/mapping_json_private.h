/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_MAPPING_JSON_PRIVATE_H
#define DETNAT_MAPPING_JSON_PRIVATE_H

#include "control/answer.h"
#include "tables/mapping_drains.h"

/* geo: that of the tables; NULL: that of the configuration. sessions: NULL: not counted. drain: NULL: the mapping is in
 * use. */
cJSON *mapping_json(const struct config *c, const struct config_mapping *m, const struct geometry *geo,
		    const uint64_t *sessions, const struct mapping_drain *drain);

#endif
