/* SPDX-License-Identifier: BSD-2-Clause */
/* The four capabilities that the agent works with, whatever user it runs as. */
#ifndef DETNAT_PRIVILEGES_H
#define DETNAT_PRIVILEGES_H

#include "base/base.h"

/* Returns -EPERM if one is missing; err names the missing ones and how to grant them. */
int privileges_check(struct error *err);

/*
 * Drops all other capabilities for good, also from the bounding set, in the calling thread and the threads it starts.
 * What needs root is done before: mounts, directories, other users' files.
 */
void privileges_drop(void);

#endif
