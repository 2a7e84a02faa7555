/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard: a small nftables table beside the BPF programs that fails closed and needs no agent. It drops forwarded
 * packets that would leave with an inside address through an interface that is neither inside nor carries the programs,
 * and packets that arrive through such an interface straight for an inside address. Interfaces are identified by index,
 * so one that is recreated stays shut until it carries the programs. The table is described in guard/rules.c.
 *
 * Failures of the guard never fail the agent: they are logged, shown in `status`, and retried.
 */
#ifndef DETNAT_GUARD_H
#define DETNAT_GUARD_H

#include <event2/event.h>

#include "config/config.h"
#include "datapath/datapath.h"

struct guard;
struct findings;

/* base is NULL in a process that writes the table once and ends. */
int guard_new(struct event_base *base, const char *pin_path, struct guard **ret);
void guard_free(struct guard *g); /* keeps the table */

/*
 * Guards the inside prefixes of both configurations, the running and the wanted one, towards everything but the bypass
 * of the wanted one, or else of the running one. Either may be NULL. If both say "guard": false, the table is removed.
 * 0 or -errno, which has been logged.
 */
int guard_configure(struct guard *g, const struct config *running, const struct config *wanted);

/*
 * guard_configure() of what runs by then, which is *running, in a tenth of a second, or when the guard is freed: after
 * deletions the table may cover more for a while, and many of them cost one transaction.
 */
void guard_narrow_soon(struct guard *g, struct config *const *running);

/*
 * Drops all packets of these inside prefixes, at any interface, until the next guard_configure() or guard_hold(): while
 * a mapping is replaced by another with the same addresses, no program translates them. n 0: none.
 */
void guard_hold(struct guard *g, const struct prefix *in, size_t n);

/* Sets the interfaces, by index, that packets of subscribers may cross; all others are shut. */
void guard_open(struct guard *g, const uint32_t *ifindex, size_t n);

/* Shuts interfaces that are not in the list, and opens none. */
void guard_keep(struct guard *g, const uint32_t *ifindex, size_t n);
void guard_shut(struct guard *g, uint32_t ifindex);

/* Adds the packets that the table has counted to the datapath's counters. */
void guard_count(struct guard *g, const struct datapath *d);

/* Seconds since new drops were last seen in the table; -1: never. */
int64_t guard_last_drop(const struct guard *g);

/* Whether its table is there: it is wanted, and nothing prevents it. */
bool guard_is_up(const struct guard *g);

/* NULL if the guard is in place or not wanted, else the reason why it is not. */
const char *guard_problem(const struct guard *g);

/*
 * Adds what the table lacks, and what it should not have, to the findings. repair: also rewrites the table. *ret_parts:
 * how many parts were compared. 0; 1 if other programs keep changing tables, so ask again; or -errno.
 */
int guard_audit(struct guard *g, bool repair, struct findings *findings, size_t *ret_parts);

/*
 * Shuts all interfaces in the table of a pin path, if there is one, without an agent. The arguments are those of
 * guard_configure(). 0 or -errno.
 */
int guard_shut_all(const char *pin_path, const struct config *running, const struct config *wanted);

/* Removes the table of a pin path. 0, -ENOENT if there is none, or -errno. */
int guard_remove(const char *pin_path);

/* Whether there is a table for a pin path. */
bool guard_is_there(const char *pin_path);

#endif
