/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readings of everything, step by step: links, addresses, nexthop objects, neighbours, routes; then what was not seen
 * is removed, and the trie painted if it has not been. Notifications go on meanwhile.
 */
#ifndef DETNAT_FIB_READING_H
#define DETNAT_FIB_READING_H

#include "fib/route_copy_private.h"

void reading_begin(struct route_copy *c);

/* The same where what is known may be wrong: the lease ends, until a reading has ended. */
void reading_begin_stale(struct route_copy *c);

/* Messages of a dump, or notifications. */
void reading_message(struct route_copy *c, const struct nlmsghdr *h, bool notified);

/* A dump has ended. */
void reading_ended(struct route_copy *c, int r);

/* Has the trie painted as a whole; the lease ends. */
void reading_repaint(struct route_copy *c);

/* No program reads the trie any more. */
void reading_empty(struct route_copy *c);

/* Works for some milliseconds. Whether there is more to do. */
bool reading_work(struct route_copy *c);

#endif
