/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a datapath: off the interfaces, off the routes, and no pin left. */
#ifndef DETNAT_DETACH_H
#define DETNAT_DETACH_H

#include "datapath/datapath.h"

/* Detaches d and removes what is pinned under the pin path; d is closed in any case. */
int detach_datapath(struct datapath *d, const char *pin_path, struct error *err);

/*
 * The same for whatever is found under a pin path, for --detach; programs whose pins are gone go, too. *ret_found:
 * whether there was anything. -EBUSY where an agent runs.
 */
int detach_pinned(const char *pin_path, bool *ret_found, struct error *err);

/* Takes the guard away, last, so that what is detached half way stays shut. *ret_found: whether there was one. */
int detach_guard(const char *pin_path, bool *ret_found, struct error *err);

#endif
