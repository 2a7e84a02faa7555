/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queue of mappings that were added or deleted, which yields one event for each inside address, and of portmaps, one
 * for each port, so that large ones are exported over several ticks.
 */
#ifndef DETNAT_BINDINGS_H
#define DETNAT_BINDINGS_H

#include <detnat/events.h>
#include <detnat/mapping.h>

#include "config/config.h"

struct ipfix_binding {
	struct geometry geometry; /* of a mapping */
	struct nat_event portmap; /* the event of the first port; type 0: it is a mapping */
	uint64_t next;		  /* index of the next inside address, or port */
	uint64_t count;		  /* index of the last one, and one more */
	uint64_t wall_ms;
	uint8_t tenant;
	bool made;
};

/* First in, first out. */
struct ipfix_bindings {
	struct ipfix_binding *list;
	size_t first;
	size_t n;
	size_t room;
};

/* of: addresses of the inside range of a mapping that is translated. Without memory, their events are lost and that is
 * logged. */
void ipfix_bindings_add(struct ipfix_bindings *b, const struct geometry *geo, struct address_range of, uint8_t tenant,
			bool made, uint64_t wall_ms);

/* The same for a portmap: EVENT_PORTMAP_MADE or EVENT_PORTMAP_ENDED. Consecutive ports take one place. */
void ipfix_bindings_add_portmap(struct ipfix_bindings *b, const struct nat_event *e, uint64_t wall_ms);

/* Takes the next event and its time (milliseconds since 1970); false if there is none. */
bool ipfix_bindings_next(struct ipfix_bindings *b, struct nat_event *ret, uint64_t *ret_wall_ms);

/* Frees the queue; events that are left are lost and logged. */
void ipfix_bindings_clear(struct ipfix_bindings *b);

#endif
