/* SPDX-License-Identifier: BSD-2-Clause */
/* Two gateways where one host has an extent, and connections there, put there and changed as the datapath does. */
#ifndef DETNAT_TEST_EXTENTS_PAIR_FIXTURE_H
#define DETNAT_TEST_EXTENTS_PAIR_FIXTURE_H

#include <detnat/extents.h>

#include "beyond_fixture.h"

/* The host's, at first and after a move: first bucket, and log2 of their number. */
#define EXTENT	extent_of(4, 2)
#define ANOTHER extent_of(32, 4)

void extents_pair_make(void);

/* The session of an inside port of those in beyond_fixture.h, on the port of its first choice. */
uint64_t extents_key(uint16_t in_port);
struct slot *extents_place(struct gateway *g, uint32_t extent, uint16_t in_port);
struct slot *extents_open(struct gateway *g, uint16_t in_port);

/* A packet of it from inside at this tick, as the datapath applies it. */
void extents_touch(struct gateway *g, uint16_t in_port, uint32_t tick);

void extents_end(struct gateway *g, uint16_t in_port);

/* Passes of both, and another try of what waits, until nothing changes any more. */
void extents_settle(void);

#endif
