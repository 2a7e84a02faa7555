/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests that change a mapping in use: what the agent does before and after the change, in one call. */
#ifndef DETNAT_TEST_UPDATE_FIXTURE_H
#define DETNAT_TEST_UPDATE_FIXTURE_H

#include "tables/mapping_changes.h"

/* Makes the tables that a change of a mapping needs; mappings_update() comes next. */
void begin_update(const struct mapping_spec *spec);

/* Counts the sessions of subscribers whose limits are new, again where openings have got in between. */
void count_limits(void);

#endif
