/* SPDX-License-Identifier: BSD-2-Clause */
/* Signposts to sessions that have strayed, <detnat/extents.h>, as the agent reads them and takes them down. */
#ifndef DETNAT_TABLES_EXTENT_SIGNPOSTS_H
#define DETNAT_TABLES_EXTENT_SIGNPOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/extents.h>

/* The slots of a subscriber's extent, as datapath_extent() returns them. */
struct extent_slots {
	const struct mapping *map;
	uint32_t subscriber; /* number within the mapping */
	struct slot *slot;
	uint32_t n; /* slots; 0: it has no extent */
};

/*
 * The outside port to which a signpost of a session leads, host byte order; -1: there is none. key: slot_key(); word:
 * the session's state word, or one with its protocol and, of an IPv6 subscriber, its host.
 */
int signpost_port(const struct extent_slots *e, uint64_t key, uint64_t word);

/*
 * Takes down those that lead to no session, once they have stood for SIGNPOST_TICKS at tick `now`. Returns whether no
 * slot is taken then.
 */
bool signposts_sweep(const struct extent_slots *e, uint32_t now);

#endif
