/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard without an agent, for `detnat-agent --guard`: it covers the time from boot to the first start. */
#ifndef DETNAT_GUARD_INSTALL_H
#define DETNAT_GUARD_INSTALL_H

#include "guard/guard.h"
#include "service/service.h"

/* Excludes from the guard the interfaces with programs under the pin path; none if they cannot be read. */
void guard_open_carriers(struct guard *g, const char *pin_path);

/*
 * Installs the guard for the mappings of the file and of a running datapath; interfaces with its programs stay open.
 * With "guard": false it is removed. While an agent runs, nothing is done, as the guard is the agent's. *ret_done: what
 * was done, for the user.
 */
enum exit_status guard_install(const char *config_path, const char **ret_done, struct error *err);

#endif
