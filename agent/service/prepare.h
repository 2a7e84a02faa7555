/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tasks that only root can do for an agent that runs as another user: mount the bpffs, and give that user the pins
 * and the history, whichever user ran the agent before.
 */
#ifndef DETNAT_PREPARE_H
#define DETNAT_PREPARE_H

#include "config/config.h"
#include "guard/guard.h"
#include "service/service.h"

/* For an agent of this user. 0 or -errno with err. */
int prepare_for(const struct config *c, uid_t uid, gid_t gid, struct error *err);

/* For the user `detnat`, as in detnat.service. */
int prepare_for_agent(const struct config *c, struct error *err);

/* The guard without an agent, for `detnat-agent --guard`: it covers the time from boot to the first start. */

/* Excludes from the guard the interfaces with programs under the pin path; none if they cannot be read. */
void guard_open_carriers(struct guard *g, const char *pin_path);

/*
 * Installs the guard for the mappings of the file and of a running datapath; interfaces with its programs stay open.
 * Removes it with "guard": false. Does nothing while an agent runs, as the guard is the agent's. *ret_done: the result,
 * for the user.
 */
enum exit_status guard_install(const char *config_path, const char **ret_done, struct error *err);

#endif
