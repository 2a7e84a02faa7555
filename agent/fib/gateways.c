/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/gateways.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>

#include "fib/store.h"
#include "host/netlink.h"

#define MOST 65536U

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
	hash_index_free(&g->addrs);
	*g = (struct fib_gateways){ 0 };
}

static bool has(const struct fib_gateways *g, uint32_t addr, uint64_t hash)
{
	uint32_t known;

	for (uint32_t step = 0; hash_index_next(&g->addrs, hash, &step, &known);)
		if (known == addr)
			return true;
	return false;
}

void fib_gateways_add(struct fib_gateways *g, uint32_t addr)
{
	uint64_t hash = HASH_OF(addr);

	if (g->lost || !addr || has(g, addr, hash))
		return;
	g->lost = g->addrs.n == MOST || hash_index_add(&g->addrs, hash, addr);
}

bool fib_gateways_in(const struct fib_gateways *g, uint32_t base, unsigned plen)
{
	uint32_t at = 0, addr;

	while (hash_index_walk(&g->addrs, &at, &addr))
		if (!((addr ^ base) & fib_mask(plen)))
			return true;
	return g->lost;
}
