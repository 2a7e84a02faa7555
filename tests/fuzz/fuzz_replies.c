// SPDX-License-Identifier: BSD-2-Clause
/*
 * Answers of the kernel of any octets to what the agent asks it by rtnetlink: routes, rules, addresses, filters. The
 * linker puts the functions below in the place of those that talk to the kernel. Not tried is nf_tables, whose answers
 * libnftnl takes apart: it ends the process by itself where an attribute is of the wrong kind.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "attach/attach.h"
#include "host/netlink.h"
#include "routing/route_limits.h"
#include "routing/route_lookup.h"
#include "routing/routes.h"
#include "routing/sources.h"

/* The longest fixed header behind that of a message. The kernel always sends it whole. */
#define LONGEST_HEADER sizeof(struct tcmsg)

#define ROOM 65536U

/* What is left of the input: messages, one after the other. */
static const uint8_t *at;
static size_t left;

/* A place that ends just before memory that nobody may touch: libmnl is not compiled for AddressSanitizer. */
static uint8_t *message_end(void)
{
	static uint8_t *room;

	if (!room) {
		room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (room == MAP_FAILED || mprotect(room + ROOM, 4096, PROT_NONE))
			abort();
	}
	return room + ROOM;
}

/* The next message of the input, valid until the next call, or NULL. */
static struct nlmsghdr *next_message(void)
{
	struct nlmsghdr *h;
	uint16_t size, whole;

	if (left < 2)
		return NULL;
	memcpy(&size, at, sizeof(size));
	at += sizeof(size);
	left -= sizeof(size);
	if (size > left)
		size = (uint16_t)left;
	whole = size;
	at += size;
	left -= size;
	/* The length of a message is the kernel's, a multiple of 4, and libmnl believes it; what is in it is not. */
	size &= 0xfffcU;
	if (size < sizeof(*h) + LONGEST_HEADER)
		return NULL;
	h = memcpy(message_end() - size, at - whole, size);
	h->nlmsg_len = size;
	return h;
}

int __wrap_netlink_call(struct netlink *n, netlink_visit visit, void *arg);
int __wrap_netlink_dump(struct netlink *n, netlink_visit visit, void (*reset)(void *arg), void *arg);

int __wrap_netlink_call(struct netlink *n, netlink_visit visit, void *arg)
{
	struct nlmsghdr *h;

	if (!visit)
		return 0;
	while ((h = next_message()))
		visit(h, arg);
	return 0;
}

int __wrap_netlink_dump(struct netlink *n, netlink_visit visit, void (*reset)(void *arg), void *arg)
{
	return __wrap_netlink_call(n, visit, arg);
}

static void missing(struct prefix prefix, uint32_t table, void *arg)
{
}

static void ask_routes(struct netlink *n)
{
	const struct prefix prefix = { .base = 0x01010100, .plen = 30 };
	const uint32_t table = 10;
	const struct blackholes blackholes = { &prefix, 1, &table, 1 };
	struct route_limits limits = { 0 };
	struct error err;

	routes_apply(n, NULL, &blackholes, &err);
	routes_compare(n, NULL, &blackholes, missing, NULL);
	route_limits_read(&limits, n);
	route_limits_free(&limits);
}

static void ask_sources(struct netlink *n)
{
	struct rp_filters *filters = NULL;
	enum routing routing;

	rp_filters_read(n, &filters);
	free(filters);
	rules_read(n, AF_INET, &routing);
	rules_read(n, AF_INET6, &routing);
}

static void ask_links(struct netlink *n)
{
	struct address *addresses = NULL;
	struct link *links = NULL, l;
	size_t count = 0;

	if (!links_read(n, &links, &count))
		free(links);
	if (!addresses_read(n, &addresses, &count)) {
		addresses_primary(addresses, count, 1);
		free(addresses);
	}
	link_by_index(n, 1, &l);
	tc_attached(n, &(struct own_programs){ 0 }, 1, TC_EGRESS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct netlink *n;
	struct kernel_way way;

	if (!n && netlink_new(&n))
		abort();
	if (!size)
		return 0;
	at = data + 1;
	left = size - 1;
	switch (data[0] % 4) {
	case 0:
		ask_routes(n);
		break;
	case 1:
		ask_sources(n);
		break;
	case 2:
		ask_links(n);
		break;
	case 3:
		kernel_way_read(address_beyond(), 0, &way);
		break;
	}
	return 0;
}
