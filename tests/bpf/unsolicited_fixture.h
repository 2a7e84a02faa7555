/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP segments of no session, the resets that answer them, and what the agent is handed. */
#ifndef DETNAT_TEST_UNSOLICITED_FIXTURE_H
#define DETNAT_TEST_UNSOLICITED_FIXTURE_H

#include <detnat/unsolicited.h>

#include "fixture.h"

#define F 0x01
#define S 0x02
#define R 0x04
#define P 0x08
#define A 0x10

#define TO_POOL .from = ROUTER, .to = GATEWAY_OUT, .src = EXTERNAL, .dst = POOL
#define SEQ	0x01020304U /* of frame_build() */

/* A segment, and what its reset says. */
struct reset_row {
	const char *name;
	struct frame in;
	uint32_t seq, ack;    /* of the segment; a seq of 0 is that of frame_build() */
	unsigned tcp_options; /* octets of the payload that are TCP options, a multiple of 4 */
	uint8_t flags;	      /* of the reset; 0: there is none */
	uint32_t reset_seq, reset_ack;
};

size_t segment_build(const struct reset_row *row, uint8_t *in);

/* The reset from scratch, for a segment of so many octets. */
size_t reset_build(const struct reset_row *row, size_t in_size, uint8_t *want);

/* Runs a segment, and compares what answers it. */
void run_reset(const struct reset_row *row, enum hook hook);

/* By the fast path and by the slow path. */
void run_resets(const struct reset_row *rows, size_t n);

#define RUN_RESETS(rows) run_resets(rows, sizeof(rows) / sizeof(*(rows)))

struct taken {
	unsigned n;
	struct unsolicited_syn last;
};

/* How many SYNs the agent has been handed since the last call. */
unsigned handed_over(struct taken *t);

#endif
