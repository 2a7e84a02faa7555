/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/gateways.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "fib/store.h"
#include "host/netlink.h"

/* Numbers of places in the hash, powers of two. */
#define FIRST_ROOM 256U
#define MOST_ROOM  131072U

typedef void (*on_gateway)(uint32_t addr, void *arg);

static void tell(const struct nlattr *gateway, on_gateway call, void *arg)
{
	if (mnl_attr_get_payload_len(gateway) == sizeof(uint32_t))
		call(ntohl(mnl_attr_get_u32(gateway)), arg);
}

/* The next hops of a multipath route, each with attributes of its own. */
static void tell_multipath(const struct nlattr *multipath, on_gateway call, void *arg)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);

	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		const struct nlattr *attr = (const struct nlattr *)RTNH_DATA(hop);

		for (; mnl_attr_ok(attr, (int)((const char *)hop + hop->rtnh_len - (const char *)attr));
		     attr = mnl_attr_next(attr))
			if (mnl_attr_get_type(attr) == RTA_GATEWAY)
				tell(attr, call, arg);
	}
}

void fib_gateways_of(const struct nlmsghdr *h, on_gateway call, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_MULTIPATH + 1];

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*rt) || rt->rtm_family != AF_INET)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	if (attr[RTA_GATEWAY])
		tell(attr[RTA_GATEWAY], call, arg);
	if (attr[RTA_MULTIPATH])
		tell_multipath(attr[RTA_MULTIPATH], call, arg);
}

void fib_gateways_free(struct fib_gateways *g)
{
	free(g->addr);
	*g = (struct fib_gateways){ 0 };
}

/* The place of an address, or the free one where it belongs. */
static uint32_t *place(const struct fib_gateways *g, uint32_t addr)
{
	size_t i = addr * 0x9e3779b1U >> 8 & (g->room - 1);

	while (g->addr[i] && g->addr[i] != addr)
		i = (i + 1) & (g->room - 1);
	return &g->addr[i];
}

static bool grow(struct fib_gateways *g)
{
	struct fib_gateways larger = { .count = g->count, .room = g->room ? g->room * 2 : FIRST_ROOM };

	larger.addr = larger.room <= MOST_ROOM ? calloc(larger.room, sizeof(*larger.addr)) : NULL;
	if (!larger.addr)
		return false;
	for (size_t i = 0; i < g->room; i++)
		if (g->addr[i])
			*place(&larger, g->addr[i]) = g->addr[i];
	free(g->addr);
	*g = larger;
	return true;
}

void fib_gateways_add(struct fib_gateways *g, uint32_t addr)
{
	uint32_t *at;

	if (g->lost || !addr)
		return;
	/* At most half of it is full. */
	if (g->count * 2 >= g->room && !grow(g)) {
		g->lost = true;
		return;
	}
	at = place(g, addr);
	if (!*at) {
		*at = addr;
		g->count++;
	}
}

bool fib_gateways_in(const struct fib_gateways *g, uint32_t base, unsigned plen)
{
	for (size_t i = 0; i < g->room; i++)
		if (g->addr[i] && !((g->addr[i] ^ base) & fib_mask(plen)))
			return true;
	return g->lost;
}
