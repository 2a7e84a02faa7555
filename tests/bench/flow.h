/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the benchmark's generator writes into each frame; shared with the program. */
#ifndef DETNAT_BENCH_FLOW_H
#define DETNAT_BENCH_FLOW_H

#include <linux/types.h>

/* Host byte order. */
struct flow_tuple {
	__u32 src;
	__u32 dst;
	__u16 sport;
	__u16 dport;
	__u32 pad;
};
_Static_assert(sizeof(struct flow_tuple) == 16, "mapped by the program");

/* Where the generator stands in its list of flows, and whom it hands the frames to. */
struct position {
	__u32 next;
	__u32 count;
	__u32 target;
	__u32 pad;
};

/* Programs that the generator hands its frame to: those of the XDP hook, and one of tc with its own two to compare. */
enum target {
	TARGET_FLOOR,
	TARGET_EMPTY,
	TARGET_INSIDE,
	TARGET_OUTSIDE,
	TARGET_TC_FLOOR,
	TARGET_TC_EMPTY,
	TARGET_TC_OUTSIDE,
	N_TARGETS
};
#define TARGET_FIRST_TC TARGET_TC_FLOOR

#endif
