/* SPDX-License-Identifier: BSD-2-Clause */
/* Notices (base/notice.h) of what the datapath reports: refusals, and sessions opened and closed. */
#ifndef DETNAT_EVENT_NOTICES_H
#define DETNAT_EVENT_NOTICES_H

#include <detnat/events.h>

#include "config/config.h"

/*
 * Tells those who listen of an event that happened at wall_ns (CLOCK_REALTIME); events of other kinds are left out. c:
 * for the name of the mapping, NULL: it is not told. Sessions are told without the name, as there are many.
 */
void event_notice(const struct nat_event *e, uint64_t wall_ns, const struct config *c);

#endif
