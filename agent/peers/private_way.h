/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether frames without an HMAC may go to a peer. */
#ifndef DETNAT_PRIVATE_WAY_H
#define DETNAT_PRIVATE_WAY_H

#include <stdint.h>

#include "base/base.h"

/*
 * 0 if the route to an address leaves by the loopback interface, or by one that encrypts (wireguard, xfrm, vti). -EPERM
 * with err if it leaves by another, -ENETUNREACH if there is none, or another -errno.
 */
int private_way_check(uint32_t addr, struct error *err);

#endif
