/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes that limit more than bpf_fib_lookup() tells the datapath of: those with an `mtu`, by which the kernel measures
 * what it forwards, and those of a TOS. The datapath gets the former as the map `route_mtus`: a prefix, and the least
 * MTU of all such routes that cover it, in whatever table. What is longer it leaves to the kernel.
 *
 * Routes that vanish with an interface are not told of; what is kept too long costs speed alone.
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
	struct route_limit *list; /* routes with an mtu or a TOS */
	size_t count;
	size_t room;
	bool known;   /* the list is that of the kernel */
	bool changed; /* since route_limits_apply() */
};

void route_limits_free(struct route_limits *l);

/* Takes notice of an RTM_NEWROUTE or RTM_DELROUTE. */
void route_limits_message(struct route_limits *l, const struct nlmsghdr *h);

/* Reads all routes of the machine. 0 or -errno. */
int route_limits_read(struct route_limits *l, struct netlink *n);

/* Makes the datapath's map that of the list. 0 or -errno. */
int route_limits_apply(struct route_limits *l, int map);

/* Whether the datapath has to look into the map: there are such routes, or the kernel forwards by path MTUs it learned.
 */
bool route_limits_mtu(const struct route_limits *l);

bool route_limits_tos(const struct route_limits *l);

#endif
