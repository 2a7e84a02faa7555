/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only root can do for an agent that runs as another user: mount the bpffs, and give that user the pins and the
 * history, whichever user ran the agent before.
 */
#ifndef DETNAT_PREPARE_H
#define DETNAT_PREPARE_H

#include "config/config.h"

/* For an agent of this user. 0 or -errno with err. */
int prepare_for(const struct config *c, uid_t uid, gid_t gid, struct error *err);

/* For the user `detnat`, as in detnat.service. */
int prepare_for_agent(const struct config *c, struct error *err);

#endif
