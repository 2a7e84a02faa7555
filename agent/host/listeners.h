/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that the service manager listens on for the agent (sd_listen_fds(3)): it has them from the boot on, whether
 * an agent runs or not, so that no other program can take the port meanwhile.
 */
#ifndef DETNAT_LISTENERS_H
#define DETNAT_LISTENERS_H

#include "base/address.h"

/* A copy of the one that listens there, non-blocking, or -ENOENT. The original stays for a later time. */
int listeners_find(struct endpoint at);

#endif
