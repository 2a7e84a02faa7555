/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a session exists, as the programs would find it. */
#ifndef DETNAT_HELD_H
#define DETNAT_HELD_H

#include <stdbool.h>

#include <detnat/unsolicited.h>

#include "datapath/datapath.h"

/*
 * Whether a packet from outside with these endpoints would find a session, of an IPv4 or an IPv6 subscriber; also true
 * if that is unknown, so that nothing is refused in error.
 */
bool datapath_session_held(const struct datapath *d, const struct session_question *of);

#endif
