/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP errors of the datapath tests: those that routers and hosts send, and those of the gateway itself. */
#ifndef DETNAT_TEST_ICMP_FRAME_H
#define DETNAT_TEST_ICMP_FRAME_H

#include "fixture.h"

/* An error about a quoted packet. Host byte order; what is 0 has a default: TTL 64, the whole quote. */
struct icmp_error {
	enum station from, to;
	uint32_t src, dst;
	uint8_t type, code;
	uint8_t ttl;
	uint8_t ip_options; /* octets, a multiple of 4 */
	uint8_t rfc4884;    /* length of the quote in words; an extension of 12 octets follows */
	uint16_t mtu;
	uint16_t quote_length; /* octets of the quoted IP packet */
	unsigned options;      /* enum frame_option: WRONG_CHECKSUM, DONT_FRAGMENT */
	struct frame quote;    /* from, to are not looked at */
};

size_t icmp_error_build(const struct icmp_error *e, uint8_t *buffer);

/* Makes an option of that kind, 7 octets long, of the first of the quoted packet, which has 8 octets of them. */
void icmp_error_quote_option(uint8_t *frame, uint8_t kind);

/* An error, its verdict, what comes out, and the reason that must have been counted, alone. */
struct icmp_row {
	const char *name; /* a sentence */
	enum hook hook;
	struct icmp_error in;
	int verdict;
	struct icmp_error out; /* .type 0: what went in */
	enum reason reason;
};

void run_icmp_rows(const struct icmp_row *rows, size_t n);

#define RUN_ICMP_ROWS(rows) run_icmp_rows(rows, sizeof(rows) / sizeof(*(rows)))

/* Length of the IP packet of a frame, which may be padded behind it. */
size_t ip_length(const uint8_t *frame);

/*
 * Runs a frame that the gateway may answer: whether it does. The answer is written to out as the frame that it leaves
 * in, whoever sends it: XDP sends it back, what tc makes the agent does.
 */
int run_answered(enum hook hook, const uint8_t *in, size_t size, uint8_t *out, size_t *ret_size);

/*
 * What the gateway answered to `in` is checked from scratch: stations, addresses, type, code, MTU, quote and both
 * checksums. quote: octets of it.
 */
void expect_error(const char *name, const uint8_t *out, size_t size, const uint8_t *in, size_t quote, uint32_t to,
		  uint32_t from, uint8_t type, uint8_t code, uint16_t mtu);

#endif
