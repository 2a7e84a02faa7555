/* SPDX-License-Identifier: BSD-2-Clause */
/* Removes a datapath: from the interfaces, from the routes, and its pins. */
#ifndef DETNAT_DETACH_H
#define DETNAT_DETACH_H

#include "config/config.h"
#include "datapath/datapath.h"

/*
 * Detaches d and removes its pins under the pin path of the configuration; closes d in any case. Before that it shuts
 * all interfaces in the guard.
 */
int detach_datapath(struct datapath *d, const struct config *c, struct error *err);

/*
 * The same for everything under a pin path, for --detach, including programs whose pins are gone. *ret_found: whether
 * there was anything. -EBUSY if an agent is running.
 */
int detach_pinned(const struct config *c, bool *ret_found, struct error *err);

/* Removes the guard, last, so that a partial detach stays shut. *ret_found: whether there was one. */
int detach_guard(const char *pin_path, bool *ret_found, struct error *err);

#endif
