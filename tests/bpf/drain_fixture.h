/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests of mappings that drain: the fixture with drains turned on, and its mapping renumbered. */
#ifndef DETNAT_TEST_DRAIN_FIXTURE_H
#define DETNAT_TEST_DRAIN_FIXTURE_H

#include "icmp_frame.h"
#include "staged.h"

#define NEW_POOL ADDR(203, 0, 113, 64)
/* In place of the fixture's mapping: four times the ports. */
#define NEW_PORTS	     4032
#define NEW_PORT(in_port, n) (1024 + NEW_PORTS * ((n)&15) + (in_port) % NEW_PORTS)
#define OWN_OUT		     ADDR(203, 0, 113, 200)

#define FROM_HOST	 .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define LEAVES(out_addr) .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = out_addr, .dst = EXTERNAL
#define TO_ROUTER	 .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .dst = EXTERNAL
#define FROM_ROUTER	 .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL
#define TO_HOST		 .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER

/* The fixture's mapping. */
extern const struct prefix all, old_out;
/* What takes its place. */
extern const struct prefix new_out;

void drain_set_up(void);

/* Adds a mapping whose timeouts are 300 seconds. */
void drain_add(struct prefix in, struct prefix out, uint16_t slots, uint32_t quota, const struct mapping_handover *how);

/* Replaces the fixture's mapping, which drains for 600 seconds. */
void renumber(void);

/* What an agent finds that starts after another was killed. */
void start_again(void);

#endif
