/* SPDX-License-Identifier: BSD-2-Clause */
/* The guard without an agent, for `detnat-agent --guard`: before the first start after boot. */
#ifndef DETNAT_GUARD_INSTALL_H
#define DETNAT_GUARD_INSTALL_H

#include "guard/guard.h"
#include "service/service.h"

/* Lets the guard leave open the interfaces that carry programs under the pin path; none if they cannot be read. */
void guard_open_carriers(struct guard *g, const char *pin_path);

/*
 * Puts the guard up for the mappings of the file, and of a datapath that stands; open is what carries its programs.
 * With "guard": false it is taken away. Where an agent runs, which sees to it, nothing is done. *ret_done: what was
 * done, for the user.
 */
enum exit_status guard_install(const char *config_path, const char **ret_done, struct error *err);

#endif
