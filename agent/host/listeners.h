/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets on which the service manager listens for the agent (sd_listen_fds(3)): from boot on and between runs of the
 * agent, so that no other program can take the port.
 */
#ifndef DETNAT_LISTENERS_H
#define DETNAT_LISTENERS_H

#include "base/address.h"

/*
 * Returns a non-blocking duplicate of the socket that listens there, or -ENOENT. The original is kept for later calls.
 */
int listeners_find(struct endpoint at);

#endif
