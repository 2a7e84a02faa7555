/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/neighbour_table.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <string.h>

#include "host/netlink.h"

/* The states in which the kernel, and bpf_fib_lookup, use the MAC address. */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

static uint64_t hash(const void *entry)
{
	const struct fib_neighbour *n = entry;
	uint64_t words[2];

	memcpy(words, n->addr, sizeof(words));
	return HASH_OF((uint64_t)n->ifindex << 8 | n->family, words[0], words[1]);
}

static bool same(const void *a, const void *b)
{
	const struct fib_neighbour *x = a, *y = b;

	return x->ifindex == y->ifindex && x->family == y->family && !memcmp(x->addr, y->addr, sizeof(x->addr));
}

static const struct hash_type neighbours = { sizeof(struct fib_neighbour), FIB_NEIGHBOURS, hash, same };

void fib_neighbours_free(struct fib_neighbours *t)
{
	hash_free(&t->table);
	hash_index_free(&t->by_ipv4);
	*t = (struct fib_neighbours){ 0 };
}

uint32_t fib_neighbour_ipv4(const struct fib_neighbour *n)
{
	uint32_t addr;

	memcpy(&addr, n->addr, sizeof(addr));
	return ntohl(addr);
}

void fib_address_of_ipv4(uint32_t addr, uint8_t ret[static 16])
{
	uint32_t words[4] = { htonl(addr) };

	memcpy(ret, words, sizeof(words));
}

struct fib_neighbour *fib_neighbours_find(const struct fib_neighbours *t, uint32_t ifindex, uint8_t family,
					  const uint8_t addr[static 16])
{
	struct fib_neighbour like = { .ifindex = ifindex, .family = family };

	memcpy(like.addr, addr, sizeof(like.addr));
	return hash_find(&neighbours, &t->table, &like);
}

struct fib_neighbour *fib_neighbours_next(const struct fib_neighbours *t, uint32_t addr, uint32_t *step)
{
	uint64_t by_addr = HASH_OF(addr);
	uint32_t number;

	while (hash_index_next(&t->by_ipv4, by_addr, step, &number)) {
		struct fib_neighbour *n = hash_at(&neighbours, &t->table, number);

		if (fib_neighbour_ipv4(n) == addr)
			return n;
	}
	return NULL;
}

void fib_neighbours_remove(struct fib_neighbours *t, struct fib_neighbour *n)
{
	if (n->family == AF_INET)
		hash_index_del(&t->by_ipv4, HASH_OF(fib_neighbour_ipv4(n)), n->entry.number);
	hash_del(&neighbours, &t->table, n);
}

void fib_neighbours_each(struct fib_neighbours *t, void (*visit)(struct fib_neighbour *n, void *arg), void *arg)
{
	uint32_t at = 0;

	for (struct fib_neighbour *n; (n = hash_walk(&neighbours, &t->table, &at));)
		visit(n, arg);
}

static struct fib_neighbour *add(struct fib_neighbours *t, const struct fib_neighbour *told)
{
	struct fib_neighbour *n = hash_add(&neighbours, &t->table, told);

	if (n && n->family == AF_INET && hash_index_add(&t->by_ipv4, HASH_OF(fib_neighbour_ipv4(n)), n->entry.number)) {
		hash_del(&neighbours, &t->table, n);
		n = NULL;
	}
	t->refused += !n;
	return n;
}

static bool read_message(const struct nlmsghdr *h, struct fib_neighbour *ret)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NDA_LLADDR + 1];
	size_t size;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*nd) || (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6) ||
	    nd->ndm_flags & NTF_PROXY)
		return false;
	netlink_attributes(h, sizeof(*nd), attr, ARRAY_SIZE(attr));
	size = nd->ndm_family == AF_INET ? 4 : 16;
	if (!attr[NDA_DST] || mnl_attr_get_payload_len(attr[NDA_DST]) < size)
		return false;
	*ret = (struct fib_neighbour){ .ifindex = (uint32_t)nd->ndm_ifindex, .family = nd->ndm_family };
	memcpy(ret->addr, mnl_attr_get_payload(attr[NDA_DST]), size);
	if (h->nlmsg_type == RTM_NEWNEIGH && nd->ndm_state & NUD_USABLE && attr[NDA_LLADDR] &&
	    mnl_attr_get_payload_len(attr[NDA_LLADDR]) == sizeof(ret->mac)) {
		ret->usable = true;
		memcpy(ret->mac, mnl_attr_get_payload(attr[NDA_LLADDR]), sizeof(ret->mac));
	}
	return true;
}

struct fib_neighbour *fib_neighbours_message(struct fib_neighbours *t, const struct nlmsghdr *h, uint8_t generation,
					     enum fib_neighbour_from from)
{
	bool deleted = h->nlmsg_type == RTM_DELNEIGH;
	struct fib_neighbour told, *n;

	if (!read_message(h, &told))
		return NULL;
	told.notified = from == FIB_NEIGHBOUR_READ ? 0 : generation;
	n = fib_neighbours_find(t, told.ifindex, told.family, told.addr);
	/* Subscribers can make the kernel resolve any number of unused addresses: those do not deserve a place. */
	if (!n) {
		told.generation = told.usable ? generation : 0;
		n = told.usable || from == FIB_NEIGHBOUR_NOTIFIED_FIRST ? add(t, &told) : NULL;
		return told.usable ? n : NULL;
	}
	if (from == FIB_NEIGHBOUR_READ && n->notified == generation)
		return NULL;
	n->generation = deleted ? 0 : generation;
	n->notified = told.notified;
	if (n->usable == told.usable && (!n->usable || !memcmp(n->mac, told.mac, sizeof(n->mac))))
		return deleted && from == FIB_NEIGHBOUR_NOTIFIED ? n : NULL;
	n->usable = told.usable;
	memcpy(n->mac, told.mac, sizeof(n->mac));
	return n;
}
