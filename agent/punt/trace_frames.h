/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frames of a traced packet, before and after translation, for a capture file. A trace holds fields, not octets, so
 * headers are made from them, and missing fields are zero; see detnatctl(8), trace pcap.
 */
#ifndef DETNAT_TRACE_FRAMES_H
#define DETNAT_TRACE_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/trace.h>

enum trace_fate { TRACE_DROPPED, TRACE_TO_KERNEL, TRACE_SENT };

/* The fate of a packet, from the return value of the program (the value of its last step). */
enum trace_fate trace_fate(const struct trace_record *r, uint64_t verdict);

/* Ethernet, two tags, IPv6 and TCP without options. */
#define TRACE_FRAME_MAX (14 + 2 * 4 + 40 + 20)

/*
 * What a packet was at a step as one of IPv6; NULL: it was one of IPv4, or of nobody that is known. At some steps
 * within it is both: translated, and addressed to or by a subscriber's virtual address.
 */
const struct trace_six *trace_step_six(const struct trace_record *r, const struct trace_step *s);

struct trace_frame {
	uint64_t time_ns;
	uint32_t ifindex; /* 0: the kernel, which hands the packet over or takes it */
	bool outbound;
	uint32_t length;   /* of the frame */
	uint32_t captured; /* octets of it below */
	uint8_t octets[TRACE_FRAME_MAX];
};

/* Makes one frame of a packet as it arrived and, if it left, translated or not, another one. Returns their number. */
unsigned trace_frames(const struct trace_record *r, struct trace_frame ret[static 2]);

#endif
