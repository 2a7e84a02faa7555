/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's checks of source addresses are on this machine, for the datapath, which makes them where it
 * forwards by itself (bpf/source.h): reverse-path filters, and the addresses that are the gateway's own.
 */
#ifndef DETNAT_SOURCES_H
#define DETNAT_SOURCES_H

#include "datapath/datapath.h"
#include "host/netlink.h"

/* Reverse-path filters as the kernel applies them, by interface index. */
struct rp_filters {
	uint8_t all;
	uint8_t of[MAX_IFINDEX];
};

/* 0 or -errno; the caller frees *ret. */
int rp_filters_read(struct netlink *n, struct rp_filters **ret);

/* 0 off, 1 strict, 2 loose; 0 where f is NULL. */
uint8_t rp_filter_of(const struct rp_filters *f, uint32_t ifindex);

/* How strictly an interface of ours is filtered, added up over all of them. All 0 to begin with. */
struct rp_summary {
	unsigned inside, outside; /* interfaces of these roles */
	bool inside_strict, inside_any, outside_strict;
};

void rp_summary_add(struct rp_summary *s, uint8_t roles, uint8_t rp_filter);

enum source_check rp_source_check(const struct rp_summary *s);
bool rp_outside_strict(const struct rp_summary *s);

/* The gateway's own addresses, as the bits of globals.own_sources. */
struct own_sources {
	uint64_t bits[4];
	bool prefixes; /* there are whole prefixes of them, beside that of loopback: no bits can say which */
};

/* Reads the routing table `local`. 0 or -errno. */
int own_sources_read(struct netlink *n, struct own_sources *ret);

/* Vouches for all other addresses, for some seconds from now; for none where o is NULL. */
void own_sources_vouch(const struct datapath *d, const struct own_sources *o);

#endif
