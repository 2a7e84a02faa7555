/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Blocks that grow (RFC 7422 section 2.1): the ports of an outside address that no block has are its shared range, cut
 * into small blocks of equal size. Subscribers of the address whose own block is full get one after another of them.
 *
 * The shared range is the ports from 1024 to the first block, and those above the last block; gaps between blocks do
 * not belong to it. Blocks are numbered from 0, those below first; what remains of a part is in none. Pure functions;
 * ports and addresses are in host byte order.
 */
#ifndef DETNAT_GROWTH_H
#define DETNAT_GROWTH_H

#include "session.h"

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

/* The first port of the block that a port, 0..65535, is in; 0: it is in none. By one division, as packets ask. */
static __always_inline __u32 growth_block_start(const struct geometry *g, __u32 block, __u32 port)
{
	__u32 above = growth_above(g), from = port < above ? GROWTH_FIRST_PORT : above;
	__u32 end = port < above ? GROWTH_FIRST_PORT + growth_below(g) : 65536;
	__u32 start = port - (port - from) % block;

	return port < GROWTH_FIRST_PORT || start + block > end ? 0 : start;
}

/*
 * Sessions on granted ports that are in an extent, <detnat/extents.h>, are found by the place of their ports in the
 * blocks, as those on ports of a subscriber's own block are by the offset in it. An opening takes a port of the group
 * of its first choice there, so that both of its endpoints lead to the same buckets.
 */

/* The place in its block of a port that is in one. */
static __always_inline __u32 growth_place(const struct geometry *g, __u32 block, __u32 port)
{
	__u32 above = growth_above(g);

	return (port - (port < above ? GROWTH_FIRST_PORT : above)) % block;
}

/* The first choice of an inside port among the ports of a granted block, which is not 0. */
static __always_inline __u32 growth_first_choice(__u32 block, __u32 in_port)
{
	return in_port % block;
}

/* Whether it is of another group than in the subscriber's own block: sessions on either are in other buckets then. */
static __always_inline int growth_is_apart(__u32 block, __u32 first_choice, __u32 in_port)
{
	return block && growth_first_choice(block, in_port) >> PORT_GROUP_SHIFT != first_choice >> PORT_GROUP_SHIFT;
}

/* The offset by which the sessions on an outside port are found. port_lo: of the subscriber's block. */
static __always_inline __u32 growth_offset(const struct geometry *g, __u32 block, __u32 port_lo, __u32 out_port)
{
	__u32 offset = (out_port - port_lo) & 0xffff;

	return offset < g->ports_per_host || !block ? offset : growth_place(g, block, out_port);
}

/*
 * The second place of a granted port: 24 bits, of which the upper ones make the distance of its two buckets. So ports
 * that have one bucket in common have another.
 */
static __always_inline __u32 growth_far(__u32 port)
{
	__u32 spread = port * 0x9e3779b1U;

	spread = (spread ^ spread >> 15) * 0x85ebca77U;
	return spread >> 11 << PORT_GROUP_SHIFT | (port & (PORT_GROUP - 1));
}

/*
 * growth_offset() of a session to which a signpost leads. On a granted port it is the second place, as all blocks of a
 * subscriber share the one in the block: however many it has, their sessions towards one endpoint find room.
 */
static __always_inline __u32 growth_far_offset(const struct geometry *g, __u32 block, __u32 port_lo, __u32 out_port)
{
	__u32 offset = (out_port - port_lo) & 0xffff;

	return offset < g->ports_per_host || !block ? offset : growth_far(out_port);
}

/*
 * Grants: the pinned HASH `grants`, which the agent alone changes. A granted block has two entries. That of
 * GRANT_OF_OUTSIDE, whose key is the outside address and the block's first port, leads to the subscriber; without it
 * no subscriber has the block. That of GRANT_OF_INSIDE, whose key is the inside address and a number below max_blocks,
 * has the block for openings; without it, sessions go on and none opens. An entry GRANT_NONE_LEFT, whose key is an
 * outside address and 0, says that the address has no block left.
 */
enum grant_direction { GRANT_OF_OUTSIDE, GRANT_OF_INSIDE, GRANT_NONE_LEFT };

#define MAX_GRANTS    131072U
#define GRANT_ENTRIES (3UL * MAX_GRANTS)

struct grant_key {
	__u32 addr;
	__u16 at; /* the block's first port, or the number of a subscriber's grant */
	__u8 direction;
	__u8 tenant; /* of an inside address: that of its mapping; else 0 */
};
_Static_assert(sizeof(struct grant_key) == 8, "hashed as octets");

/*
 * The agent makes the entry GRANT_OF_OUTSIDE first, and closes it before it removes that of GRANT_OF_INSIDE: an open
 * one without its partner is half made.
 */
#define GRANT_WHENEVER (~0ULL) /* in until_s: no session opens on it, and it ends with its last one */

struct grant_value {
	__u32 addr; /* the other address; 0: none, the block rests */
	__u16 port_lo;
	__u16 ports;
	__u64 from; /* when it was granted, seconds of the wall clock; of a block that rests: when it ended */
	/* CLOCK_BOOTTIME in seconds: the end of the rest, or when the sessions of a closed one end; 0: it is open. */
	__u64 until_s;
	__u64 stamp; /* of the last act on the block, see base/act_stamp.h */
	__u8 peer;   /* number of the gateway that granted it; 0: this one */
	__u8 pad[3];
	__u32 rest_s; /* how long the block is to rest; 0: an agent of before did not note it */
};
_Static_assert(sizeof(struct grant_value) == 40, "no hidden padding");

/*
 * Bindings of granted ports, of mappings with endpoint-independent mapping: the pinned HASH `grant_bindings`. A binding
 * has two entries, GRANT_BOUND_INSIDE by its inside endpoint, with the stamp, and GRANT_BOUND_OUTSIDE by its outside
 * one. An entry GRANT_BOUND_COUNT, whose port is 0, has the number of a subscriber's bindings. They are bindings like
 * those of the block, <detnat/binding.h>, but for two points: entries come and go under the opener's lock alone, so the
 * agent changes them by the program `grant_binding_change`; and BINDING_GRANTED in the home line leads to them.
 */
enum grant_bound_direction { GRANT_BOUND_INSIDE, GRANT_BOUND_OUTSIDE, GRANT_BOUND_COUNT };

#define MAX_GRANT_BINDINGS    262144U
#define GRANT_BINDING_ENTRIES (2U * MAX_GRANT_BINDINGS)

struct grant_binding_key {
	__u32 in_addr; /* 0 in an entry GRANT_BOUND_OUTSIDE */
	__u32 out_addr;
	__u16 port;
	__u8 proto;
	__u8 direction;
};
_Static_assert(sizeof(struct grant_binding_key) == 12, "hashed as octets");

struct grant_binding {
	__u32 addr; /* the other address */
	__u32 seen; /* the stamp, as of a binding of the block; of GRANT_BOUND_COUNT: the number */
	__u16 port; /* the other port */
	__u8 pad[2];
};
_Static_assert(sizeof(struct grant_binding) == 12, "no hidden padding");

/*
 * The agent's request to the syscall program `grant_binding_change`, about the binding of an outside port; the result
 * is an enum grant_binding_changed.
 */
enum grant_binding_request {
	GRANT_BINDING_KEEP,   /* raise its stamp to `seen`, if it is of `in_port` */
	GRANT_BINDING_EXPIRE, /* remove it, if its stamp is not later than `seen` */
	GRANT_BINDING_END,    /* remove it */
};

enum grant_binding_changed {
	GRANT_BINDING_DONE,
	GRANT_BINDING_NOT, /* there is none, or it is another one by now */
	GRANT_BINDING_BUSY,
};

struct grant_binding_change {
	__u32 out_addr;
	__u32 seen;
	__u16 out_port;
	__u16 in_port;
	__u8 proto;
	__u8 request; /* enum grant_binding_request */
	__u8 pad[2];
};
_Static_assert(sizeof(struct grant_binding_change) == 16, "no hidden padding");

#endif
