/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's decision for a packet: route, interface, neighbour. */
#ifndef DETNAT_ROUTE_LOOKUP_H
#define DETNAT_ROUTE_LOOKUP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/virtual6.h"

enum way_neighbour {
	NEIGHBOUR_NONE,	      /* not asked recently */
	NEIGHBOUR_RESOLVED,   /* or being confirmed */
	NEIGHBOUR_INCOMPLETE, /* asked, no answer yet */
	NEIGHBOUR_FAILED,     /* asked, not answered */
	NEIGHBOUR_NEEDLESS,   /* the interface has no addresses */
	NEIGHBOUR_UNKNOWN,    /* could not be read, or is one of IPv6 on the way to an address of IPv4 */
};

struct kernel_way {
	uint32_t addr;	       /* 0 where it is one of IPv6 */
	struct address6 addr6; /* :: where it is one of IPv4 */
	/*
	 * -errno of the route: -ENETUNREACH, -EHOSTUNREACH, -EACCES, -EINVAL (blackhole), -ENODEV (no VRF); 0: there is
	 * one
	 */
	int error;
	bool local;	  /* the gateway's own address */
	bool up;	  /* the interface */
	uint32_t ifindex; /* 0: none */
	char name[IFNAMSIZ];
	uint32_t next_hop;	   /* the router, or the address itself */
	struct address6 next_hop6; /* likewise, to an address of IPv6 */
	uint32_t mtu;		   /* of the route or the interface, octets; 0: not known */
	enum way_neighbour neighbour;
	uint8_t mac[6]; /* if resolved */
};

/*
 * An address beyond the outside, which only a default route covers, if there is one: 192.0.2.1, or one of another test
 * network (RFC 5737, RFC 2544) where this machine has a route for that one.
 */
uint32_t address_beyond(void);

/* Asks the kernel for a route of a VRF, given its index; 0: of none. 0, or -errno if that failed. */
int kernel_way_read(uint32_t addr, uint32_t vrf, struct kernel_way *ret);

/*
 * The same for a packet from an address that arrives through an interface: routing rules by source and by interface
 * count. If the kernel would not accept such a packet at all, for example because of a strict rp_filter or without
 * forwarding, the result is that of kernel_way_read() for the interface's VRF. ifindex 0: no interface.
 */
int kernel_way_read_from(uint32_t addr, uint32_t source, uint32_t ifindex, struct kernel_way *ret);

/* The same for an address of IPv6, of no VRF. */
int kernel_way_read6(const struct address6 *addr, struct kernel_way *ret);

/* Whether it was read at all. */
static inline bool kernel_way_is_read(const struct kernel_way *way)
{
	return way->addr || way->addr6.hi || way->addr6.lo;
}

static inline bool kernel_way_is_ipv6(const struct kernel_way *way)
{
	return way->addr6.hi || way->addr6.lo;
}

/* The address, and that of the next hop, as text. */
const char *kernel_way_addr(const struct kernel_way *way, char text[static INSIDE_TEXT]);
const char *kernel_way_next_hop(const struct kernel_way *way, char text[static INSIDE_TEXT]);

/* The name of a neighbour's state, such as "resolved". */
const char *way_neighbour_name(enum way_neighbour n);

#endif
