/* SPDX-License-Identifier: BSD-2-Clause */
/* Which capabilities the agent works with: four, whoever it runs as. */
#ifndef DETNAT_PRIVILEGES_H
#define DETNAT_PRIVILEGES_H

#include "base/base.h"

/* Refuses to go on (-EPERM) without one of them; err names those that are missing and how to give them. */
int privileges_check(struct error *err);

/*
 * Gives up all others for good, also those that an executed program would get, in the calling thread and those that it
 * starts. What root alone can do is done before: mounts, directories, the files of other users.
 */
void privileges_drop(void);

#endif
