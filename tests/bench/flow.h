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
	__u32 six; /* the frames are of IPv6 */
};

/* Frames, octets. Those of IPv6 have the same data. */
#define FRAME	     64
#define FRAME_GROWTH 20
#define FRAME_SIX    (FRAME + FRAME_GROWTH)

/*
 * Subscribers of IPv6: a /56 each of this prefix, known by addresses of 224.0.0.0/4. Each has four hosts, which the
 * inside port tells.
 */
#define FLOW_SIX_HI   0x20010db840000000ULL
#define FLOW_SIX_PLEN 56
#define FLOW_SIX_BASE 0xe0000000U
#define FLOW_HOSTS    4U
/* Both halves of 64:ff9b::/96, the upper one in host byte order. */
#define FLOW_PREFIX_HI 0x0064ff9b00000000ULL

static inline __attribute__((always_inline)) __u32 flow_host(__u16 in_port)
{
	return (in_port * 7U + 3) % FLOW_HOSTS;
}

/* Upper half of a host's address, in host byte order, and lower one, octets as in memory. */
static inline __attribute__((always_inline)) __u64 flow_host_hi(__u32 virt, __u32 host)
{
	return FLOW_SIX_HI + ((__u64)(virt - FLOW_SIX_BASE) << (64 - FLOW_SIX_PLEN)) + host;
}

static inline __attribute__((always_inline)) __u64 flow_host_lo(__u32 virt, __u32 host)
{
	return (((__u64)virt << 8 | host) * 0x9e3779b97f4a7c15ULL) | 2;
}

/* Programs that the generator hands its frame to: those of the XDP hook, and one of tc with its own two to compare. */
enum target {
	TARGET_FLOOR,
	TARGET_EMPTY,
	TARGET_MOVED,
	TARGET_INSIDE,
	TARGET_OUTSIDE,
	TARGET_TC_FLOOR,
	TARGET_TC_EMPTY,
	TARGET_TC_OUTSIDE,
	N_TARGETS
};
#define TARGET_FIRST_TC TARGET_TC_FLOOR

#endif
