/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the kernel forwards packets received by an interface (sysctl net.ipv4.conf.NAME.forwarding). */
#ifndef DETNAT_FORWARDING_H
#define DETNAT_FORWARDING_H

#include <stdbool.h>

#include "config/config.h"

/* Whether forwarding is off for the interface of that name; false if there is none. */
bool forwarding_is_off(const char *name);

/* The same of IPv6, for which one setting of all interfaces counts; false where there is no IPv6. */
bool forwarding6_is_off(void);

/* Logs that forwarding is off for an interface, and how to switch it on. */
void forwarding_warn(const char *name);

/* Warns of each interface of the configuration for which forwarding is off. For -t. */
void forwarding_check(const struct config *c);

#endif
