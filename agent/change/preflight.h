/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of a configuration against the machine: interfaces, memory, next hops, directories. They change nothing. */
#ifndef DETNAT_PREFLIGHT_H
#define DETNAT_PREFLIGHT_H

#include "config/config.h"
#include "fib/route_copy.h"

/*
 * Refuses interfaces that do not exist, mappings whose tables need more memory than is free, and pools that hold a next
 * hop. What `running` (may be NULL) has already is not checked again: its interfaces are waited for, its tables exist.
 * A start waits for all interfaces, with a warning. routes: of the running agent, which knows next hops without reading
 * all routes; NULL: they are read. Messages name file, line and key path as config_load() does.
 */
int check_machine(const struct config *c, const struct config *running, bool starting, const struct route_copy *routes,
		  const char *name, struct error *err);

/*
 * Whether the directories of control_socket, pin_path and state_dir exist or can be made; nothing is made. 0, or -errno
 * with err as above.
 */
int check_paths(const struct config *c, const char *name, struct error *err);

/* What the bound ports of a mapping take, octets (bindings: <detnat/binding.h>). */
uint64_t config_binding_memory(const struct config *c, const struct config_mapping *m);

#endif
