/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_FULL_BUFFERS_H
#define DETNAT_FULL_BUFFERS_H

#include <stdint.h>

/*
 * UDP packets that a socket's buffer had no room for, of all sockets of the network namespace: the kernel's
 * RcvbufErrors. Returns 0 if it cannot be read.
 */
uint64_t full_buffers(void);

#endif
