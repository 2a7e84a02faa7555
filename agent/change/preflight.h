/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of a configuration against the machine: interfaces, memory, next hops, directories. They change nothing. */
#ifndef DETNAT_PREFLIGHT_H
#define DETNAT_PREFLIGHT_H

#include "config/config.h"
#include "fib/route_copy.h"

/* A test of a file, a start, or a change of what runs. */
enum check_purpose { CHECK_TEST, CHECK_START, CHECK_CHANGE };

/*
 * Refuses interfaces that do not exist, VRFs of tenants that are none, mappings whose tables need more memory than is
 * free, and pools that hold a next hop. Skips what `running` (may be NULL) has already: its interfaces may appear
 * later, its tables exist. A start only warns about missing interfaces; of missing VRFs, which may be made later, a
 * change does so, too. routes: the running agent's copy, which knows next hops without reading all routes; NULL: reads
 * them. Messages name file, line and key path as config_load() does.
 */
int check_machine(const struct config *c, const struct config *running, enum check_purpose purpose,
		  const struct route_copy *routes, const char *name, struct error *err);

/*
 * Whether the directories of control_socket, pin_path and state_dir exist or can be made; nothing is made. 0, or -errno
 * with err as above.
 */
int check_paths(const struct config *c, const char *name, struct error *err);

/* Memory in octets that the bound ports of a mapping take (bindings: <detnat/binding.h>). */
uint64_t config_binding_memory(const struct config *c, const struct config_mapping *m);

#endif
