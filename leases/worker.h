/* SPDX-License-Identifier: BSD-2-Clause */
/* The work of detnat-leases: servers and followers of the sources in force, and the files of leases. */
#ifndef DETNAT_WORKER_H
#define DETNAT_WORKER_H

#include "identity/lease_wire.h"

/* Descriptors beside those of sources that end a wait; -1: none. */
#define WORKER_OTHERS 3U

struct worker;

int worker_new(struct worker **ret); /* -ENOMEM */

/* Writes what is there, and frees. */
void worker_free(struct worker *k);

/* Puts sources in force, whose means it owns from then on. */
void worker_adopt(struct worker *k, struct lease_means *means);

/* The rules in force; NULL: there are none yet. */
const struct config_leases *worker_rules(const struct worker *k);

/* Does what is due, and waits until something is or a descriptor is readable. Returns whether a second has begun. */
bool worker_turn(struct worker *k, const int others[static WORKER_OTHERS]);

/* Fills in the trouble and figures; news are told once. */
void worker_report(struct worker *k, struct lease_report *ret);

/* A socket whose buffer has not been enlarged, which is given out once; -1: there is none. */
int worker_small_socket(struct worker *k);

#endif
