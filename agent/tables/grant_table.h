/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Granted blocks, <detnat/growth.h>: the pinned map of the datapath, and the agent's records. Which block a subscriber
 * gets, and when it is taken back, is decided in growth/; the mapping history has each change before it is made here.
 */
#ifndef DETNAT_GRANT_TABLE_H
#define DETNAT_GRANT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/growth.h>

#include "base/inside_runs.h"
#include "tables/assignments.h"
#include "tables/mappings.h"

struct grants;

enum grant_state {
	GRANT_ASKED,  /* reserved; the tables do not have it yet */
	GRANT_OPEN,   /* sessions open on it */
	GRANT_CLOSED, /* those that exist go on, none opens */
	GRANT_RESTS,  /* not granted, and not free yet */
	GRANT_FREE,   /* not granted; it has the stamp of its last act, by which those of peers are judged */
};

struct grant {
	ASSIGNMENT; /* in_addr 0: it rests, or is free; number: below GROWTH_MAX_BLOCKS; tenant: while it is open */
	uint16_t ports;
	uint8_t state; /* enum grant_state */
	bool recorded; /* growth/: a change of it is being written to the history */
	bool idle;     /* growth/: closed, or ended, only because it had no sessions */
	bool yields;   /* growth/: closed by an act of a peer, whose stamp it has */
	uint64_t from; /* as in struct grant_value */
	uint64_t until_s;
	uint64_t stamp;
	uint32_t rest_s; /* growth/: how long it rests, by its mapping, which may be gone by then; 0: not known */
	/* growth/: sessions in the last pass; when it last had one, and was made, CLOCK_MONOTONIC. */
	uint32_t sessions;
	uint32_t closed; /* number of the pass during which it was closed */
	uint64_t seen_s;
	uint64_t made_ns;
};

/*
 * Reads the pinned map, and removes what a killed agent has left half made. The mappings must outlive the result.
 */
int grants_open(struct mappings *m, struct grants **ret, struct error *err);
void grants_close(struct grants *g);

/*
 * Reserves a block, of which no other may have a port, with its address, ports and subscriber. It has the stamp of a
 * free one in its place unless it has one. NULL: out of memory, or there are MAX_GRANTS.
 */
struct grant *grants_reserve(struct grants *g, const struct grant *like);

/* Makes a reserved block its subscriber's. 0 or -errno with nothing changed. */
int grants_make(struct grants *g, struct grant *grant);

/* Closes an open one; until_s: when its sessions end at the latest, CLOCK_BOOTTIME in seconds, or GRANT_WHENEVER. */
int grants_shut(struct grants *g, struct grant *grant, uint64_t until_s);

/* Writes its stamp and peer to the map. 0 or -errno. */
int grants_touch(struct grants *g, const struct grant *grant);

/* Opens a closed one again, if the subscriber has a number below `max` left. 0, -ENOSPC or -errno. */
int grants_reopen(struct grants *g, struct grant *grant, uint32_t max);

/* Makes each open one its mapping's tenant's, after mappings have got tenants, or have none any more. */
void grants_settle_tenants(struct grants *g);

/* Takes a closed one from its subscriber: it rests from a second of the wall clock until one of CLOCK_BOOTTIME. */
int grants_rest(struct grants *g, struct grant *grant, uint64_t ended, uint64_t until_s);

/* Adds a block that rests, as of another datapath. 0, -ENOMEM or -errno. */
int grants_hold(struct grants *g, const struct grant *like);

/*
 * Keeps the stamp of a block that is not granted, one that has rested or none yet: it is free. 0; -ENOSPC: so many are
 * kept; -ENOMEM or -errno.
 */
int grants_free(struct grants *g, struct grant *grant);
int grants_remember(struct grants *g, const struct grant *like);

/* Removes one in any state. */
void grants_drop(struct grants *g, struct grant *grant);

/* NULL: there is none. */
struct grant *grants_find(const struct grants *g, uint32_t out_addr, uint16_t port_lo);

/* The one that has a port, in whatever state but free; NULL: none. */
struct grant *grants_at(const struct grants *g, uint32_t out_addr, uint16_t port);

/* Whose port it is: that of a subscriber, not one that is reserved or rests; NULL: not granted. */
const struct grant *grants_owner(const struct grants *g, uint32_t out_addr, uint16_t port);

/*
 * The first or, after `before`, the next one of a subscriber, by inside_place() of base/inside_runs.h, or of an outside
 * address, in no order; NULL: no more. An inside address alone, without a tenant, stands for those of all tenants.
 */
struct grant *grants_of(const struct grants *g, uint64_t place, const struct grant *before);
struct grant *grants_on(const struct grants *g, uint32_t out_addr, const struct grant *before);

/* All in turn, from *at on, which begins as 0; NULL: no more. Others may be added and removed meanwhile. */
struct grant *grants_walk(const struct grants *g, uint32_t *at);

/* All have places below the first of these numbers; the grant of a place, or NULL. */
uint32_t grants_end(const struct grants *g);
const struct grant *grants_get(const struct grants *g, uint32_t place);

/* A number for the next grant of a subscriber of the outside address's tenant below `max`; -1: all are in use. */
int grants_number(const struct grants *g, uint32_t in_addr, uint32_t out_addr, uint32_t max);

/*
 * The number of a free block of an outside address of this mapping, from block `first` on in a circle; -1: none is
 * free. *ret_free (may be NULL): how many are.
 */
int grants_free_block(const struct grants *g, const struct mapping *m, uint32_t out_addr, uint32_t first,
		      uint32_t *ret_free);

/* Tells the datapath whether an address has no block left. */
void grants_tell_none_left(struct grants *g, uint32_t out_addr, bool none);
bool grants_none_left(const struct grants *g, uint32_t out_addr);

/* Removes such entries of addresses for which keep() is false. */
void grants_prune_none_left(struct grants *g, bool (*keep)(void *arg, uint32_t out_addr), void *arg);

/* Until which tick of the datapath an agent grants blocks. */
void grants_serve_until(struct grants *g, uint32_t tick);

struct grant_figures {
	uint32_t grants; /* of subscribers */
	uint64_t ports;
	uint32_t rests;
	uint32_t free;		 /* kept for their stamps */
	uint32_t addresses_full; /* that have none left */
};
void grants_count(const struct grants *g, struct grant_figures *ret);

/* Compares the map with the agent's records. Returns the number of grants compared. */
size_t grants_audit(struct grants *g, bool repair, struct findings *findings);

#endif
