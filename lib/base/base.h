/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The room's public header: what every other file uses of it, which is error texts, cleanup attributes and clocks.
 * Everything in lib/base is independent of NAT and of the configuration; parts with a header of their own (log, JSON,
 * addresses, heap) are included by name.
 */
#ifndef DETNAT_BASE_H
#define DETNAT_BASE_H

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
