/* SPDX-License-Identifier: BSD-2-Clause */
/* What the agent does by itself: sweeping expired sessions, giving memory of deleted mappings back, the watchdog. */
#ifndef DETNAT_HOUSEKEEPING_H
#define DETNAT_HOUSEKEEPING_H

#include "service/agent.h"

struct housekeeping;

/* Works in slices of the agent's event loop until freed; a->config says how often. */
int housekeeping_new(struct agent *a, struct housekeeping **ret, struct error *err);
void housekeeping_free(struct housekeeping *h);

#endif
