/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A mapping whose blocks grow: 10.1.0.0/25 shares one outside address, which leaves the ports above the last block to
 * its shared range. The test plays the agent.
 */
#ifndef DETNAT_TEST_GRANT_FIXTURE_H
#define DETNAT_TEST_GRANT_FIXTURE_H

#include "fixture.h"

#define IN    ADDR(10, 1, 0, 2)
#define THIRD ADDR(10, 1, 0, 3)
#define OUT   ADDR(203, 0, 113, 200)

/* How the ports are shared out. */
struct grant_plan {
	uint16_t ports; /* of each subscriber */
	uint16_t block;
	uint16_t max_blocks;
	uint16_t quota;
	uint16_t slots;
	struct binding_layout bindings;
};

void set_up_plan(const struct grant_plan *plan);

/* What an agent does: one entry, a grant, and its end in two steps. */
void grant_entry(uint32_t addr, uint16_t at, uint8_t direction, uint32_t to, uint16_t port_lo);
void grant(uint32_t in_addr, uint16_t number, uint16_t port_lo);
void grant_close(uint32_t in_addr, uint16_t number);
void grant_take_back(uint16_t port_lo);

/* Whether an agent grants blocks. */
void serve_growth(bool served);

/* open_flow_in_time() for IN. */
int open_of(uint8_t proto, uint16_t in_port, uint16_t ext_port, uint8_t flags);

/* Events in which the agent was asked for a block for IN, since the last call. */
unsigned asked(void);

/* Waits until the agent would be asked again. */
void wait_for_next_request(void);

#endif
