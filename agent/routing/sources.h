/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's checks of source addresses on this machine: reverse-path filters, and the gateway's own addresses. The
 * datapath applies them to packets that it forwards itself (bpf/egress/source.h).
 */
#ifndef DETNAT_SOURCES_H
#define DETNAT_SOURCES_H

#include "datapath/datapath.h"
#include "fib/route_copy.h"
#include "host/netlink.h"

#define RP_FILTER_STRICT 1

/* Reverse-path filters as the kernel applies them, by interface index. */
struct rp_filters {
	uint8_t all;
	uint8_t of[MAX_IFINDEX];
};

/* 0 or -errno; the caller frees *ret. */
int rp_filters_read(struct netlink *n, struct rp_filters **ret);

/* 0 off, 1 strict, 2 loose; 0 if f is NULL. */
uint8_t rp_filter_of(const struct rp_filters *f, uint32_t ifindex);

/* How strictly detnat's interfaces are filtered, over all of them, and whether one is in a VRF. Zero-initialised. */
struct rp_summary {
	unsigned inside, outside; /* interfaces of these roles */
	bool inside_strict, inside_any, outside_strict;
	bool vrf;
};

void rp_summary_add(struct rp_summary *s, uint8_t roles, uint8_t rp_filter, bool in_vrf);

enum source_check rp_source_check(const struct rp_summary *s);
bool rp_outside_strict(const struct rp_summary *s);

/* The gateway's own addresses, as the bits of globals.own_sources. */
struct own_sources {
	uint64_t bits[4];
	bool prefixes; /* also whole prefixes besides loopback, which bits cannot express */
};

/* False if they are not known yet. */
bool own_sources_of(const struct route_copy *copy, struct own_sources *ret);

/* Vouches for all other addresses for some seconds; for none if o is NULL. */
void own_sources_vouch(const struct datapath *d, const struct own_sources *o);

#endif
