/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes with restrictions that bpf_fib_lookup() does not report to the datapath: those with an `mtu`, which limits the
 * packets that the kernel forwards, and those for a TOS. The datapath gets the former in the map `route_mtus`: a prefix
 * and the lowest MTU of all such routes that cover it, in any table. It leaves longer packets to the kernel.
 *
 * Routes that vanish with an interface are not notified; an outdated entry only costs speed.
 */
#ifndef DETNAT_ROUTE_LIMITS_H
#define DETNAT_ROUTE_LIMITS_H

#include "fib/route_copy.h"
#include "host/netlink.h"

struct route_limit {
	uint32_t dst; /* host byte order */
	uint8_t plen;
	uint8_t tos;
	uint32_t table;
	uint32_t priority;
	uint32_t mtu; /* 0: none */
	bool old;     /* not seen yet by the present reading */
};

struct route_limits {
	struct route_limit *list; /* routes with an MTU or a TOS */
	size_t count;
	size_t room;
	bool failed;  /* a route is missing in the list */
	bool changed; /* since route_limits_apply() */
};

void route_limits_free(struct route_limits *l);

/* Processes an RTM_NEWROUTE or RTM_DELROUTE. */
void route_limits_message(struct route_limits *l, const struct nlmsghdr *h);

/* The same as part of a later reading of all routes; h: NULL at its beginning and end. */
void route_limits_again(struct route_limits *l, enum route_copy_reading what, const struct nlmsghdr *h);

/* Reads all routes of the machine, in one go. 0 or -errno. */
int route_limits_read(struct route_limits *l, struct netlink *n);

/* Writes the list to the datapath's map. 0 or -errno. */
int route_limits_apply(struct route_limits *l, int map);

/*
 * Whether the datapath has to look in the map: there are such routes, or the kernel applies learned path MTUs when
 * forwarding.
 */
bool route_limits_mtu(const struct route_limits *l);

/* Whether the kernel applies learned path MTUs when forwarding. */
bool route_limits_by_path(void);

bool route_limits_tos(const struct route_limits *l);

#endif
