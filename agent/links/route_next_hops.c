/* SPDX-License-Identifier: BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>

#include "host/netlink.h"
#include "links/route_next_hops.h"

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

static void look_up(struct search *s, uint32_t next_hop)
{
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

static void look_up_attribute(struct search *s, const struct nlattr *gateway)
{
	if (mnl_attr_validate2(gateway, MNL_TYPE_UNSPEC, sizeof(uint32_t)) == 0)
		look_up(s, ntohl(mnl_attr_get_u32(gateway)));
}

/* The next hops of a multipath route, each with attributes of its own. */
static void look_up_multipath(struct search *s, const struct nlattr *multipath)
{
	const struct rtnexthop *hop = mnl_attr_get_payload(multipath);
	int left = mnl_attr_get_payload_len(multipath);

	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		const struct nlattr *attr = (const struct nlattr *)RTNH_DATA(hop);

		for (; mnl_attr_ok(attr, (int)((const char *)hop + hop->rtnh_len - (const char *)attr));
		     attr = mnl_attr_next(attr))
			if (mnl_attr_get_type(attr) == RTA_GATEWAY)
				look_up_attribute(s, attr);
	}
}

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *attribute[RTA_MAX + 1];

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	netlink_attributes(h, sizeof(struct rtmsg), attribute, ARRAY_SIZE(attribute));
	if (attribute[RTA_GATEWAY])
		look_up_attribute(arg, attribute[RTA_GATEWAY]);
	if (attribute[RTA_MULTIPATH])
		look_up_multipath(arg, attribute[RTA_MULTIPATH]);
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
