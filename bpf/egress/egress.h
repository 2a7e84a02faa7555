/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The egress of a packet, in either direction: its interface, and whether XDP or the kernel sends it. egress_find.h
 * finds it; in stage 2, stage2_egress.h does.
 */
#ifndef DETNAT_EGRESS_H
#define DETNAT_EGRESS_H

#include <detnat/fib.h>

#include "packet/ether.h"

enum egress_state {
	EGRESS_READY,	   /* XDP can send to it */
	EGRESS_KERNEL,	   /* the kernel must send */
	EGRESS_REFUSING,   /* the kernel must send: the interface takes no frames from XDP; all fields are valid */
	EGRESS_UNRESOLVED, /* the neighbour is not resolved: ifindex, gateway and family are valid */
	EGRESS_NOWHERE,	   /* no route to the subscriber, one through an outside interface, or a local address */
	EGRESS_TUNNELLED,  /* the kernel must send: the route encapsulates */
};

/* Direction of a translated packet. */
enum direction { DIRECTION_OUT, DIRECTION_IN, DIRECTION_HAIRPIN };

struct egress {
	union {
		struct {
			struct ether_addresses mac;
			__u32 mtu;
		};
		__u32 gateway[4]; /* EGRESS_UNRESOLVED: network byte order; an IPv4 address is the first word */
	};
	__u32 ifindex;
	union {
		__u32 longest; /* longest packet that XDP may send, octets; up to the MTU the kernel decides */
		__u32 family;  /* EGRESS_UNRESOLVED: of the gateway, which may be IPv6 (RFC 8950) */
	};
	__u32 state; /* enum egress_state */
#if SENDS_BY_TC
	struct bpf_redir_neigh
		neighbour; /* EGRESS_READY: of the next hop that the kernel resolves; family 0: `mac` is known */
#endif
};
_Static_assert(sizeof(struct egress) == (SENDS_BY_TC ? 48 : 28), "no hidden padding");

/* What the stack has no room for. */
struct egress_room {
	struct egress egress;	   /* of the packet in hand, which has one at a time */
	__u32 vrf;		   /* of a packet inwards: by whose table it is routed; 0: by that of its ingress */
	struct bpf_fib_lookup fib; /* a question to the kernel, until the function that asks it returns */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct egress_room);
} egress_rooms SEC(".maps");

/* Never NULL, except to the verifier. */
static __always_inline struct egress_room *egress_room_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&egress_rooms, &zero);
}

static __always_inline struct egress *egress_get(void)
{
	struct egress_room *room = egress_room_get();

	if (!room)
		return 0;
	barrier_var(room); /* as in globals_get() */
	return &room->egress;
}

/* Returns 1 if the next hop is known: all fields are valid. */
static __always_inline int egress_is_known(const struct egress *e)
{
	return e->state == EGRESS_READY || e->state == EGRESS_REFUSING;
}

/* Notes that the addresses of the next hop are known. */
static __always_inline void egress_is_resolved(struct egress *e)
{
#if SENDS_BY_TC
	e->neighbour.nh_family = 0;
#endif
}

/* Where a next hop leads that XDP can send to, by an interface of this MTU. */
static __always_inline void egress_of_hop(struct egress *ret, const struct fib_hop *hop, __u32 mtu)
{
	__builtin_memcpy(&ret->mac, hop->dmac, sizeof(ret->mac));
	ret->mtu = mtu;
	ret->ifindex = hop->ifindex;
	ret->longest = hop->mtu < mtu ? hop->mtu : mtu;
	ret->state = EGRESS_READY;
}

#endif
