/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings that were made or deleted, as one event for each inside address, to be told bit by bit. */
#ifndef DETNAT_BINDINGS_H
#define DETNAT_BINDINGS_H

#include <detnat/events.h>
#include <detnat/mapping.h>

#include "config/config.h"

struct ipfix_binding {
	struct geometry geometry;
	uint64_t next;	/* inside address, counted from the first */
	uint64_t count; /* of them */
	uint64_t wall_ms;
	bool made;
};

/* First in, first out. */
struct ipfix_bindings {
	struct ipfix_binding *list;
	size_t n;
};

/* Where memory is short they are not told, and that is logged. */
void ipfix_bindings_add(struct ipfix_bindings *b, struct prefix in, struct prefix out, bool made, uint64_t wall_ms);

/* The next event and its time, milliseconds since 1970; false where there is none. */
bool ipfix_bindings_next(struct ipfix_bindings *b, struct nat_event *ret, uint64_t *ret_wall_ms);

/* Frees; what was not told is logged. */
void ipfix_bindings_clear(struct ipfix_bindings *b);

#endif
