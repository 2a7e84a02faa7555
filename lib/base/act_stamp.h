/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time of an act on something that gateways share, as a number that all of them compare alike: milliseconds of the
 * wall clock, and 16 bits that keep two acts apart. An act always gets a higher stamp than the gateway's last known
 * act, so different clocks matter only for acts of which neither gateway knew the other.
 */
#ifndef DETNAT_ACT_STAMP_H
#define DETNAT_ACT_STAMP_H

#include <stdint.h>

/* A higher stamp is invalid: no gateway's clock will reach it. */
#define ACT_STAMP_MAX (1ULL << 62)

/* The stamp for an act now, on something whose last known act had `before`. */
uint64_t act_stamp_next(uint64_t before);

#endif
