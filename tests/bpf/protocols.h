/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of subscribers, one of which has an outside address of its own. */
#ifndef DETNAT_TEST_PROTOCOLS_H
#define DETNAT_TEST_PROTOCOLS_H

#include "fixture.h"

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define UP	    PASS_XDP, {}, REASON_passed_untranslated

/* Subscribers with an address of their own, behind HOST: 10.0.1.0/29 -> 203.0.113.64/29. */
#define OWN	   ADDR(10, 0, 1, 2)
#define OWN_OUT	   ADDR(203, 0, 113, 66)
#define SECOND	   ADDR(10, 0, 1, 3)
#define SECOND_OUT ADDR(203, 0, 113, 67)

#define OWN_SENDS  .from = HOST, .to = GATEWAY_IN, .src = OWN, .dst = EXTERNAL
#define OWN_LEAVES .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = OWN_OUT, .dst = EXTERNAL
#define TO_OWN	   .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = OWN_OUT
#define OWN_GETS   .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = OWN

enum { IPIP = 4, DCCP = 33, GRE = 47, ESP = 50, SCTP = 132, UDP_LITE = 136 };

#define FAR	 ADDR(192, 0, 2, 200) /* a router on the way */
#define FROM_FAR .from = ROUTER, .to = GATEWAY_OUT, .src = FAR

#endif
