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

/* Programs that the generator hands its frame to. */
enum target { TARGET_FLOOR, TARGET_EMPTY, TARGET_INSIDE, TARGET_OUTSIDE, N_TARGETS };

#define MAX_FLOWS (1U << 20)

#endif
