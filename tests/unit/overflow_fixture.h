/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions of one host in the overflow of a gateway, put there and changed as the datapath does. */
#ifndef DETNAT_TEST_OVERFLOW_FIXTURE_H
#define DETNAT_TEST_OVERFLOW_FIXTURE_H

#include "copying_fixture.h"

/* The host: 10.0.0.7. All its sessions are with 198.51.100.7:443. */
#define HOST 7U

/* A connection on a port of its block, by the port's offset. */
struct session beyond_session(const struct gateway *g, uint16_t in_port, uint16_t offset);
void beyond_open(struct gateway *g, uint16_t in_port, uint16_t offset);

/* Its IN2OUT entry. */
struct overflow_key beyond_key(const struct gateway *g, uint16_t in_port);
bool beyond_entry(struct gateway *g, uint16_t in_port, struct overflow_session *ret);
void beyond_store(struct gateway *g, uint16_t in_port, const struct overflow_session *s);

/* A packet of it at this tick. */
void beyond_touch(struct gateway *g, uint16_t in_port, uint32_t tick);

void beyond_end(struct gateway *g, uint16_t in_port);

#endif
