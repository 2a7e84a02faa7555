/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/route_copy_private.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* Never forwarded by XDP, whatever the configuration: martians and link-local addresses. */
static const struct prefix always_special[] = {
	{ 0x00000000, 8 }, { 0x7f000000, 8 }, { 0xe0000000, 3 }, { 0xa9fe0000, 16 }
};

/* The rank of prefixes that are never forwarded, if one contains the address; else 0. */
static unsigned special_rank(const struct route_copy *c, uint32_t addr)
{
	for (unsigned plen = 0; plen < 32; plen++) {
		uint32_t hop;

		if (addr >> 24 != 127 && fib_store_best(&c->store, addr & fib_mask(plen), plen, FIB_ROUTE_LOCAL, &hop))
			return FIB_RANK_LOCAL_PREFIX;
	}
	for (size_t i = 0; i < ARRAY_SIZE(always_special); i++)
		if (prefix_contains(always_special[i].base, always_special[i].plen, addr))
			return FIB_RANK_SPECIAL;
	for (size_t i = 0; i < c->n_special; i++)
		if (prefix_contains(c->special[i].base, c->special[i].plen, addr))
			return FIB_RANK_SPECIAL;
	return 0;
}

bool paint_is_special(const struct fib_route *r)
{
	return r->flags & FIB_ROUTE_LOCAL && r->plen < 32 && r->dst >> 24 != 127;
}

static void set_special(struct route_copy *c, uint32_t base, unsigned plen)
{
	fib_trie_set(&c->trie, base, plen, FIB_RANK_SPECIAL, FIB_HOP_KERNEL);
}

/* Around the ranges of virtual addresses, which are multicast ones. */
static void set_around(struct route_copy *c, uint32_t base, unsigned plen)
{
	bool split = false;

	for (size_t i = 0; i < c->n_virtual; i++) {
		unsigned of_range = virtual_plen(&c->virtual[i]);

		if (of_range <= plen && prefix_contains(c->virtual[i].virt, of_range, base))
			return;
		split |= prefix_contains(base, plen, c->virtual[i].virt);
	}
	if (!split) {
		set_special(c, base, plen);
		return;
	}
	set_around(c, base, plen + 1);
	set_around(c, base | 1U << (31 - plen), plen + 1);
}

void paint_special(struct route_copy *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(always_special); i++)
		set_around(c, always_special[i].base, always_special[i].plen);
	for (size_t i = 0; i < c->n_special; i++)
		set_special(c, c->special[i].base, c->special[i].plen);
}

/* The entry of an address according to the routes, without neighbours and special ranges. */
static void find_route(const struct route_copy *c, uint32_t addr, unsigned *ret_rank, uint32_t *ret_hop)
{
	if (fib_store_best(&c->store, addr, 32, 0, ret_hop)) {
		*ret_rank = 32;
		return;
	}
	*ret_rank = fib_store_cover(&c->store, addr, 32, ret_hop);
	if (!*ret_rank)
		*ret_hop = FIB_HOP_DEFAULT;
}

static bool leads_on_link(const struct route_copy *c, uint32_t hop)
{
	return fib_hops_is_on_link(&c->hops, hop == FIB_HOP_DEFAULT ? c->hops.default_hop : hop);
}

static void paint_default(struct route_copy *c)
{
	uint32_t hop = FIB_HOP_KERNEL;
	bool was = leads_on_link(c, FIB_HOP_DEFAULT);

	fib_store_best(&c->store, 0, 0, 0, &hop);
	fib_hops_set_default(&c->hops, hop);
	if (was || leads_on_link(c, FIB_HOP_DEFAULT))
		paint_meet_all(c, 0, 0);
}

/* Takes from an address the entry of a rank beyond those of routes. */
static void uncover(struct route_copy *c, uint32_t addr, unsigned of_rank)
{
	unsigned rank = special_rank(c, addr);
	uint32_t hop = FIB_HOP_KERNEL;

	if (!rank) {
		find_route(c, addr, &rank, &hop);
		paint_meet(c, addr);
	}
	fib_trie_clear(&c->trie, addr, 32, of_rank, rank, hop);
}

/* An address of the gateway's own, or a broadcast address. */
static void paint_own(struct route_copy *c, uint32_t addr)
{
	uint32_t hop;

	if (fib_store_best(&c->store, addr, 32, FIB_ROUTE_LOCAL, &hop))
		fib_trie_set(&c->trie, addr, 32, FIB_RANK_LOCAL, hop);
	else
		uncover(c, addr, FIB_RANK_LOCAL);
}

/* Addresses of shorter prefixes are not looked at one by one. */
#define UNCOVERED_PLEN 24U

bool paint_change_special(struct route_copy *c, const struct prefix_stretch *came, const struct prefix_stretch *went)
{
	if (went->n > FIB_UNCOVERED - c->n_uncovered)
		return false;
	for (size_t i = 0; i < went->n; i++)
		if (went->prefix[i].plen < UNCOVERED_PLEN)
			return false;
	for (size_t i = 0; i < came->n; i++)
		set_special(c, came->prefix[i].base, came->prefix[i].plen);
	for (size_t i = 0; i < went->n; i++)
		c->uncovered[c->n_uncovered++] = went->prefix[i];
	route_copy_work(c);
	return true;
}

bool paint_uncovered(struct route_copy *c)
{
	struct prefix p;

	if (!c->n_uncovered)
		return false;
	p = c->uncovered[--c->n_uncovered];
	for (uint64_t addr = p.base; addr <= prefix_last(p); addr++)
		uncover(c, (uint32_t)addr, FIB_RANK_SPECIAL);
	return true;
}

void paint_prefix(struct route_copy *c, uint32_t dst, unsigned plen, uint8_t flags)
{
	uint32_t hop;

	/* Next hop 0 is that of the default route, painted or not. */
	if (!plen && !(flags & FIB_ROUTE_LOCAL)) {
		paint_default(c);
		return;
	}
	if (!c->painted)
		return;
	if (flags & FIB_ROUTE_LOCAL) {
		if (plen == 32)
			paint_own(c, dst);
		else if (dst >> 24 != 127)
			fib_trie_set(&c->trie, dst, plen, FIB_RANK_LOCAL_PREFIX, FIB_HOP_KERNEL);
		return;
	}
	if (fib_store_best(&c->store, dst, plen, 0, &hop)) {
		fib_trie_set(&c->trie, dst, plen, plen, hop);
	} else {
		unsigned cover = fib_store_cover(&c->store, dst, plen, &hop);

		if (!cover)
			hop = FIB_HOP_DEFAULT;
		fib_trie_clear(&c->trie, dst, plen, plen, cover, hop);
	}
	if (leads_on_link(c, hop))
		paint_meet_all(c, dst, plen);
}

/* The next hop that a neighbour's leaf should have, taken; 0: no leaf. */
static uint32_t leaf_of(struct route_copy *c, const struct fib_neighbour *n)
{
	struct fib_way way = { .ifindex = n->ifindex, .family = AF_INET };
	const struct fib_way *route;
	unsigned rank;
	uint32_t hop;

	if (n->gone || (!n->usable && !n->leaf) || n->ifindex >= MAX_IFINDEX || !c->hops.device[n->ifindex].roles)
		return 0;
	find_route(c, fib_neighbour_ipv4(n), &rank, &hop);
	if (!leads_on_link(c, hop))
		return 0;
	route = fib_hops_way(&c->hops, hop == FIB_HOP_DEFAULT ? c->hops.default_hop : hop);
	if (route->ifindex != n->ifindex)
		return 0;
	way.mtu = route->mtu;
	memcpy(way.addr, n->addr, sizeof(way.addr));
	hop = fib_hops_take(&c->hops, &way);
	return hop == FIB_HOP_KERNEL ? 0 : hop;
}

void paint_neighbours_at(struct route_copy *c, uint32_t addr)
{
	bool had = false, has = false;
	uint32_t hop, step = 0;
	unsigned rank;

	if (!c->painted)
		return;
	for (struct fib_neighbour *n; (n = fib_neighbours_next(&c->neighbours, addr, &step));) {
		uint32_t before = n->leaf, now = leaf_of(c, n);

		n->leaf = (uint16_t)now;
		n->queued = false;
		had |= before != 0;
		has |= now != 0;
		if (now) {
			fib_trie_set(&c->trie, addr, 32, FIB_RANK_NEIGHBOUR, now);
			c->hops.list[now].leaf = true;
		}
		if (before && before != now)
			c->hops.list[before].leaf = false;
		fib_hops_drop(&c->hops, before);
	}
	if (!had || has)
		return;
	find_route(c, addr, &rank, &hop);
	fib_trie_clear(&c->trie, addr, 32, FIB_RANK_NEIGHBOUR, rank, hop);
}

void paint_meet(struct route_copy *c, uint32_t addr)
{
	struct fib_neighbour *n = c->painted ? fib_neighbours_next(&c->neighbours, addr, &(uint32_t){ 0 }) : NULL;

	if (!n || n->queued)
		return;
	if (c->n_met == c->met_room) {
		size_t room = c->met_room ? c->met_room * 2 : 256;
		uint32_t *grown = reallocarray(c->met, room, sizeof(*grown));

		/* Without memory, everything is read again. */
		if (!grown) {
			c->again = true;
			return;
		}
		c->met = grown;
		c->met_room = room;
	}
	c->met[c->n_met++] = addr;
	n->queued = true;
	route_copy_work(c);
}

struct range {
	struct route_copy *c;
	uint32_t base;
	unsigned plen;
};

static void meet_if_within(struct fib_neighbour *n, void *arg)
{
	const struct range *r = arg;
	uint32_t addr = fib_neighbour_ipv4(n);

	if (n->family == AF_INET && !((addr ^ r->base) & fib_mask(r->plen)))
		paint_meet(r->c, addr);
}

void paint_meet_all(struct route_copy *c, uint32_t base, unsigned plen)
{
	size_t addresses = 1ULL << (32 - plen);

	if (!c->painted)
		return;
	if (addresses > c->neighbours.table.n) {
		fib_neighbours_each(&c->neighbours, meet_if_within, &(struct range){ c, base, plen });
		return;
	}
	for (size_t i = 0; i < addresses; i++)
		if (fib_neighbours_next(&c->neighbours, base + (uint32_t)i, &(uint32_t){ 0 }))
			paint_meet(c, base + (uint32_t)i);
}

static void meet_if_on(struct fib_neighbour *n, void *arg)
{
	const struct range *r = arg;

	if (n->family == AF_INET && n->ifindex == r->base)
		paint_meet(r->c, fib_neighbour_ipv4(n));
}

void paint_meet_interface(struct route_copy *c, uint32_t ifindex)
{
	fib_neighbours_each(&c->neighbours, meet_if_on, &(struct range){ .c = c, .base = ifindex });
}

bool paint_met(struct route_copy *c, size_t most)
{
	while (c->met_done < c->n_met && most--)
		paint_neighbours_at(c, c->met[c->met_done++]);
	if (c->met_done < c->n_met)
		return true;
	c->n_met = c->met_done = 0;
	return false;
}
