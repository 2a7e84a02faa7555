/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes with restrictions that bpf_fib_lookup() does not report to the datapath: those with an `mtu`, by which the
 * kernel limits what it forwards, and those for a TOS. The datapath gets the former in the map `route_mtus`: a prefix
 * and the lowest MTU of all such routes that cover it, in any table. It leaves longer packets to the kernel.
 *
 * Routes that vanish with an interface are not notified; an outdated entry only costs speed.
 */
#ifndef DETNAT_ROUTE_LIMITS_H
#define DETNAT_ROUTE_LIMITS_H

#include "host/netlink.h"

struct route_limit {
	uint32_t dst; /* host byte order */
	uint8_t plen;
	uint8_t tos;
	uint32_t table;
	uint32_t priority;
	uint32_t mtu; /* 0: none */
};

struct route_limits {
	struct route_limit *list; /* routes with an MTU or a TOS */
	size_t count;
	size_t room;
	bool known;   /* the list matches the kernel */
	bool changed; /* since route_limits_apply() */
};

void route_limits_free(struct route_limits *l);

/* Processes an RTM_NEWROUTE or RTM_DELROUTE. */
void route_limits_message(struct route_limits *l, const struct nlmsghdr *h);

/* Reads all routes of the machine. 0 or -errno. */
int route_limits_read(struct route_limits *l, struct netlink *n);

/* Writes the list to the datapath's map. 0 or -errno. */
int route_limits_apply(struct route_limits *l, int map);

/*
 * Whether the datapath has to look in the map: there are such routes, or the kernel applies learned path MTUs when
 * forwarding.
 */
bool route_limits_mtu(const struct route_limits *l);

bool route_limits_tos(const struct route_limits *l);

#endif
