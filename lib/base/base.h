/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by every other room: error texts, cleanup attributes and clocks. The parts of lib/base with their own header
 * (log, JSON, addresses, heap, …) are included by name; none of them depends on NAT or on the configuration.
 */
#ifndef DETNAT_BASE_H
#define DETNAT_BASE_H

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
