/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Portmaps, <detnat/portmaps.h>, of all origins: the pinned map of the datapath, and the agent's records. Before adding
 * one, the caller checks it against the configuration, and writes it to the mapping history if its port is not in the
 * subscriber's own block.
 */
#ifndef DETNAT_PORTMAP_TABLE_H
#define DETNAT_PORTMAP_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/portmaps.h>

#include "base/inside_runs.h"
#include "tables/assignments.h"
#include "tables/mappings.h"

struct portmaps;

struct portmap {
	ASSIGNMENT;	    /* proto: IPPROTO_TCP or IPPROTO_UDP; tenant: set by portmaps_put() */
	uint8_t origin;	    /* enum portmap_origin */
	uint64_t expires_s; /* CLOCK_BOOTTIME; 0: never. Only the owner of the origin uses it */
	uint8_t nonce[PORTMAP_NONCE];
	struct portmap_filters filters; /* n 0: it accepts packets from everywhere */
};

/*
 * Reads the pinned map, and removes incomplete portmaps left by a killed agent. The mappings must outlive the result.
 */
int portmaps_open(struct mappings *m, struct portmaps **ret, struct error *err);
void portmaps_close(struct portmaps *p);

/*
 * Adds a portmap, or gives one with the same endpoints another expiry, origin, peer, nonce and filters. 0; -EEXIST if
 * another portmap has one of the endpoints; -EADDRNOTAVAIL if the inside address is in no mapping, or uses another
 * outside address; -ENOSPC if the room for the origin is full: MAX_PORTMAPS, or portmaps_lease_room(); or -errno.
 */
int portmaps_put(struct portmaps *p, const struct portmap *portmap);

/* Removes a portmap. -ENOENT if there is none. */
int portmaps_del(struct portmaps *p, uint8_t proto, struct endpoint out);

/* The same for a lease that its client or an operator ends, not its time or a change of the configuration. */
int portmaps_end(struct portmaps *p, uint8_t proto, struct endpoint out);

/*
 * Called for each act of a client or an operator on a lease: after one of this gateway's own has been put, new or
 * renewed, and before portmaps_end() removes one. One function at a time; NULL: none.
 */
typedef void (*lease_visit)(void *arg, const struct portmap *lease, bool ends);
void portmaps_on_act(struct portmaps *p, lease_visit acted, void *arg);

/*
 * Called for each portmap that is made or ends from now on; not for other changes of one, nor for those that
 * portmaps_open() finds. One function at a time; NULL: none.
 */
typedef void (*portmap_visit)(void *arg, const struct portmap *portmap, bool made);
void portmaps_on_change(struct portmaps *p, portmap_visit changed, void *arg);

/* NULL: there is none. Valid until the next change. */
const struct portmap *portmaps_by_out(const struct portmaps *p, uint8_t proto, struct endpoint out);
/* Of a tenant; 0: there are none, or any. */
const struct portmap *portmaps_by_in(const struct portmaps *p, uint8_t tenant, uint8_t proto, struct endpoint in);

/*
 * The first or, after `before`, the next portmap of a subscriber, by inside_place() of base/inside_runs.h, in no order;
 * NULL: no more. An inside address alone, without a tenant, stands for those of all tenants.
 */
const struct portmap *portmaps_of(const struct portmaps *p, uint64_t place, const struct portmap *before);

/* The same for all portmaps. */
const struct portmap *portmaps_next(const struct portmaps *p, const struct portmap *before);

/*
 * The same in parts, with changes in between: the next one from *place up to before `end`; *place moves behind it.
 * NULL: no more of them; *place is then `end`, or 0 behind the last of all.
 */
const struct portmap *portmaps_walk(const struct portmaps *p, uint32_t *place, uint32_t end);

size_t portmaps_count(const struct portmaps *p, enum portmap_origin origin);

/* Number of leases for which the datapath's table has room, beside the portmaps of a configuration. */
size_t portmaps_lease_room(const struct portmaps *p);

struct portmap_traffic {
	uint64_t packets_in;
	uint64_t packets_out;
};
void portmaps_traffic(const struct portmaps *p, const struct portmap *portmap, struct portmap_traffic *ret);

/* Marks subscribers in a prefix that have portmaps, in their records, as records of a new mapping have no marks. */
void portmaps_mark(const struct portmaps *p, struct prefix in);

/* Makes each portmap its mapping's tenant's, after mappings have got tenants, or have none any more. */
void portmaps_settle_tenants(struct portmaps *p);

/* Compares the map and the subscribers' records with the agent's records. Returns the number of portmaps compared. */
size_t portmaps_audit(const struct portmaps *p, bool repair, struct findings *findings);

/* Lists of filters of portmaps, <detnat/portmaps.h>. Pure functions. Addresses are in host byte order. */

/*
 * Adds a filter unless it exists; host bits of the address do not matter. port: 0 for all. False: there are
 * MAX_PORTMAP_FILTERS others.
 */
bool portmap_filters_add(struct portmap_filters *f, uint32_t addr, uint8_t plen, uint16_t port);

bool portmap_filters_equal(const struct portmap_filters *a, const struct portmap_filters *b);

/* Whether portmap_filters_add() could have made a list, other than the empty one. */
bool portmap_filters_valid(const struct portmap_filters *f);

/* Writes "192.0.2.1", "192.0.2.1:443", "192.0.2.0/24" or "192.0.2.0/24:443" and returns text. */
#define PORTMAP_FILTER_TEXT 40
const char *portmap_filter_format(const struct portmap_filter *f, char text[static PORTMAP_FILTER_TEXT]);

#endif
