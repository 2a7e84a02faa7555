/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Subscribers that are delegated IPv6 prefixes: their numbers, their hosts, and IPv4 addresses in IPv6 ones (RFC 6052).
 *
 * Arithmetic and records, shared by the BPF programs, the agent, the command line and the tests. An inside prefix has a
 * range of virtual IPv4 addresses, one for each subscriber, in 224.0.0.0/4, which no packet can have as a source. All
 * tables but those here know a subscriber by that address; `geometry.in_base` is virtual, too.
 */
#ifndef DETNAT_PREFIX6_H
#define DETNAT_PREFIX6_H

#include "mapping.h"

/* Values of struct mapping.kind. */
enum mapping_kind { MAPPING_IPV4, MAPPING_NAT64, N_MAPPING_KINDS };

/* Virtual addresses: 224.0.0.0/4. */
#define VIRTUAL_BASE 0xe0000000U
#define VIRTUAL_PLEN 4U

/* Lengths of a subscriber's prefix, and the most bits of its number. */
#define SUBSCRIBER_PLEN_MIN 48U
#define SUBSCRIBER_PLEN_MAX 64U
#define SUBSCRIBER_BITS_MAX 24U

#define HOSTS_MAX	    64U
#define HOSTS_DEFAULT_NAT64 16U

#define LOWEST_IPV6_MTU	    1280U
#define LOWEST_IPV6_MTU_MAX 9000U

/* An IPv6 address; its halves in host byte order. */
struct address6 {
	__u64 hi;
	__u64 lo;
};

/* Converts an octet string of 8 to a number in host byte order, and back. */
static __always_inline __u64 be64_number(__u64 v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(v);
#else
	return v;
#endif
}

/* Mask of the upper `bits` bits of 64, 0..64. */
static __always_inline __u64 mask64(__u32 bits)
{
	return bits ? ~0ULL << (64 - bits) : 0;
}

/* Network mask of a prefix length 0..128. */
static __always_inline struct address6 prefix6_mask(__u32 plen)
{
	return (struct address6){ .hi = mask64(plen < 64 ? plen : 64), .lo = mask64(plen < 64 ? 0 : plen - 64) };
}

static __always_inline int address6_equal(const struct address6 *a, const struct address6 *b)
{
	return !((a->hi ^ b->hi) | (a->lo ^ b->lo));
}

/* Returns 1 if an address is in a prefix of length 0..128. */
static __always_inline int prefix6_contains(const struct address6 *base, __u32 plen, const struct address6 *addr)
{
	struct address6 mask = prefix6_mask(plen);

	return !(((addr->hi ^ base->hi) & mask.hi) | ((addr->lo ^ base->lo) & mask.lo));
}

/* Returns 1 if two prefixes overlap. */
static __always_inline int prefix6_overlaps(const struct address6 *a, __u32 plen_a, const struct address6 *b,
					    __u32 plen_b)
{
	return prefix6_contains(a, plen_a < plen_b ? plen_a : plen_b, b);
}

/*
 * RFC 6052 section 2.2. The u octet, bits 64..71, is 0 in every address with an IPv4 address in it, also where the
 * prefix is longer than it.
 */
#define NAT64_U_OCTET (0xffULL << 56)

/* Returns 1 for the six lengths of a prefix. */
static __always_inline int nat64_plen_is_valid(__u32 plen)
{
	return plen == 96 || (plen >= 32 && plen <= 64 && !(plen & 7));
}

/* Returns 1 for a prefix as RFC 6052 allows them: of such a length, nothing behind it, the u octet 0. */
static __always_inline int nat64_prefix_is_valid(const struct address6 *prefix, __u32 plen)
{
	struct address6 mask = prefix6_mask(plen);

	return nat64_plen_is_valid(plen) && !((prefix->hi & ~mask.hi) | (prefix->lo & ~mask.lo)) &&
	       !(prefix->lo & NAT64_U_OCTET);
}

/* The bits that addresses with an IPv4 address in them have in common with the prefix: it, and the u octet. */
static __always_inline struct address6 nat64_mask(__u32 plen)
{
	struct address6 mask = prefix6_mask(plen);

	mask.lo |= NAT64_U_OCTET;
	return mask;
}

/* The address of an IPv4 address (host byte order) in a prefix of a valid length; the bits behind it are 0. */
static __always_inline struct address6 nat64_embed(const struct address6 *prefix, __u32 plen, __u32 addr)
{
	struct address6 a = *prefix;

	if (plen == 96) {
		a.lo |= addr;
	} else {
		/* 64 - plen bits of it end the upper half; the others begin behind the u octet. */
		a.hi |= (__u64)addr >> ((plen - 32) & 63);
		a.lo |= (__u64)addr << 32 << ((64 - plen) & 63) >> 8;
	}
	return a;
}

/* The IPv4 address (host byte order) in an address in a prefix of a valid length. */
static __always_inline __u32 nat64_extract(__u32 plen, const struct address6 *addr)
{
	if (plen == 96)
		return (__u32)addr->lo;
	return (__u32)(addr->hi << ((plen - 32) & 63)) | (__u32)(addr->lo << 8 >> 32 >> ((64 - plen) & 63));
}

/* 64:ff9b::/96, whose addresses may not have a private IPv4 address in them (RFC 6052 section 3.1). */
static __always_inline int nat64_is_well_known(const struct address6 *prefix, __u32 plen)
{
	return plen == 96 && prefix->hi == 0x0064ff9b00000000ULL && !(prefix->lo >> 32);
}

/* Second record of a mapping whose subscribers are IPv6 prefixes: map `records6`, ARRAY, by mapping.record6. */
struct record6 {
	__u64 in_hi;	      /* upper half of the prefix of subscriber 0, host byte order */
	__u64 nat64[2];	      /* the prefix, octets as in a packet; the bits of IPv4 addresses 0 */
	__u64 nat64_mask[2];  /* nat64_mask() of it, likewise */
	__u32 first_host;     /* of subscriber 0, numbered across all mappings in `hosts6` */
	__u8 nat64_plen;      /* 32, 40, 48, 56, 64 or 96 */
	__u8 subscriber_plen; /* 48..64 */
	__u8 hosts;	      /* the most of a subscriber, 1..64 */
	__u8 flags;	      /* RECORD6_… */
	__u16 lowest_mtu;     /* longest fragments of IPv6 that are made of IPv4 packets without DF, octets */
	__u8 pad[14];
};
_Static_assert(sizeof(struct record6) == 64, "one cache line");

/* The prefix is 64:ff9b::/96: no private addresses. */
#define RECORD6_WELL_KNOWN 0x01

#define MAX_RECORDS6 4096U

static inline void record6_set_prefix(struct record6 *r, const struct address6 *prefix, __u32 plen)
{
	struct address6 mask = nat64_mask(plen);

	r->nat64[0] = be64_number(prefix->hi);
	r->nat64[1] = be64_number(prefix->lo);
	r->nat64_mask[0] = be64_number(mask.hi);
	r->nat64_mask[1] = be64_number(mask.lo);
	r->nat64_plen = (__u8)plen;
	r->flags =
		(__u8)((r->flags & ~RECORD6_WELL_KNOWN) | (nat64_is_well_known(prefix, plen) ? RECORD6_WELL_KNOWN : 0));
}

/* Upper half of the prefix of a mapping's subscriber. */
static __always_inline __u64 subscriber6_hi(const struct record6 *r, __u32 subscriber)
{
	return r->in_hi + ((__u64)subscriber << ((64 - r->subscriber_plen) & 63));
}

/* Number of the subscriber in whose prefix an address with this upper half is; it must be one of the mapping's. */
static __always_inline __u32 subscriber6_number(const struct record6 *r, __u64 hi)
{
	return (__u32)((hi - r->in_hi) >> ((64 - r->subscriber_plen) & 63));
}

/*
 * Index of the inside prefixes: map `indices6`, ARRAY of one struct indices6. Ranges are of the upper halves of
 * addresses (host byte order, both ends included), sorted and disjoint: where inside prefixes nest, the agent cuts the
 * outer one into pieces. Programs try the hint before they search. The agent fills the index that is not `current`,
 * then stores its number, and waits until no program can still be reading the other before it fills that.
 */
struct range6 {
	__u64 first;
	__u64 last;
	__u32 virt; /* virtual address of the subscriber of `first` */
	__u16 leaf; /* INDEX_LEAF | mapping number; 0: none */
	__u8 shift; /* 64 - subscriber_plen: 0..16 */
	__u8 pad;
};
_Static_assert(sizeof(struct range6) == 24, "no hidden padding");

#define MAX_RANGES6 256U

/* Unused ranges come last, with a `first` of ~0 and a leaf of 0. An empty hint is {}, in which only :: is. */
struct index6 {
	struct range6 hint;
	__u32 n;
	__u32 pad;
	struct range6 range[MAX_RANGES6];
};

struct indices6 {
	__u32 current; /* 0 or 1 */
	__u32 inside;  /* an inside interface, as of whose packets the kernel is asked for the way to hosts; 0: none */
	__u32 pad[14];
	struct index6 index[2];
};

static __always_inline int range6_has(const struct range6 *r, __u64 hi)
{
	return hi - r->first <= r->last - r->first;
}

/* Virtual address of the subscriber that an upper half in a range belongs to. */
static __always_inline __u32 range6_virtual(const struct range6 *r, __u64 hi)
{
	return r->virt + (__u32)((hi - r->first) >> (r->shift & 63));
}

/* The range of an index that an upper half may be in, which is to be asked. 8 steps, without branches of the data's. */
static __always_inline const struct range6 *index6_search(const struct index6 *x, __u64 hi)
{
	__u32 at = 0;

#pragma GCC unroll 8
	for (__u32 step = MAX_RANGES6 / 2; step; step >>= 1)
		at += x->range[(at + step) & (MAX_RANGES6 - 1)].first <= hi ? step : 0;
	return &x->range[at & (MAX_RANGES6 - 1)];
}

/*
 * A host: an address of a subscriber that has sessions. Each subscriber of a mapping has 1 << mapping.host_shift lines
 * in the ARRAY_OF_MAPS `hosts6`, whose inner maps are mmapable ARRAYs ("chunks"), as those of `subscribers` are. Its
 * number is in the state words of its sessions.
 *
 * Only the datapath writes a line, under the subscriber's opener lock, while no live session in a slot names it and its
 * count is 0. A reader reads state word, key, line and state word again: rule 3 of <detnat/session.h>.
 */
struct host6 {
	__u64 lo;    /* lower half of the address, octets as in a packet */
	__u16 hi;    /* the bits between the subscriber's prefix and it, host byte order */
	__u16 count; /* what names the host but is not in slots */
	__u32 inner; /* 0; in a tunnel, the inner address, host byte order */
};
_Static_assert(sizeof(struct host6) == 16, "four to a cache line");

#define HOST6_CHUNK_SHIFT 18U
#define HOST6_CHUNK	  (1U << HOST6_CHUNK_SHIFT) /* lines: 4 MB */
#define MAX_HOST6_CHUNKS  4096U

/* Number of a subscriber's host line across all mappings. host_shift: of the mapping. */
static __always_inline __u32 host6_number(const struct record6 *r, __u32 host_shift, __u32 subscriber, __u32 host)
{
	return r->first_host + (subscriber << (host_shift & 31)) + host;
}

/* What is in host6.hi of a host of the mapping's, by the upper half of its address. */
static __always_inline __u16 host6_hi(const struct record6 *r, __u64 hi)
{
	return (__u16)(hi & ~mask64(r->subscriber_plen));
}

/* Every NAT64 prefix: the LPM_TRIE `prefixes6`, of MAX_RECORDS6 entries, whose values are 1. */
struct prefix6_key {
	__u32 plen;
	__u8 addr[16]; /* as in a packet */
};
_Static_assert(sizeof(struct prefix6_key) == 20, "as an LPM_TRIE wants it");

/*
 * The gateway's own global address on an interface, as in a packet: the ARRAY `addresses6`, by interface index. ICMPv6
 * errors come from it. All 0: there is none.
 */
struct address6_octets {
	__u8 octet[16];
};

#endif
