/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Portmaps: each leads an outside endpoint to one inside endpoint, for all senders or for those that its filters allow.
 * A portmap needs no session. It has two entries in the pinned HASH `portmaps`, one for each direction; only the agent
 * changes them.
 */
#ifndef DETNAT_PORTMAPS_H
#define DETNAT_PORTMAPS_H

#include "mapping.h"

/*
 * The configuration's portmaps and the leases of PCP have separate room in the tables: MAX_PORTMAPS, and at least
 * MIN_LEASES, or more if the configuration allows more leases.
 */
#define MAX_PORTMAPS	     65536U
#define MIN_LEASES	     65536U
#define MAX_LEASES	     1048576U
#define PORTMAP_ROOM(leases) (MAX_PORTMAPS + (leases))

/* The direction of a packet. */
enum portmap_direction { PORTMAP_IN2OUT, PORTMAP_OUT2IN };

/*
 * In an IN2OUT key the bits that the protocol and the direction leave have the number of the subscriber's tenant: its
 * highest bit is that of `proto`, the others are above the direction. portmap_key_inside() makes such a key.
 */
struct portmap_key {
	__u32 addr; /* host byte order: in_addr, or out_addr */
	__u16 port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 direction;
};
_Static_assert(sizeof(struct portmap_key) == 8, "hashed as octets");

#define PORTMAP_TENANT_HIGH 0x80U

/* The IN2OUT key of an endpoint of a tenant, 0: there are no tenants. */
static __always_inline struct portmap_key portmap_key_inside(__u32 tenant, __u32 addr, __u16 port, __u8 proto)
{
	return (struct portmap_key){ .addr = addr,
				     .port = port,
				     .proto = (__u8)(proto | (tenant & PORTMAP_TENANT_HIGH)),
				     .direction = (__u8)(tenant << 1 | PORTMAP_IN2OUT) };
}

static __always_inline __u8 portmap_key_tenant(const struct portmap_key *key)
{
	return (__u8)(key->direction >> 1 | (key->proto & PORTMAP_TENANT_HIGH));
}

static __always_inline __u8 portmap_key_proto(const struct portmap_key *key)
{
	return key->proto & (PORTMAP_TENANT_HIGH - 1);
}

static __always_inline enum portmap_direction portmap_key_direction(const struct portmap_key *key)
{
	return key->direction & 1 ? PORTMAP_OUT2IN : PORTMAP_IN2OUT;
}

/* X(constant, word) */
#define PORTMAP_ORIGINS(X)                                                    \
	X(PORTMAP_STATIC, "static") /* of the configuration: never expires */ \
	X(PORTMAP_PCP, "pcp")	    /* a lease (RFC 6887) */

enum portmap_origin {
#define X(constant, word) constant,
	PORTMAP_ORIGINS(X)
#undef X
		N_PORTMAP_ORIGINS
};

/* The bit of a port (host byte order) in portmap_in and portmap_out of a subscriber's record. */
static __always_inline __u16 portmap_bit(__u8 proto, __u16 port)
{
	return (__u16)(1U << ((((__u32)port << 8 | proto) * 0x9e3779b1U) >> 28));
}

#define PORTMAP_NONCE 12U
#define LEASE_LEFT_S  3600U

struct portmap_value {
	__u32 addr; /* the other endpoint */
	__u16 port;
	__u8 origin;   /* enum portmap_origin */
	__u8 filtered; /* 1: it has filters */
	__u64 packets; /* translated in this direction */
	/*
	 * Written by the agent, equal in both entries: the end of a lease (CLOCK_BOOTTIME in seconds, 0: never) and its
	 * nonce. The agent deletes the lease at its end. Without an agent, the programs honour it for LEASE_LEFT_S more
	 * and then ignore it.
	 */
	__u64 expires_s;
	__u8 nonce[PORTMAP_NONCE];
	__u8 peer; /* likewise: the peer that announced the lease, numbered as in marks of copies; 0: this gateway */
	__u8 pad[3];
};
_Static_assert(sizeof(struct portmap_value) == 40, "no hidden padding");

/*
 * Filters (RFC 6887 section 13.3): the senders from which a portmap accepts packets. All filters of a portmap are one
 * entry of the pinned HASH `portmap_filters`, under the key of its OUT2IN entry.
 */
#define MAX_PORTMAP_FILTERS 8U

struct portmap_filter {
	__u32 addr; /* host byte order, host bits cleared */
	__u16 port; /* 0: all */
	__u8 plen;  /* 0..32 */
	__u8 pad;
};

struct portmap_filters {
	__u32 n;
	struct portmap_filter filter[MAX_PORTMAP_FILTERS]; /* unused ones are 0 */
};
_Static_assert(sizeof(struct portmap_filters) == 68, "compared as octets");

/* Returns 1 if one of the filters matches an endpoint, in host byte order. */
static __always_inline int portmap_filters_match(const struct portmap_filters *f, __u32 addr, __u16 port)
{
	for (__u32 i = 0; i < MAX_PORTMAP_FILTERS; i++) {
		const struct portmap_filter *one = &f->filter[i];

		if (i < f->n && prefix_contains(one->addr, one->plen, addr) && (!one->port || one->port == port))
			return 1;
	}
	return 0;
}

#endif
