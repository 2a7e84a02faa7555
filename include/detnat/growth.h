/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Blocks that grow (RFC 7422 section 2.1): the ports of an outside address that no block has are its shared range, cut
 * into small blocks of equal size. Subscribers of the address whose own block is full get one after another of them.
 *
 * The shared range is the ports from 1024 to the first block, and those above the last block; gaps between blocks do
 * not belong to it. Blocks are numbered from 0, those below first; what remains of a part is nobody's. Pure functions;
 * ports and addresses are in host byte order.
 */
#ifndef DETNAT_GROWTH_H
#define DETNAT_GROWTH_H

#include "mapping.h"

/* Ports below this one are never granted. */
#define GROWTH_FIRST_PORT 1024U
/* Limits of the two figures of a mapping: ports of a block, and blocks of a subscriber. */
#define GROWTH_MIN_BLOCK  8U
#define GROWTH_MAX_BLOCK  4096U
#define GROWTH_MAX_BLOCKS 32U

/* Part of a mapping's record, read and written as a whole. block: 0, the mapping does not grow. */
struct growth_layout {
	__u16 block;
	__u16 max_blocks;
};
_Static_assert(sizeof(struct growth_layout) == 4, "read and written as one word");

/* Ports of the shared range below the first block, and the first port above the last block, at most 65536. */
static __always_inline __u32 growth_below(const struct geometry *g)
{
	return g->first_port > GROWTH_FIRST_PORT ? g->first_port - GROWTH_FIRST_PORT : 0;
}

static __always_inline __u32 growth_above(const struct geometry *g)
{
	__u32 above = g->first_port + g->pitch * (g->ratio - 1U) + g->ports_per_host;

	return above > GROWTH_FIRST_PORT ? above : GROWTH_FIRST_PORT;
}

/* Ports of the shared range of an outside address. */
static __always_inline __u32 growth_ports(const struct geometry *g)
{
	return growth_below(g) + 65536 - growth_above(g);
}

/* Blocks of `block` ports, at least 1, that the shared range of an address has. */
static __always_inline __u32 growth_blocks(const struct geometry *g, __u32 block)
{
	return growth_below(g) / block + (65536 - growth_above(g)) / block;
}

/* The first port of a block, whose number is below growth_blocks(). */
static __always_inline __u32 growth_port_lo(const struct geometry *g, __u32 block, __u32 number)
{
	__u32 below = growth_below(g) / block;

	return number < below ? GROWTH_FIRST_PORT + number * block : growth_above(g) + (number - below) * block;
}

/* The number of the block that a port, 0..65535, is in; -1: it is in none. */
static __always_inline __s32 growth_block_of(const struct geometry *g, __u32 block, __u32 port)
{
	__u32 below = growth_below(g) / block, at;

	if (port < GROWTH_FIRST_PORT)
		return -1;
	at = (port - GROWTH_FIRST_PORT) / block;
	if (at < below)
		return (__s32)at;
	if (port < growth_above(g))
		return -1;
	at = below + (port - growth_above(g)) / block;
	return at < growth_blocks(g, block) ? (__s32)at : -1;
}

/*
 * Grants: the pinned HASH `grants`, which the agent alone changes. A granted block has two entries. That of
 * GRANT_OF_OUTSIDE, whose key is the outside address and the block's first port, leads to the subscriber; without it
 * the block is nobody's. That of GRANT_OF_INSIDE, whose key is the inside address and a number below max_blocks, has
 * the block for openings; without it, sessions go on and none opens. An entry GRANT_NONE_LEFT, whose key is an outside
 * address and 0, says that the address has no block left.
 */
enum grant_direction { GRANT_OF_OUTSIDE, GRANT_OF_INSIDE, GRANT_NONE_LEFT };

#define MAX_GRANTS    262144U
#define GRANT_ENTRIES (3U * MAX_GRANTS)

struct grant_key {
	__u32 addr;
	__u16 at; /* the block's first port, or the number of a subscriber's grant */
	__u8 direction;
	__u8 pad;
};
_Static_assert(sizeof(struct grant_key) == 8, "hashed as octets");

struct grant_value {
	__u32 addr; /* the other address; 0: nobody's, the block rests */
	__u16 port_lo;
	__u16 ports;
	__u64 from;    /* when it was granted, seconds of the wall clock; of a block that rests: when it ended */
	__u64 rests_s; /* the end of the rest, CLOCK_BOOTTIME in seconds; 0: it does not rest */
};
_Static_assert(sizeof(struct grant_value) == 24, "no hidden padding");

#endif
