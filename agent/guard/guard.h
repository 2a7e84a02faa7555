/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard: a small nftables table beside the programs, which needs no agent. It stops forwarded packets that would
 * leave with an inside address by an interface that is neither inside nor carries the programs, and those that come
 * straight to an inside address by such an interface. Interfaces are known by their index, so one that is made again is
 * shut until it carries the programs. See guard/rules.c for the table.
 *
 * Trouble with it never fails what the agent is about: it is told, shown in `status`, and tried again.
 */
#ifndef DETNAT_GUARD_H
#define DETNAT_GUARD_H

#include <event2/event.h>

#include "config/config.h"
#include "datapath/datapath.h"

struct guard;
struct findings;

/* base NULL: for a process that writes the table once and ends. */
int guard_new(struct event_base *base, const char *pin_path, struct guard **ret);
void guard_free(struct guard *g); /* leaves the table */

/*
 * Guards the inside prefixes of both configurations, either of which may be NULL, towards all but the bypass of the
 * second, or else the first: what runs and what is about to. With "guard": false in both the table is taken away.
 * Returns 0 or -errno, which has been told.
 */
int guard_configure(struct guard *g, const struct config *running, const struct config *wanted);

/*
 * Lets nothing of these inside prefixes pass, by whatever interface, until the next guard_configure() or call: between
 * the end of a mapping and the beginning of another of the same addresses no program knows them. n 0: of none.
 */
void guard_hold(struct guard *g, const struct prefix *in, size_t n);

/* The interfaces that packets of subscribers may cross, by index; what was open and is not among them is shut. */
void guard_open(struct guard *g, const uint32_t *ifindex, size_t n);

/* Shuts those that are not in the list, and opens none. */
void guard_keep(struct guard *g, const uint32_t *ifindex, size_t n);
void guard_shut(struct guard *g, uint32_t ifindex);

/* Moves what the table has counted to the datapath's counters. */
void guard_count(struct guard *g, const struct datapath *d);

/* How many seconds ago the table was last seen to have dropped anything; -1: it was not yet. */
int64_t guard_last_drop(const struct guard *g);

/* NULL where the guard stands; else why it does not. */
const char *guard_problem(const struct guard *g);

/*
 * Adds what the table has that it should not have, or lacks, to the findings; repair: and writes it anew. *ret_parts:
 * things in it that were compared. 1 where others change tables all the time, so that it is to be asked again; 0, or
 * -errno.
 */
int guard_audit(struct guard *g, bool repair, struct findings *findings, size_t *ret_parts);

/* Takes the table of a pin path away. 0, -ENOENT where there is none, or -errno. */
int guard_remove(const char *pin_path);

/* Whether there is a table of a pin path. */
bool guard_is_there(const char *pin_path);

#endif
