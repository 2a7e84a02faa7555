/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only root can do for an agent that then works without root's privileges: the bpffs, and that pins and history
 * are its user's, whoever ran the agent before.
 */
#ifndef DETNAT_PREPARE_H
#define DETNAT_PREPARE_H

#include "config/config.h"

/* For an agent of this user. 0 or -errno with err. */
int prepare_for(const struct config *c, uid_t uid, gid_t gid, struct error *err);

/* For the user `detnat`, as detnat.service has it run. */
int prepare_for_agent(const struct config *c, struct error *err);

#endif
