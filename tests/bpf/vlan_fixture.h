/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames with VLAN tags. The fixture's two interfaces stand for VLAN interfaces here, whose frames come in by others:
 * tin is VLAN 100 on pin, tout is the 802.1ad VLAN 200 on pout.
 */
#ifndef DETNAT_TEST_VLAN_FIXTURE_H
#define DETNAT_TEST_VLAN_FIXTURE_H

#include "fixture.h"

#define Q  0x8100
#define AD 0x88a8

/* The interfaces below, by which frames come in; a test may change them. */
extern uint32_t below_inside, below_outside;

void set_up_vlans(void);

/* Makes an interface the VLAN of this tag on another. */
void describe_vlan(uint32_t ifindex, uint32_t lower, uint16_t tpid, uint16_t id);

struct tag {
	uint16_t tpid; /* 0: there is none */
	uint16_t tci;
};

/* frame_build() with tags, outermost first, for which the buffer needs 12 octets more. */
size_t frame_tagged(const struct frame *f, const struct tag tags[3], uint8_t *buffer);

struct tagged_row {
	const char *name;
	enum hook hook;
	struct tag in_tags[3];
	struct frame in;
	int verdict;
	struct tag out_tags[3];
	struct frame out; /* .proto 0: what went in */
	enum reason reason;
};

/* Runs frames that come in by the interfaces below. */
void run_tagged(const struct tagged_row *rows, size_t n);

#define RUN_TAGGED(rows) run_tagged(rows, sizeof(rows) / sizeof(*(rows)))

/* The same as from an interface's own queue at tc, where all that leaves is compared. */
void run_tagged_counted(const struct tagged_row *rows, size_t n);

int run_below(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size);

#define FROM_HOST   .from = HOST, .to = GATEWAY_IN, .src = SUBSCRIBER, .dst = EXTERNAL
#define TO_ROUTER   .ttl = 63, .from = GATEWAY_OUT, .to = ROUTER, .src = POOL, .dst = EXTERNAL
#define FROM_ROUTER .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define TO_HOST	    .ttl = 63, .from = GATEWAY_IN, .to = HOST, .src = EXTERNAL, .dst = SUBSCRIBER
/* As tc leaves it to the interface's driver. */
#define LEFT .from = HOST, .to = GATEWAY_IN, .src = POOL, .dst = EXTERNAL

/* The first packet of a session, of those rows. */
#define OPEN                                                                                                    \
	{                                                                                                       \
		"UDP from inside", XDP_INSIDE, { { Q, 100 } }, { FROM_HOST, UDP, 6303, 53, .payload = 9 },      \
			REDIRECT_XDP, { { AD, 200 } }, { TO_ROUTER, UDP, OUT_PORT(6303, 2), 53, .payload = 9 }, \
			REASON_in2out_translated                                                                \
	}

#endif
