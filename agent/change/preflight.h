/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of a configuration that need the machine: interfaces, memory, next hops. They change nothing. */
#ifndef DETNAT_PREFLIGHT_H
#define DETNAT_PREFLIGHT_H

#include "config/config.h"

/*
 * Refuses interfaces that do not exist (unless they stand in `running`, which may be NULL: those are waited for; a
 * start waits for all of them, with a warning, as there may be nobody to read a refusal), mappings whose tables need
 * more memory than the machine has free (those of `running` are paid already), and pools that hold a next hop. Messages
 * name file, line and key path as config_load() does.
 */
int check_machine(const struct config *c, const struct config *running, bool starting, const char *name,
		  struct error *err);

#endif
