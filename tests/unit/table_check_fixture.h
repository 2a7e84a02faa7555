/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions of one subscriber where the datapath would have put them, and the check of all tables. */
#ifndef DETNAT_TEST_TABLE_CHECK_FIXTURE_H
#define DETNAT_TEST_TABLE_CHECK_FIXTURE_H

#include "sessions/check.h"
#include "sessions_fixture.h"

#define HOST "10.0.0.7"
#define PEER 0xc6336407U

/* Where a flow from HOST stands by the rules; other: the second bucket instead. */
uint32_t right_place(uint16_t in_port, uint16_t ext_port, bool other);

uint32_t port_lo(void);

uint16_t right_port(uint16_t in_port);

struct slot *open_at(uint32_t slot, uint16_t in_port, uint16_t out_port, uint8_t state);

/* A session as the datapath opens it. */
struct slot *right_flow(uint16_t in_port);

struct slot *flow_beyond(uint16_t in_port);

/* Goes through all tables. */
struct findings check(bool repair, struct check_figures *ret_figures);

void right(void);

#endif
