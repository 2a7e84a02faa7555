/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Portmaps as the fast path finds them: the pinned, mmapable ARRAY `portmap_lines` of cache lines, one half for each
 * direction. An entry is in one of the two lines that its own endpoint hashes to; the agent, which alone makes and
 * moves entries, makes room by moving others to their other line. Here are the portmaps without filters and without an
 * end for which there is room. All portmaps are in the hash `portmaps`, which is asked for those that are not here, and
 * from which a start makes this table anew.
 *
 * Rules: an entry of addresses 0 is free. The agent writes the addresses last, and clears them first. A reader that has
 * matched reads addresses and protocol again after the port. An entry that is moved is in both lines for a moment.
 */
#ifndef DETNAT_PORTMAP_LINES_H
#define DETNAT_PORTMAP_LINES_H

#include "portmaps.h"

#define PORTMAP_LINE	    3U
#define PORTMAP_LINES	    25600U /* of a direction: 85 % full with MAX_PORTMAPS */
#define PORTMAP_LINES_TABLE (2 * PORTMAP_LINES)

struct portmap_line {
	__u64 addresses[PORTMAP_LINE]; /* own 32 | other 32, host byte order; own is that of the direction's key */
	__u64 packets[PORTMAP_LINE];   /* beside those that `portmaps` counts */
	__u32 ports[PORTMAP_LINE];     /* own 16 | other 16 */
	__u8 proto[PORTMAP_LINE];
	__u8 pad;
};
_Static_assert(sizeof(struct portmap_line) == 64, "a cache line");
_Static_assert(MAX_PORTMAPS < PORTMAP_LINES * PORTMAP_LINE * 9 / 10, "the agent finds room by few moves");

static __always_inline __u64 portmap_line_hash(__u32 addr, __u32 port, __u32 proto)
{
	__u64 x = ((__u64)addr << 32 | port << 8 | proto) * 0x9e3779b97f4a7c15ULL;

	return (x ^ x >> 29) * 0xbf58476d1ce4e5b9ULL;
}

/* Number in the table of the first line (0) or the second one (1) of a hash. */
static __always_inline __u32 portmap_line_number(__u64 hash, __u32 second, enum portmap_direction direction)
{
	__u64 part = second ? hash & 0xffffffffU : hash >> 32;

	return (__u32)(part * PORTMAP_LINES >> 32) + (direction == PORTMAP_OUT2IN ? PORTMAP_LINES : 0);
}

#endif
