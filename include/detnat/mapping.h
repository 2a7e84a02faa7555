/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arithmetic of deterministic NAT (RFC 7422, sequential algorithm).
 *
 * Pure functions, shared by the BPF programs, the agent, the command line and the tests.
 * Addresses and ports are in host byte order everywhere in this header.
 *
 *	sharing ratio  = 2^(out_plen - in_plen)          inside addresses per outside address
 *	ports per host = floor(64512 / sharing ratio)    from ports 1024..65535
 */
#ifndef DETNAT_MAPPING_H
#define DETNAT_MAPPING_H

#include <linux/types.h>

/* Lower ports are never assigned. */
#define MAPPING_FIRST_PORT 1024U
/* Ports 1024..65535 of an outside address. */
#define MAPPING_PORTS 64512U
/* An address has ports for 2^15 subscribers of one port each, but not for 2^16. */
#define MAPPING_MAX_RATIO_SHIFT 15U

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Flags of a mapping: TCP, UDP and ICMP pass in both directions without sessions; the address alone is translated. */
#define MAPPING_OPEN 0x01
/* It drains: its sessions go on, and it opens none; see <detnat/drains.h>. */
#define MAPPING_RETIRED 0x02
/* Some of its inside addresses may have sessions in mappings that drain. */
#define MAPPING_SUCCEEDS 0x04
#define MAPPING_FLAGS	 0x07
/* Length of the outside prefix, and base 0, of addresses that are not translated. */
#define PLEN_NONE 255U

/* The mapping parameters that the arithmetic needs; part of the datapath's mapping record. */
struct geometry {
	__u32 in_base;
	__u32 out_base;
	__u8 in_plen;
	__u8 out_plen;
	__u8 ratio_shift; /* sharing ratio = 1 << ratio_shift */
	__u8 flags;	  /* MAPPING_… */
	__u32 ports_per_host;
	__u64 ports_inverse; /* floor(2^32 / ports_per_host) + 1, see mapping_divide() */
};
_Static_assert(sizeof(struct geometry) == 24, "geometry is part of a map's value");

/* A subscriber's outside address and port block, both ends included. */
struct port_block {
	__u32 out_addr;
	__u16 port_lo;
	__u16 port_hi;
};

/* Network mask of a prefix length 0..32. */
static __always_inline __u32 prefix_mask(__u32 plen)
{
	return plen ? ~0U << (32 - plen) : 0;
}

/* Number of addresses in a prefix of length 0..32. */
static __always_inline __u64 prefix_size(__u32 plen)
{
	return 1ULL << (32 - plen);
}

static __always_inline int prefix_contains(__u32 base, __u32 plen, __u32 addr)
{
	return ((addr ^ base) & prefix_mask(plen)) == 0;
}

/* Returns 1 if two prefixes overlap. */
static __always_inline int prefix_overlaps(__u32 base_a, __u32 plen_a, __u32 base_b, __u32 plen_b)
{
	return ((base_a ^ base_b) & prefix_mask(plen_a < plen_b ? plen_a : plen_b)) == 0;
}

/*
 * Fills in *ret_g for the mapping of one prefix to another; host bits of the bases are cleared. Returns 0, or -1 with
 * nothing written if a length is above 32, the outside range is larger than the inside range, or a host would get no
 * port.
 */
static inline int mapping_geometry(__u32 in_base, __u32 in_plen, __u32 out_base, __u32 out_plen, struct geometry *ret_g)
{
	if (in_plen > 32 || out_plen > 32 || out_plen < in_plen || out_plen - in_plen > MAPPING_MAX_RATIO_SHIFT)
		return -1;

	__u32 ports = MAPPING_PORTS >> (out_plen - in_plen);

	*ret_g = (struct geometry){
		.in_base = in_base & prefix_mask(in_plen),
		.out_base = out_base & prefix_mask(out_plen),
		.in_plen = (__u8)in_plen,
		.out_plen = (__u8)out_plen,
		.ratio_shift = (__u8)(out_plen - in_plen),
		.ports_per_host = ports,
		.ports_inverse = (1ULL << 32) / ports + 1,
	};
	return 0;
}

/*
 * n / ports_per_host for n < 65536 by multiplication: the error of the inverse, at most ports_per_host / 2^32 per unit,
 * stays below one part in n (tested for every n and divisor).
 */
static __always_inline __u32 mapping_divide(const struct geometry *g, __u32 n)
{
	return (__u32)((n * g->ports_inverse) >> 32);
}

/* Number of a subscriber within the mapping; in_addr must be in its inside prefix. */
static __always_inline __u32 mapping_subscriber(const struct geometry *g, __u32 in_addr)
{
	return in_addr - g->in_base;
}

static __always_inline __u32 mapping_out_addr(const struct geometry *g, __u32 subscriber)
{
	return g->out_base + (subscriber >> g->ratio_shift);
}

/* First port of a subscriber's block. */
static __always_inline __u32 mapping_port_lo(const struct geometry *g, __u32 subscriber)
{
	return MAPPING_FIRST_PORT + g->ports_per_host * (subscriber & ((1U << g->ratio_shift) - 1));
}

/* Outside address and port block of an inside address, which must be in the mapping's inside prefix. */
static __always_inline struct port_block mapping_forward(const struct geometry *g, __u32 in_addr)
{
	__u32 subscriber = mapping_subscriber(g, in_addr);
	__u32 port_lo = mapping_port_lo(g, subscriber);

	return (struct port_block){
		.out_addr = mapping_out_addr(g, subscriber),
		.port_lo = (__u16)port_lo,
		.port_hi = (__u16)(port_lo + g->ports_per_host - 1),
	};
}

/*
 * Number of the subscriber that owns an outside address and port; out_addr must be in the outside prefix. Returns -1
 * for ports below 1024 and for the remaining ports above the last block.
 */
static __always_inline __s64 mapping_reverse(const struct geometry *g, __u32 out_addr, __u32 out_port)
{
	if (out_port < MAPPING_FIRST_PORT)
		return -1;

	__u32 block = mapping_divide(g, out_port - MAPPING_FIRST_PORT);

	if (block >> g->ratio_shift)
		return -1;
	return ((__s64)(out_addr - g->out_base) << g->ratio_shift) + block;
}

/* mapping_forward() and mapping_reverse() of a mapping that may be open: all ports of the address are its subscriber's.
 */
static inline struct port_block mapping_block(const struct geometry *g, __u32 in_addr)
{
	struct port_block block = mapping_forward(g, in_addr);

	if (g->flags & MAPPING_OPEN) {
		block.port_lo = 0;
		block.port_hi = 65535;
	}
	return block;
}

static inline __s64 mapping_owner(const struct geometry *g, __u32 out_addr, __u32 out_port)
{
	return g->flags & MAPPING_OPEN ? (__s64)(out_addr - g->out_base) : mapping_reverse(g, out_addr, out_port);
}

/* Offset in the port block of the first choice for the outside port of a session with this inside port. */
static __always_inline __u32 mapping_first_choice(const struct geometry *g, __u32 in_port)
{
	return in_port - mapping_divide(g, in_port) * g->ports_per_host;
}

#endif
