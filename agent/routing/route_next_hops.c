/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <linux/rtnetlink.h>

#include "fib/gateways.h"
#include "host/netlink.h"
#include "routing/route_next_hops.h"

/* A table of a million routes has few next hops; recent ones are not looked up again. */
#define SEEN 64U

struct search {
	const struct prefix *prefix;
	int n;
	int found;
	uint32_t next_hop;
	uint32_t seen[SEEN]; /* 0: free */
};

static void search_reset(void *arg)
{
	struct search *s = arg;

	*s = (struct search){ .prefix = s->prefix, .n = s->n, .found = s->n };
}

static void look_up(uint32_t next_hop, void *arg)
{
	struct search *s = arg;
	uint32_t *seen = &s->seen[(next_hop * 0x9e3779b1U) >> 26];

	if (*seen == next_hop)
		return;
	*seen = next_hop;
	for (int i = 0; i < s->found; i++) {
		if (prefix_contains(s->prefix[i].base, s->prefix[i].plen, next_hop)) {
			s->found = i;
			s->next_hop = next_hop;
			return;
		}
	}
}

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	fib_gateways_of(h, look_up, arg);
}

int routes_find_next_hop(const struct prefix *prefix, int n, uint32_t *ret_next_hop)
{
	_cleanup_netlink_ struct netlink *netlink = NULL;
	struct search s = { .prefix = prefix, .n = n };
	struct nlmsghdr *request;
	int r = netlink_new(&netlink);

	if (r < 0)
		return r;
	request = netlink_request(netlink, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	((struct rtmsg *)mnl_nlmsg_get_payload(request))->rtm_family = AF_INET;
	search_reset(&s);
	r = netlink_dump(netlink, visit_route, search_reset, &s);
	if (r < 0)
		return r;
	if (s.found < n)
		*ret_next_hop = s.next_hop;
	return s.found;
}
