/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions of one host in the extent of a gateway, put there and changed as the datapath does. */
#ifndef DETNAT_TEST_BEYOND_FIXTURE_H
#define DETNAT_TEST_BEYOND_FIXTURE_H

#include "copying_fixture.h"

/* The host: 10.0.0.7. All its sessions are with 198.51.100.7:443. */
#define HOST 7U

/* A connection on a port of its block, by the port's offset. */
struct session beyond_session(const struct gateway *g, uint16_t in_port, uint16_t offset);
void beyond_put(struct gateway *g, const struct session *s);
struct slot *beyond_open(struct gateway *g, uint16_t in_port, uint16_t offset);

/* The offset of its first choice. */
uint16_t first_offset(const struct gateway *g, uint16_t in_port);

/* Where it is, in time-wait as well; NULL: nowhere. */
struct slot *beyond_slot(struct gateway *g, uint16_t in_port);

/* The number of live ones. */
unsigned beyond_count(struct gateway *g);

/* A packet of it from inside at this tick. */
void beyond_touch(struct gateway *g, uint16_t in_port, uint32_t tick);

void beyond_end(struct gateway *g, uint16_t in_port);

/* Extents can have so many buckets more. */
void beyond_room(struct gateway *g, uint32_t buckets);

#endif
