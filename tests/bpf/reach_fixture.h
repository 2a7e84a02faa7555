/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fixture with all that takes packets of anybody: a portmap (UDP and TCP, port WEB of POOL to 8080 of SUBSCRIBER),
 * a bound port of SUBSCRIBER (BOUND, of inside port 6304, with a UDP session with EXTERNAL:53), and OPEN_IN with an
 * address of its own. Senders inside that no mapping has: ROUTED, behind a router there, and STRAY, routed outside.
 */
#ifndef DETNAT_TEST_REACH_FIXTURE_H
#define DETNAT_TEST_REACH_FIXTURE_H

#include "binding_fixture.h"
#include "portmap_fixture.h"

#define OPEN_IN	 ADDR(10, 0, 0, 40)
#define OPEN_OUT ADDR(203, 0, 113, 66)
#define ROUTED	 ADDR(192, 0, 3, 9)
#define STRAY	 ADDR(192, 0, 2, 9)
#define BOUND	 OUT_PORT(6304, 2)
#define GRE	 47

void reach_set_up(void);

/* A second inside interface, with a route to a prefix, or one without a role. */
uint32_t reach_second(const char *prefix, uint8_t roles);

void reach_run(const char *commands);

#endif
