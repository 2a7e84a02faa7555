/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/neighbour_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#include "host/netlink.h"

#define BUCKETS 32768U

/* The states in which the kernel, and bpf_fib_lookup, use the MAC address. */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

/* By address alone: one may be a neighbour on several interfaces. */
static struct fib_neighbour **bucket_of(const struct fib_neighbours *t, const uint8_t addr[static 16])
{
	uint32_t words[4], hash = 0;

	memcpy(words, addr, sizeof(words));
	for (size_t i = 0; i < 4; i++)
		hash = (hash ^ words[i]) * 0x9e3779b1U;
	return &t->bucket[(hash ^ hash >> 15) % BUCKETS];
}

int fib_neighbours_init(struct fib_neighbours *t)
{
	*t = (struct fib_neighbours){ .bucket = calloc(BUCKETS, sizeof(void *)) };
	return t->bucket ? 0 : -ENOMEM;
}

static void forget(struct fib_neighbour *n, void *arg)
{
	fib_neighbours_remove(arg, n);
}

void fib_neighbours_free(struct fib_neighbours *t)
{
	if (t->bucket)
		fib_neighbours_each(t, forget, t);
	free(t->bucket);
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
	struct fib_neighbour *n = *bucket_of(t, addr);

	while (n && (n->ifindex != ifindex || n->family != family || memcmp(n->addr, addr, sizeof(n->addr))))
		n = n->next;
	return n;
}

struct fib_neighbour *fib_neighbours_next(const struct fib_neighbours *t, uint32_t addr, struct fib_neighbour *from)
{
	struct fib_neighbour *n;
	uint8_t key[16];

	fib_address_of_ipv4(addr, key);
	n = from ? from->next : *bucket_of(t, key);
	while (n && (n->family != AF_INET || memcmp(n->addr, key, sizeof(key))))
		n = n->next;
	return n;
}

void fib_neighbours_remove(struct fib_neighbours *t, struct fib_neighbour *n)
{
	struct fib_neighbour **at = bucket_of(t, n->addr);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	free(n);
	t->count--;
}

void fib_neighbours_each(struct fib_neighbours *t, void (*visit)(struct fib_neighbour *n, void *arg), void *arg)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct fib_neighbour *next;

		for (struct fib_neighbour *n = t->bucket[i]; n; n = next) {
			next = n->next;
			visit(n, arg);
		}
	}
}

static struct fib_neighbour *add(struct fib_neighbours *t, const struct fib_neighbour *told)
{
	struct fib_neighbour **bucket = bucket_of(t, told->addr);
	struct fib_neighbour *n = t->count < FIB_NEIGHBOURS ? malloc(sizeof(*n)) : NULL;

	if (!n) {
		t->refused++;
		return NULL;
	}
	*n = *told;
	n->next = *bucket;
	*bucket = n;
	t->count++;
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
	/* Subscribers can make the kernel ask for any number of unused addresses: those are not worth a place. */
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
