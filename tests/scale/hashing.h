/* SPDX-License-Identifier: BSD-2-Clause */
/* Subscribers, each hashed by itself to a gateway. */
#ifndef DETNAT_SCALE_HASHING_H
#define DETNAT_SCALE_HASHING_H

#include "options.h"

/* Subscribers of the fullest gateway, as a multiple of the mean. */
double hashing_fullest(const struct options *options, uint32_t gateways);

/* Share of the other gateways' subscribers that get another one when gateway k (from 0) goes. */
double hashing_moved(const struct options *options, uint32_t gateways, uint32_t k);

/* Share of subscribers with more than one outside address, of a million at most. */
double hashing_scattered(const struct options *options, uint32_t gateways);

/* Share of sessions whose answers come to the gateway that has them, of a million at most, with one pool for all
 * gateways and ECMP on both sides. */
double hashing_met(const struct options *options, uint32_t gateways);

#endif
