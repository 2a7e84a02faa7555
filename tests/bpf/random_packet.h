/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames with everything in them random that a NAT has to keep, and what must have become of them: for the property
 * test. Sums are those of RFC 1071 over the whole packet, never a difference.
 */
#ifndef DETNAT_TEST_RANDOM_PACKET_H
#define DETNAT_TEST_RANDOM_PACKET_H

#include <stdbool.h>

#include "frame.h"

/* A generator of its own, so that a seed tells all. */
struct random {
	uint64_t state;
};

/* 0..n-1 */
uint32_t random_below(struct random *r, uint32_t n);
/* True once in n times. */
bool random_once(struct random *r, uint32_t n);

/* What is wrong with a packet. */
enum flaw {
	FLAW_NONE,
	/* of the IPv4 header */
	FLAW_VERSION,
	FLAW_HEADER_LENGTH,
	FLAW_TOTAL_BELOW_HEADER,
	FLAW_TOTAL_BEYOND_FRAME,
	FLAW_CUT_IN_HEADER,
	/* of what is behind it */
	FLAW_TRANSPORT_CUT,
	FLAW_TRANSPORT_LENGTH_SMALL, /* UDP length below 8, TCP data offset below 5, an echo with a code */
	FLAW_TRANSPORT_LENGTH_BIG,   /* beyond the IP packet */
	N_FLAWS
};
#define FLAW_IS_OF_IP(flaw) ((flaw) >= FLAW_VERSION && (flaw) <= FLAW_CUT_IN_HEADER)

/* Host byte order. For ICMP echo the identifier is sport of a request and dport of a reply. */
struct random_packet {
	enum station from, to;
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t proto, flags, ttl;
	bool echo_reply;
	enum flaw flaw;
	uint16_t length; /* of the IP packet, by its header */
	uint8_t octet[FRAME_MAX];
	size_t size;
};

/* Writes p->octet by the fields before it: random DSCP, id, DF, options, payload, padding; sums right or wrong. */
void random_packet_build(struct random *r, struct random_packet *p);

/* What the NAT must have changed. */
struct change {
	enum station from, to; /* 0: as it was */
	uint32_t src, dst;
	uint16_t sport, dport; /* as in struct random_packet */
	uint8_t ttl_lowered;
};

/*
 * NULL where the frame that came out is the packet that went in but for the change, with both checksums as right or as
 * wrong as they were; else what is wrong.
 */
const char *random_packet_compare(const struct random_packet *p, const struct change *c, const uint8_t *out,
				  size_t out_size);

/* NULL where a frame is an ICMP error of a gateway about the packet, to its sender; else what is wrong. */
const char *random_packet_compare_error(const struct random_packet *p, uint32_t gateway, uint8_t type, uint8_t code,
					unsigned ttl_lowered, const uint8_t *out, size_t out_size);

/* Where the port, or identifier, of a side is in a frame that was built here. */
size_t random_packet_port_at(const struct random_packet *p, bool source);

#endif
