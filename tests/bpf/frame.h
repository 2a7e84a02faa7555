/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of the datapath tests: described by their fields, built with checksums computed from scratch. */
#ifndef DETNAT_TEST_FRAME_H
#define DETNAT_TEST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 2048

#define TCP  6
#define UDP  17
#define ICMP 1

/* Stations on the wire; the last octet of their MAC address. */
enum station { GATEWAY_IN = 1, GATEWAY_OUT = 2, HOST = 3, ROUTER = 4, NOBODY = 9 };

enum frame_option {
	NO_UDP_CHECKSUM = 1,
	WRONG_CHECKSUM = 2, /* the transport checksum is off by one */
	DONT_FRAGMENT = 4,
	MORE_FRAGMENTS = 8,
	LATER_FRAGMENT = 16,
	PADDED = 32,	/* Ethernet padding to 60 octets */
	CUT_SHORT = 64, /* the frame ends before the IP packet does */
	VLAN = 128,
};

/* Host byte order. What is 0 has a default: TTL 64, ICMP echo request. For ICMP echo, sport is the identifier. */
struct frame {
	enum station from, to;
	uint32_t src, dst;
	uint8_t proto;
	uint16_t sport, dport;
	uint8_t flags; /* of TCP */
	uint8_t ttl;
	uint8_t icmp_type;  /* with ECHO_REPLY_TYPE for 0 */
	uint8_t ip_options; /* octets, a multiple of 4 */
	uint16_t payload;
	unsigned options;
};

#define ECHO_REPLY_TYPE 255

/* Length of the frame written to buffer, of FRAME_MAX octets. */
size_t frame_build(const struct frame *f, uint8_t *buffer);

/*
 * Octets start..end of the payload of a frame's packet, in a frame of its own. more: not the last of the datagram.
 * Returns the length of what is written to ret, of FRAME_MAX octets.
 */
size_t frame_fragment(const uint8_t *whole, uint16_t id, unsigned start, unsigned end, bool more, uint8_t *ret);

/* Makes a loose source route of the IP options of a frame, of which there are 8 octets at least. */
void frame_source_route(uint8_t *frame);

/* Sum of RFC 1071 over octets, not complemented; start from 0, or from another part's. */
uint32_t sum_octets(const uint8_t *data, size_t size, uint32_t sum);

/* Checksum field, network byte order in memory: write it as two octets, high one first. */
uint16_t sum_finish(uint32_t sum);

/* Prints both frames side by side where they differ; returns whether they are equal. */
int frame_equal(const char *name, const uint8_t *got, size_t got_size, const uint8_t *want, size_t want_size);

#endif
