/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The arithmetic of deterministic NAT (RFC 7422).
 *
 * Pure functions, shared by the BPF programs, the agent, the command line and the tests. Addresses and ports are in
 *host byte order everywhere in this header. With
 *
 *	i   number of a subscriber: his inside address less the first one
 *	A   outside addresses
 *	R   sharing ratio: blocks of an outside address
 *	F   first port of the first block; port 0 belongs to no subscriber
 *	S   pitch: distance of the first ports of two blocks
 *	P   ports of a block, at most S
 *
 * a subscriber has the ports F + S*k .. F + S*k + P-1 of outside address number a, where
 *
 *	sequential order	a = i div R	k = i mod R	("sequential" of RFC 7422 section 2.2)
 *	netmap order		a = i mod A	k = i div A	(A is a power of two)
 */
#ifndef DETNAT_MAPPING_H
#define DETNAT_MAPPING_H

#include <linux/types.h>

/* The default of F. */
#define MAPPING_FIRST_PORT 1024U
/* Ports 1024..65535 of an outside address. */
#define MAPPING_PORTS 64512U
/* The highest R, and the highest P and S. */
#define MAPPING_MAX_RATIO 64512U
#define MAPPING_MAX_BLOCK 65535U
/* An address has ports for 2^15 subscribers of one port each, but not for 2^16. */
#define MAPPING_MAX_RATIO_SHIFT 15U
/* The most inside addresses of one record whose R is no power of two. */
#define MAPPING_MAX_SUBSCRIBERS (1ULL << 31)

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Flags of a mapping: TCP, UDP and ICMP pass in both directions without sessions; the address alone is translated. */
#define MAPPING_OPEN 0x01
/* It drains: its sessions go on, and it opens none; see <detnat/drains.h>. */
#define MAPPING_RETIRED 0x02
/* Some of its inside addresses may have sessions in mappings that drain. */
#define MAPPING_SUCCEEDS 0x04
/* Netmap order. */
#define MAPPING_NETMAP 0x08
/* Its subscribers are IPv6 prefixes, <detnat/prefix6.h>. */
#define MAPPING_IPV6  0x10
#define MAPPING_FLAGS 0x1f
/* Length of the outside prefix, and base 0, of addresses that are not translated. */
#define PLEN_NONE 255U
/* Length of a range that is no prefix. */
#define PLEN_RANGE 64U

/*
 * A range of inside addresses on a range of outside addresses: the mapping parameters that the arithmetic needs; part
 * of the datapath's mapping record. mapping_make() and mapping_geometry() fill it in.
 */
struct geometry {
	__u32 in_base;
	__u32 last_subscriber; /* inside addresses - 1 */
	__u32 out_base;
	__u32 last_out;	       /* outside addresses - 1 */
	__u32 out_mask;	       /* of a number of an outside address: ~0, or A - 1 in netmap order */
	__u32 divisor_inverse; /* ceil(2^divisor_shift / D), see mapping_quotient() */
	__u32 ports_inverse;   /* floor((2^32 - 1) / P), see mapping_divide() */
	__u32 pitch_inverse;   /* floor((2^32 - 1) / S) */
	__u16 ratio;	       /* R */
	__u16 first_port;      /* F */
	__u16 pitch;	       /* S */
	__u16 ports_per_host;  /* P; 0: not translated */
	__u16 lowest_port;     /* F, but 1 if that is 0 */
	__u8 divisor_shift;
	__u8 out_shift; /* log2 of A in netmap order */
	__u8 flags;	/* MAPPING_… */
	__u8 in_plen;	/* of the inside range; PLEN_RANGE if it is no prefix */
	__u8 out_plen;	/* of the outside range; PLEN_RANGE, or PLEN_NONE */
	/*
	 * log2 of R where F, P, S and the order have their defaults, else a number from 16 that depends on all of them:
	 * the keys of sessions beyond the slots had it before layout 8, so those who take over such sessions compare
	 * it.
	 */
	__u8 ratio_shift;
};
_Static_assert(sizeof(struct geometry) == 48, "geometry is part of a map's value");

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

/* Length of the prefix that a range of size last + 1 at base is; PLEN_RANGE if it is none. */
static inline __u8 mapping_plen(__u32 base, __u32 last)
{
	__u8 plen = 32;

	if ((last & (last + 1)) || (base & last))
		return PLEN_RANGE;
	for (; last; last >>= 1)
		plen--;
	return plen;
}

/* log2 of n, rounded up; n is not 0. */
static inline __u8 mapping_log2(__u32 n)
{
	__u8 log = 0;

	while (1ULL << log < n)
		log++;
	return log;
}

/*
 * Whether the blocks of an outside address are those of a mapping that has its prefixes alone: R a power of two, F =
 * 1024, P = S = floor(64512 / R), sequential order.
 */
static inline int mapping_is_plain(const struct geometry *g)
{
	return !(g->flags & MAPPING_NETMAP) && !(g->ratio & (g->ratio - 1)) && g->first_port == MAPPING_FIRST_PORT &&
	       g->pitch == g->ports_per_host && g->ports_per_host == MAPPING_PORTS / g->ratio;
}

/* A number that depends on R, F, S, P and the order; 0 if they have the defaults of the two ranges. */
static inline __u16 mapping_layout(const struct geometry *g)
{
	__u64 digest;

	if (!g->ports_per_host ||
	    (mapping_is_plain(g) && (__u64)g->ratio * (g->last_out + 1ULL) == g->last_subscriber + 1ULL))
		return 0;
	digest = (__u64)g->ratio << 48 | (__u64)g->first_port << 32 | (__u32)g->pitch << 16 | g->ports_per_host;
	digest = (digest ^ (g->flags & MAPPING_NETMAP)) * 0x9e3779b97f4a7c15ULL;
	digest = (digest ^ digest >> 32) * 0xff51afd7ed558ccdULL;
	return (__u16)(1 + (digest >> 32) % 65535);
}

/* Whether two mappings give the same addresses and ports to the same subscribers. */
static inline int mapping_equal(const struct geometry *a, const struct geometry *b)
{
	return a->in_base == b->in_base && a->last_subscriber == b->last_subscriber && a->out_plen == b->out_plen &&
	       a->out_base == b->out_base && a->last_out == b->last_out && a->ratio == b->ratio &&
	       a->first_port == b->first_port && a->pitch == b->pitch && a->ports_per_host == b->ports_per_host &&
	       (a->flags & MAPPING_NETMAP) == (b->flags & MAPPING_NETMAP);
}

/* Parameters of mapping_make(). */
struct mapping_parameters {
	__u32 in_base;
	__u32 last_subscriber; /* inside addresses - 1 */
	__u32 out_base;
	__u32 last_out; /* outside addresses - 1 */
	__u32 ratio;
	__u32 first_port;
	__u32 pitch;
	__u32 ports_per_host;
	__u32 netmap; /* 1: netmap order, and the outside range is a prefix */
};

/*
 * Fills in *ret_g. Returns 0, or -1 with nothing written if a parameter is out of range, a range runs past
 * 255.255.255.255, a block would end above port 65535 or have port 0 alone, blocks would overlap, the outside range has
 * too few blocks for the inside range, or one of netmap order is no prefix.
 */
static inline int mapping_make(const struct mapping_parameters *p, struct geometry *ret_g)
{
	__u32 netmap = p->netmap != 0, divisor = netmap ? p->last_out + 1 : p->ratio;

	if (!p->ratio || p->ratio > MAPPING_MAX_RATIO || !p->ports_per_host || p->ports_per_host > p->pitch ||
	    p->pitch > MAPPING_MAX_BLOCK ||
	    (__u64)p->first_port + (__u64)p->pitch * (p->ratio - 1) + p->ports_per_host > 65536 ||
	    (!p->first_port && p->ports_per_host == 1) ||
	    ((p->ratio & (p->ratio - 1)) && p->last_subscriber >= MAPPING_MAX_SUBSCRIBERS) ||
	    (__u64)p->in_base + p->last_subscriber > ~0U || (__u64)p->out_base + p->last_out > ~0U ||
	    ((__u64)p->last_out + 1) * p->ratio <= p->last_subscriber)
		return -1;
	if (netmap && (mapping_plen(p->out_base, p->last_out) > 32 || !divisor))
		return -1;
	*ret_g = (struct geometry){
		.in_base = p->in_base,
		.last_subscriber = p->last_subscriber,
		.out_base = p->out_base,
		.last_out = p->last_out,
		.out_mask = netmap ? p->last_out : ~0U,
		.ports_inverse = ~0U / p->ports_per_host,
		.pitch_inverse = ~0U / p->pitch,
		.ratio = (__u16)p->ratio,
		.first_port = (__u16)p->first_port,
		.pitch = (__u16)p->pitch,
		.ports_per_host = (__u16)p->ports_per_host,
		.lowest_port = (__u16)(p->first_port ? p->first_port : 1),
		.out_shift = netmap ? mapping_log2(divisor) : 0,
		.flags = netmap ? MAPPING_NETMAP : 0,
		.in_plen = mapping_plen(p->in_base, p->last_subscriber),
		.out_plen = mapping_plen(p->out_base, p->last_out),
	};
	ret_g->ratio_shift =
		(__u8)(mapping_is_plain(ret_g) ? mapping_log2(p->ratio) : 16 + mapping_layout(ret_g) % 240);
	/* In netmap order the mask takes the remainder, so the division is by 1. */
	divisor = netmap ? 1 : p->ratio;
	ret_g->divisor_shift = (__u8)(31 + mapping_log2(divisor));
	ret_g->divisor_inverse = (__u32)(((1ULL << ret_g->divisor_shift) + divisor - 1) / divisor);
	return 0;
}

/* The parameters of a geometry that is translated. */
static inline struct mapping_parameters mapping_parameters_of(const struct geometry *g)
{
	return (struct mapping_parameters){ .in_base = g->in_base,
					    .last_subscriber = g->last_subscriber,
					    .out_base = g->out_base,
					    .last_out = g->last_out,
					    .ratio = g->ratio,
					    .first_port = g->first_port,
					    .pitch = g->pitch,
					    .ports_per_host = g->ports_per_host,
					    .netmap = g->flags & MAPPING_NETMAP };
}

/* Addresses that are not translated; last_subscriber as in struct geometry. */
static inline struct geometry mapping_untranslated(__u32 in_base, __u32 last_subscriber)
{
	return (struct geometry){ .in_base = in_base,
				  .last_subscriber = last_subscriber,
				  .in_plen = mapping_plen(in_base, last_subscriber),
				  .out_plen = PLEN_NONE };
}

/*
 * As mapping_make(), for the mapping of one prefix to another with all defaults: R = inside / outside addresses, F =
 * 1024, P = S = floor(64512 / R). Host bits of the bases are cleared. Returns 0, or -1 with nothing written if a length
 * is above 32, the outside range is larger than the inside range, or a host would get no port.
 */
static inline int mapping_geometry(__u32 in_base, __u32 in_plen, __u32 out_base, __u32 out_plen, struct geometry *ret_g)
{
	if (in_plen > 32 || out_plen > 32 || out_plen < in_plen || out_plen - in_plen > MAPPING_MAX_RATIO_SHIFT)
		return -1;

	const __u32 ports = MAPPING_PORTS >> (out_plen - in_plen);
	const struct mapping_parameters p = {
		.in_base = in_base & prefix_mask(in_plen),
		.last_subscriber = ~prefix_mask(in_plen),
		.out_base = out_base & prefix_mask(out_plen),
		.last_out = ~prefix_mask(out_plen),
		.ratio = 1U << (out_plen - in_plen),
		.first_port = MAPPING_FIRST_PORT,
		.pitch = ports,
		.ports_per_host = ports,
	};

	return mapping_make(&p, ret_g);
}

/*
 * n / D for n < 2^31, and for all n if D is a power of two, by multiplication: with an inverse M = ceil(2^s / D) and
 * 2^(s-31) >= D, the error M*D - 2^s is below D, so n times it is below 2^s, and the quotient is exact.
 */
static __always_inline __u32 mapping_quotient(const struct geometry *g, __u32 n)
{
	return (__u32)(((__u64)n * g->divisor_inverse) >> g->divisor_shift);
}

/*
 * n / d for n < 65536, d from 1 to 65535 and inverse = floor((2^32 - 1) / d): (n + 1) * inverse is below 2^32 * (n / d
 * + 1) rounded down, and loses at most d of it for each unit of n (tested for every n and divisor).
 */
static __always_inline __u32 mapping_by_inverse(__u32 n, __u32 inverse)
{
	return (__u32)(((__u64)(n + 1) * inverse) >> 32);
}

/* n / ports_per_host for n < 65536. */
static __always_inline __u32 mapping_divide(const struct geometry *g, __u32 n)
{
	return mapping_by_inverse(n, g->ports_inverse);
}

/* Returns 1 if the mapping covers an inside address. */
static __always_inline int mapping_has_inside(const struct geometry *g, __u32 addr)
{
	return addr - g->in_base <= g->last_subscriber;
}

/* Returns 1 if an outside address is one of the mapping's. */
static __always_inline int mapping_has_outside(const struct geometry *g, __u32 addr)
{
	return g->ports_per_host && addr - g->out_base <= g->last_out;
}

/* Number of a subscriber within the mapping; in_addr must be in its inside range. */
static __always_inline __u32 mapping_subscriber(const struct geometry *g, __u32 in_addr)
{
	return in_addr - g->in_base;
}

static __always_inline __u32 mapping_out_addr(const struct geometry *g, __u32 subscriber)
{
	return g->out_base + (mapping_quotient(g, subscriber) & g->out_mask);
}

/* Number of a subscriber's block among those of his outside address. */
static __always_inline __u32 mapping_block_number(const struct geometry *g, __u32 subscriber)
{
	return g->flags & MAPPING_NETMAP ? subscriber >> g->out_shift
					 : subscriber - mapping_quotient(g, subscriber) * g->ratio;
}

/* First port of a subscriber's block. It may be port 0, which is not his. */
static __always_inline __u32 mapping_port_lo(const struct geometry *g, __u32 subscriber)
{
	return g->first_port + g->pitch * mapping_block_number(g, subscriber);
}

/* Outside address and port block of an inside address, which must be in the mapping's inside range. */
static __always_inline struct port_block mapping_forward(const struct geometry *g, __u32 in_addr)
{
	__u32 subscriber = mapping_subscriber(g, in_addr);
	__u32 port_lo = mapping_port_lo(g, subscriber);

	return (struct port_block){
		.out_addr = mapping_out_addr(g, subscriber),
		.port_lo = (__u16)(port_lo + !port_lo),
		.port_hi = (__u16)(port_lo + g->ports_per_host - 1),
	};
}

/*
 * As mapping_reverse(); writes the port's offset in the subscriber's block to *ret_offset, whatever the result.
 */
static __always_inline __s64 mapping_reverse_at(const struct geometry *g, __u32 out_addr, __u32 out_port,
						__u32 *ret_offset)
{
	__u32 above = out_port - g->first_port, block = mapping_by_inverse(above & 0xffff, g->pitch_inverse),
	      subscriber;

	*ret_offset = above - block * g->pitch;
	if (out_port < g->lowest_port || block >= g->ratio || *ret_offset >= g->ports_per_host)
		return -1;
	subscriber = out_addr - g->out_base;
	if (g->flags & MAPPING_NETMAP)
		subscriber += block << g->out_shift;
	else
		subscriber = subscriber * g->ratio + block;
	return subscriber <= g->last_subscriber ? (__s64)subscriber : -1;
}

/*
 * Number of the subscriber that owns an outside address and port; out_addr must be in the outside range. Returns -1 for
 * ports of no block: port 0, those below the first block, above the last one, and between blocks; and for blocks of no
 * subscriber.
 */
static __always_inline __s64 mapping_reverse(const struct geometry *g, __u32 out_addr, __u32 out_port)
{
	__u32 offset;

	return mapping_reverse_at(g, out_addr, out_port, &offset);
}

/*
 * The subscribers of an outside address, which must be in the outside range: *ret_first, then every *ret_stride-th, as
 * many as returned; 0: the address has none.
 */
static inline __u32 mapping_sharers(const struct geometry *g, __u32 out_addr, __u32 *ret_first, __u32 *ret_stride)
{
	__u64 a = out_addr - g->out_base, all = g->last_subscriber + 1ULL;
	__u64 stride = g->flags & MAPPING_NETMAP ? g->last_out + 1ULL : 1;
	__u64 first = g->flags & MAPPING_NETMAP ? a : a * g->ratio, n;

	*ret_first = (__u32)first;
	*ret_stride = (__u32)stride;
	if (first >= all)
		return 0;
	n = (all - first + stride - 1) / stride;
	return (__u32)(n < g->ratio ? n : g->ratio);
}

/* Kinds of a port of an outside address: mapping_port_kind(). */
enum mapping_port {
	MAPPING_PORT_BLOCK, /* of a subscriber */
	MAPPING_PORT_BELOW, /* below the first block, or port 0 */
	MAPPING_PORT_ABOVE, /* above the last block */
	MAPPING_PORT_GAP,   /* between two blocks: S is above P */
	MAPPING_PORT_SPARE, /* of a block that no subscriber has */
};

static inline enum mapping_port mapping_port_kind(const struct geometry *g, __u32 out_addr, __u32 out_port)
{
	__u32 block;

	if (mapping_reverse(g, out_addr, out_port) >= 0)
		return MAPPING_PORT_BLOCK;
	if (out_port < g->lowest_port)
		return MAPPING_PORT_BELOW;
	block = (out_port - g->first_port) / g->pitch;
	if (block >= g->ratio || (block == g->ratio - 1U && (out_port - g->first_port) % g->pitch >= g->ports_per_host))
		return MAPPING_PORT_ABOVE;
	return (out_port - g->first_port) % g->pitch >= g->ports_per_host ? MAPPING_PORT_GAP : MAPPING_PORT_SPARE;
}

/* The last port of the last block. */
static inline __u32 mapping_last_port(const struct geometry *g)
{
	return g->first_port + g->pitch * (g->ratio - 1U) + g->ports_per_host - 1;
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

/*
 * Offset in the port block of the first choice for the outside port of a session with this inside port. It may be that
 * of port 0, which no session gets.
 */
static __always_inline __u32 mapping_first_choice(const struct geometry *g, __u32 in_port)
{
	return in_port - mapping_divide(g, in_port) * g->ports_per_host;
}

/*
 * The outside port of the first session of an inside endpoint, whose address must be in the mapping's inside range: its
 * first choice, or the next of the group in place of port 0.
 */
static inline __u32 mapping_planned_port(const struct geometry *g, __u32 in_addr, __u32 in_port)
{
	__u32 port = mapping_port_lo(g, mapping_subscriber(g, in_addr)) + mapping_first_choice(g, in_port);

	return port + !port;
}

#endif
