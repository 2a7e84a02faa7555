/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP errors of both families about a quoted frame, for the tests of IPv6 subscribers. */
#ifndef DETNAT_TEST_SIX_ERROR_FRAME_H
#define DETNAT_TEST_SIX_ERROR_FRAME_H

#include "prefix_fixture.h"

/* Numbers in network byte order. */
void put16(uint8_t *at, uint32_t value);
void put32(uint8_t *at, uint32_t value);
uint32_t get32(const uint8_t *at);
void put_address(uint8_t *at, struct address6 a);

/* The sum of an upper layer of so many octets, of a packet of IPv6, complemented; 0 for a right one. */
uint16_t sum_6(const uint8_t *ip, size_t size);

struct message {
	struct address6 from; /* of IPv6 */
	uint32_t router;      /* of IPv4 */
	uint8_t type, code;
	uint32_t field; /* what follows the checksum */
};

/* An ICMPv6 error to where the quoted packet came from; quote: a frame. Returns the frame's length. */
size_t error_6(const struct message *e, const struct frame6 *quote, uint8_t *frame);

/* The same of IPv4. */
size_t error_4(const struct message *e, const struct frame *quote, uint8_t *frame);

#endif
