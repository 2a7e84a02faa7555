/* SPDX-License-Identifier: BSD-2-Clause */
/* What root gives to the user of detnat-leases before it starts: the directory of leases, and the secrets of RADIUS. */
#ifndef DETNAT_PREPARE_LEASES_H
#define DETNAT_PREPARE_LEASES_H

#include "config/config.h"

/*
 * Makes the directory of leases, with what the agent itself wrote before there was one, and gives it and secrets that
 * the agent's user has to detnat-leases, whose group is the agent's. Nothing where there is no such user. 0, or -errno
 * with err.
 */
int prepare_leases(const struct config *c, uid_t agent, gid_t readers, struct error *err);

#endif
