// SPDX-License-Identifier: BSD-2-Clause
/* The datapath's copy of the kernel's routes, filled as the agent would fill it. */
#include "bench.h"

#include <errno.h>
#include <string.h>

#include <detnat/prefix6.h>

#include "fib/trie.h"

#define HOP_SUBSCRIBERS FIB_HOP_FIRST
#define HOP_ROUTES	(FIB_HOP_FIRST + 1)

static struct fib_trie trie;

static struct fib_node *add_chunk(uint32_t number, void *arg)
{
	const struct bench *b = arg;
	struct fib_node *nodes;
	int r = datapath_fib_chunk(&b->d, number, &nodes);

	if (r)
		die("memory for the copy of the routes", r);
	return nodes;
}

/* There are none in the copy. */
static void met_neighbour(uint32_t addr, void *arg)
{
	(void)addr;
	(void)arg;
}

static void describe_hop(const struct bench *b, uint32_t number, uint32_t ifindex, const uint8_t station[6])
{
	struct fib_hop *h = &b->d.fib->hop[number];

	*h = (struct fib_hop){ .ifindex = ifindex,
			       .mtu = (uint16_t)b->d.device[ifindex].mtu,
			       .flags = FIB_ROUTED | FIB_RESOLVED };
	h->flags |= ifindex == b->outside_ifindex ? FIB_FAST_OUT : FIB_FAST_IN;
	memcpy(h->dmac, station, sizeof(h->dmac));
	memcpy(h->smac, b->d.device[ifindex].mac, sizeof(h->smac));
}

/* Routes of make_namespace(), in world.c. */
static void fill_first(void)
{
	static const struct {
		uint32_t base;
		unsigned plen, rank, hop;
	} routes[] = {
		{ 0x0a000000, 8, 8, HOP_SUBSCRIBERS },
		{ 0xac100000, 12, 12, HOP_SUBSCRIBERS },
		{ 0x00000000, 8, FIB_RANK_SPECIAL, FIB_HOP_KERNEL },
		{ 0x7f000000, 8, FIB_RANK_SPECIAL, FIB_HOP_KERNEL },
		{ 0xa9fe0000, 16, FIB_RANK_SPECIAL, FIB_HOP_KERNEL },
		{ VIRTUAL_BASE, VIRTUAL_PLEN, VIRTUAL_PLEN, HOP_SUBSCRIBERS },
		{ 0xf0000000, 4, FIB_RANK_SPECIAL, FIB_HOP_KERNEL },
		{ 0xc0000201, 32, FIB_RANK_LOCAL, FIB_HOP_LOCAL },
		{ 0xc6336401, 32, FIB_RANK_LOCAL, FIB_HOP_LOCAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
		fib_trie_set(&trie, routes[i].base, routes[i].plen, routes[i].rank, routes[i].hop);
}

void copy_open(struct bench *b)
{
	const struct fib_trie_calls calls = { add_chunk, met_neighbour, b };
	const uint8_t subscribers[6] = { 2, 0, 0, 0, 0, 1 };
	uint8_t station[6];

	fib_trie_init(&trie, b->d.fib, MAX_FIB_CHUNKS, &calls);
	b->d.fib->hop[FIB_HOP_LOCAL].flags = FIB_LOCAL;
	b->d.fib->hop[FIB_HOP_DISCARD].flags = FIB_DISCARD;
	describe_hop(b, HOP_SUBSCRIBERS, b->inside_ifindex, subscribers);
	for (uint32_t i = 0; i <= INTERNET_NEXT_HOPS; i++) {
		routes_station(i, station);
		describe_hop(b, i ? HOP_ROUTES + i - 1 : FIB_HOP_DEFAULT, b->outside_ifindex, station);
	}
	fill_first();
}

void copy_close(void)
{
	fib_trie_done(&trie);
}

void copy_add(uint32_t base, unsigned plen, uint32_t next_hop)
{
	fib_trie_set(&trie, base, plen, plen, HOP_ROUTES + next_hop - 1);
}

void copy_forget(void)
{
	fib_trie_empty(&trie);
	fill_first();
}

uint64_t copy_nodes(void)
{
	return fib_trie_nodes(&trie) * sizeof(struct fib_node);
}

uint64_t copy_memory(void)
{
	return (uint64_t)trie.n_chunks * FIB_CHUNK * sizeof(struct fib_node);
}
