/* SPDX-License-Identifier: BSD-2-Clause */
/* Notices (base/notice.h) of events in the datapath: refusals, sessions opened and closed, blocks granted. */
#ifndef DETNAT_EVENT_NOTICES_PRIVATE_H
#define DETNAT_EVENT_NOTICES_PRIVATE_H

#include <detnat/events.h>

#include "base/notice.h"
#include "config/config.h"
#include "base/virtual6.h"
#include "tables/mappings.h"

/* The addresses of an event as text, to which a notice refers. */
struct event_text {
	char in[INSIDE_TEXT], out[ADDR_TEXT], ext[ADDR_TEXT];
	char ext6[INSIDE_TEXT]; /* the latter as IPv6 subscribers know it; "": it is none's, or m is NULL */
	const char *tenant;	/* of the subscriber; "": none */
	char who[INSIDE_TEXT + LABEL_TEXT + 4]; /* "10.0.0.2", or "10.0.0.2 of ispA" */
	char proto[8];
	char text[NOTICE_TEXT];
};

/* m: for the name of the tenant; NULL: it is omitted. */
struct event_text event_text_of(const struct nat_event *e, const struct mappings *m);

/*
 * Reports to listeners an event that happened at wall_ns (CLOCK_REALTIME); omits events of other kinds. c: for the name
 * of the mapping, NULL: it is omitted. Notices of sessions omit the name, as there are many.
 */
void event_notice(const struct nat_event *e, uint64_t wall_ns, const struct config *c, const struct mappings *m);

/* Reports to listeners that a block has been granted, or has ended. */
void event_grant_notice(const struct nat_event *e, bool made, const struct mappings *m);

#endif
