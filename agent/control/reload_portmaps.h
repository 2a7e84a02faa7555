/* SPDX-License-Identifier: BSD-2-Clause */
/* Which portmaps one configuration has and another has not, for answers. */
#ifndef DETNAT_RELOAD_PORTMAPS_H
#define DETNAT_RELOAD_PORTMAPS_H

#include <cjson/cJSON.h>

#include "config/config.h"

/*
 * Adds "portmaps", with arrays `added`, `deleted` and `updated` of what makes `now` what is wanted: consecutive ports
 * of a portmap and protocol as one element. 0 or -ENOMEM.
 */
int json_add_portmap_changes(cJSON *object, const struct config *now, const struct config *wanted);

#endif
