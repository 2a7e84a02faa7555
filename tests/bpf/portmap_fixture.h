/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests of portmaps: the fixture with them turned on, and the table of the agent. */
#ifndef DETNAT_TEST_PORTMAP_FIXTURE_H
#define DETNAT_TEST_PORTMAP_FIXTURE_H

#include "fixture.h"
#include "tables/portmap_table.h"

extern struct portmaps *portmaps;

void portmap_set_up(void);
void portmap_tear_down(void);

/* WEB is below all blocks, CAM in the block of SUBSCRIBER. */
#define WEB 443
#define CAM (PORT_LO + 500)

/* Makes a portmap of a port of POOL. */
void map_port(uint8_t proto, uint32_t in_addr, uint16_t in_port, uint16_t out_port);

/* Makes or renews a lease of that kind, which ends in so many seconds. */
void lease_port(uint8_t proto, uint32_t in_addr, uint16_t in_port, uint16_t out_port, int64_t left_s);

/* Adds a filter to such a portmap. */
void filter_port(uint8_t proto, uint16_t out_port, uint32_t addr, uint8_t plen, uint16_t port);

#define FROM_HOST	.from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER	.ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER	.from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST		.ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
#define DROPPED(reason) DROP_XDP, {}, REASON_##reason

#endif
