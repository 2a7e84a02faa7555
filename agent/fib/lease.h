/* SPDX-License-Identifier: BSD-2-Clause */
/* The lease of the copy, and the waits for running programs that changes of next hops and nodes need. */
#ifndef DETNAT_FIB_LEASE_H
#define DETNAT_FIB_LEASE_H

#include "fib/route_copy_private.h"

/* Ends the lease while any reason holds it; renews it otherwise. */
void lease_hold(struct route_copy *c, enum route_copy_hold why, bool held);

/*
 * Renews the lease if nothing holds it. Called several times a second. If it has run out, as the agent was stopped or
 * busy or something held it, the notifications that wait are processed first (route_copy_on_return()).
 */
void lease_renew(struct route_copy *c);

/* Whether the datapath goes by the copy. */
bool lease_stands(const struct route_copy *c);

/* Begins a wait for programs soon, if anything waits for one. */
void lease_settle_soon(struct route_copy *c);

/* Begins a wait, at once; lease_settle_end() returns true when it has ended. */
void lease_settle_begin(struct route_copy *c);
bool lease_settle_end(struct route_copy *c);

#endif
