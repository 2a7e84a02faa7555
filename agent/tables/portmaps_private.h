/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by the files behind tables/portmap_table.h: portmaps_store.c (records, found), portmaps.c (the datapath),
 * portmap_lines.c (its fast path), portmaps_open.c (the kind of assignment).
 */
#ifndef DETNAT_PORTMAPS_PRIVATE_H
#define DETNAT_PORTMAPS_PRIVATE_H

#include "tables/portmap_table.h"

struct portmaps {
	struct assignments table;
	size_t n_of[N_PORTMAP_ORIGINS];
	size_t lease_room;     /* of the datapath's map */
	portmap_visit changed; /* NULL: none */
	void *changed_arg;
	lease_visit acted; /* NULL: none */
	void *acted_arg;
};

/* The map. */
static inline int filters_of(const struct assignments *s)
{
	return mappings_datapath(s->m)->portmap_filters;
}

/* The subscriber of a portmap. */
static inline uint64_t portmap_place(const struct portmap *m)
{
	return inside_place(m->tenant, m->in.addr);
}

/* The tenant of its inside address; of an address without a mapping, the one that it had. */
uint8_t portmap_tenant(const struct assignments *s, const void *portmap);

/* The entries of the datapath's map. */
struct portmap_key portmap_key_of(const struct portmap *m, enum portmap_direction direction);
struct portmap_value portmap_value_of(const struct portmap *m, enum portmap_direction direction);
int portmap_write(const struct assignments *s, const void *portmap, unsigned direction);

/* Writes the entry of its filters, if it has any. */
int portmap_write_filters(const struct portmaps *p, const struct portmap *m);

/* Whether the datapath has other filters for the portmap. */
bool portmap_filters_differ(const struct portmaps *p, const struct portmap *m);

/*
 * portmap_lines.c: the lines in which the fast path finds portmaps, <detnat/portmap_lines.h>. Without that map they do
 * nothing. An entry of a portmap is put after it is in the map, and removed before it is not.
 */

/* Whether a portmap is one for the lines: without filters, and without an end. */
bool portmap_has_lines(const struct portmap *m);

/* Puts a portmap into a line of a direction, unless it is there; the fast path asks the map if there is no room. */
void portmap_line_put(const struct portmaps *p, const struct portmap *m, enum portmap_direction direction);

/* Takes it out. Returns the packets that were counted there. */
uint64_t portmap_line_remove(const struct portmaps *p, const struct portmap *m, enum portmap_direction direction);
uint64_t portmap_line_packets(const struct portmaps *p, const struct portmap *m, enum portmap_direction direction);

/*
 * Compares the lines with the agent's records. Calls strays, unless NULL, with own address and port of each entry that
 * belongs to no portmap, or is there twice. repair: removes these, and puts the portmaps that are missing. Returns the
 * number of strays.
 */
typedef void (*portmap_stray)(void *arg, uint32_t addr, uint16_t port);
size_t portmap_lines_settle(const struct portmaps *p, bool repair, portmap_stray strays, void *arg);

/* Sets flag and bits in a subscriber's record by its portmaps. */
void portmap_flag(const struct portmaps *p, uint64_t place);
bool portmap_is_flagged(const struct portmaps *p, uint64_t place);

#endif
