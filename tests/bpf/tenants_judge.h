/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For test_tenants_shared_random.c: two tenants with the inside addresses 10.0.0.0/24, what has been seen of their
 * sessions, and whether a packet that comes out is for the right subscriber of the right tenant.
 */
#ifndef DETNAT_TEST_TENANTS_JUDGE_H
#define DETNAT_TEST_TENANTS_JUDGE_H

#include "random_packet.h"
#include "tenants_fixture.h"

#define INSIDE	ADDR(10, 0, 0, 0)
#define OUTSIDE 0    /* beside FIRST and SECOND */
#define CAM_IN	3074 /* of SUBSCRIBER, UDP: where CAM of either pool leads */

extern const uint32_t pool_of_side[3];

/* Addresses and ports of a packet, host byte order; of an ICMP echo the identifier for both ports. */
struct ends {
	uint32_t src, dst;
	uint16_t sport, dport;
};

/* An inside endpoint has been seen to leave as this outside endpoint of its tenant, towards that external endpoint. */
struct note {
	uint32_t in, out, ext;
	uint16_t in_port, out_port, ext_port;
	uint8_t tenant, proto;
};

/* What came of all packets; of hairpins by sender and receiver. */
struct tally {
	unsigned outwards[3], answers[3], hairpins[3][3], pieces[3], errors_in[3], errors_out[3], portmaps[3],
		kernel[3], dropped;
};

struct state {
	struct random r;
	struct tally t;
	unsigned i;
	struct note note[4096];
	size_t notes;
};

/* What goes in: from a side, and how it is looked at. */
struct sent {
	unsigned from;
	uint8_t proto;
	bool later; /* a fragment without ports */
	bool error;
	struct ends of;
};

/* Whose pool an address is in; OUTSIDE: no pool. */
unsigned pool_at(uint32_t addr);
bool is_inside(uint32_t addr);
uint32_t addr_at(const uint8_t *octet);

/* The ends of an IPv4 packet without options. */
struct ends ends_at(const uint8_t *ip, uint8_t proto);

/* Judges a frame that leaves towards a side, and notes its sender's outside endpoint. */
void judge(struct state *s, const struct sent *p, unsigned to, const uint8_t *frame);

/* Notes a packet that was dropped: a hairpin that nobody takes opens its sender's session all the same. */
void note_unseen(struct state *s, const struct sent *p);

#endif
