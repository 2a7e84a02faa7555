// SPDX-License-Identifier: BSD-2-Clause
/* The fixture's routes as the agent tells them to the datapath. */
#include <string.h>

#include <criterion/criterion.h>

#include "fixture.h"
#include "told_routes.h"

enum { HOP_ROUTER = FIB_HOP_DEFAULT, HOP_HOST = FIB_HOP_FIRST, HOP_INSIDE, HOP_OUTSIDE };

#define SPECIAL ((uint32_t)FIB_RANK_SPECIAL << 24 | FIB_HOP_KERNEL)

struct fib_hop *told_router, *told_host;

static struct fib_node *nodes;

static struct fib_hop resolved(uint32_t ifindex, uint8_t flags, enum station station)
{
	const struct device *d = &datapath.device[ifindex];
	struct fib_hop hop = { .ifindex = ifindex,
			       .mtu = (uint16_t)d->mtu,
			       .flags = FIB_ROUTED | FIB_RESOLVED | flags };
	const uint8_t mac[6] = { 2, 0, 0, 0, 0, (uint8_t)station };

	memcpy(hop.dmac, mac, sizeof(mac));
	memcpy(hop.smac, d->mac, sizeof(d->mac));
	return hop;
}

/* A node that repeats an entry. */
static struct fib_node node_of(uint32_t entry)
{
	struct fib_node node;

	for (unsigned i = 0; i < 256; i++)
		node.entry[i] = entry;
	return node;
}

/* Makes a.b.c.0/24 reach a node of its own, numbered `fourth`, filled with a hop; a.b.0.0/16 gets node `third`. */
static struct fib_node *network(uint32_t addr, uint32_t third, uint32_t fourth, uint32_t hop)
{
	datapath.fib->second[addr >> 24] = node_of(FIB_HOP_DEFAULT);
	nodes[third] = node_of(FIB_HOP_DEFAULT);
	nodes[fourth] = node_of(24U << 24 | hop);
	nodes[third].entry[addr >> 8 & 255] = FIB_NODE | fourth;
	datapath.fib->second[addr >> 24].entry[addr >> 16 & 255] = FIB_NODE | third;
	datapath.fib->first.entry[addr >> 24] = FIB_NODE | addr >> 24;
	return &nodes[fourth];
}

void tell_routes(void)
{
	struct fib *fib = datapath.fib;
	struct fib_node *inside, *outside, *pool;

	if (!nodes)
		cr_assert_eq(datapath_fib_chunk(&datapath, 0, &nodes), 0);
	told_router = &fib->hop[HOP_ROUTER];
	told_host = &fib->hop[HOP_HOST];
	fib->hop[HOP_ROUTER] = resolved(outside_ifindex, FIB_FAST_OUT, ROUTER);
	fib->hop[HOP_HOST] = resolved(inside_ifindex, FIB_FAST_IN, HOST);
	fib->hop[HOP_INSIDE] = (struct fib_hop){ .ifindex = inside_ifindex, .flags = FIB_ROUTED };
	fib->hop[HOP_OUTSIDE] = (struct fib_hop){ .ifindex = outside_ifindex, .flags = FIB_ROUTED };
	fib->hop[FIB_HOP_LOCAL].flags = FIB_LOCAL;
	fib->hop[FIB_HOP_DISCARD].flags = FIB_DISCARD;
	inside = network(ADDR(10, 0, 0, 0), 0, 1, HOP_INSIDE);
	for (unsigned i = 2; i <= 60; i++)
		inside->entry[i] = (uint32_t)FIB_RANK_NEIGHBOUR << 24 | HOP_HOST;
	inside->entry[1] = (uint32_t)FIB_RANK_LOCAL << 24 | FIB_HOP_LOCAL;
	outside = network(ADDR(198, 51, 100, 0), 2, 3, HOP_OUTSIDE);
	outside->entry[1] = inside->entry[1];
	outside->entry[7] = (uint32_t)FIB_RANK_NEIGHBOUR << 24 | HOP_ROUTER;
	pool = network(POOL, 4, 5, HOP_ROUTER);
	for (unsigned i = 0; i < 4; i++)
		pool->entry[i] = SPECIAL;
	for (unsigned i = 224; i < 256; i++)
		fib->first.entry[i] = SPECIAL;
	fib->first.entry[0] = fib->first.entry[127] = SPECIAL;
	datapath.global->fib_until = datapath_ticks(&datapath) + 0x10000000;
}

void tell_no_routes(void)
{
	datapath.global->fib_until = datapath_ticks(&datapath) - 1;
}
