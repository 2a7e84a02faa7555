/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_private.h"

#include <arpa/inet.h>

#include "host/netlink.h"
#include "routing/sources.h"

struct pcp_ingress {
	const struct datapath *d;
	struct netlink *netlink;
};

int pcp_ingress_new(const struct datapath *d, struct pcp_ingress **ret)
{
	struct pcp_ingress *i = calloc(1, sizeof(*i));
	int r = i ? netlink_new(&i->netlink) : -ENOMEM;

	if (r) {
		free(i);
		return r;
	}
	i->d = d;
	*ret = i;
	return 0;
}

void pcp_ingress_free(struct pcp_ingress *i)
{
	if (!i)
		return;
	netlink_free(i->netlink);
	free(i);
}

struct question {
	uint32_t ifindex;
	bool yes; /* a next hop of the route uses the interface */
};

static void visit_paths(const struct nlattr *paths, struct question *q)
{
	const struct rtnexthop *nh = mnl_attr_get_payload(paths);
	int left = mnl_attr_get_payload_len(paths);

	for (; RTNH_OK(nh, left); left -= (int)RTNH_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh))
		q->yes |= (uint32_t)nh->rtnh_ifindex == q->ifindex;
}

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_MULTIPATH + 1];
	struct question *q = arg;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	q->yes |= rt->rtm_type == RTN_UNICAST && netlink_u32(attr[RTA_OIF]) == q->ifindex;
	if (attr[RTA_MULTIPATH])
		visit_paths(attr[RTA_MULTIPATH], q);
}

static bool asks_kernel(struct pcp_ingress *i, uint32_t source, uint32_t ifindex)
{
	struct nlmsghdr *h = netlink_request(i->netlink, RTM_GETROUTE, 0, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct question q = { .ifindex = ifindex };

	rt->rtm_family = AF_INET;
	rt->rtm_dst_len = 32;
	/* The route itself, with all its next hops, rather than one of them. */
	rt->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put_u32(h, RTA_DST, htonl(source));
	if (ifindex < MAX_IFINDEX && i->d->device[ifindex].vrf)
		mnl_attr_put_u32(h, RTA_OIF, i->d->device[ifindex].vrf);
	return !netlink_call(i->netlink, visit_route, &q) && q.yes;
}

bool pcp_ingress_is_inside(const struct pcp_ingress *i, uint32_t ifindex)
{
	uint8_t roles = ifindex < MAX_IFINDEX ? i->d->device[ifindex].roles : 0, from = i->d->settings.inside_from;

	return roles ? roles & DEVICE_INSIDE : from == INSIDE_ANY || (from == INSIDE_BEYOND && ifindex >= MAX_IFINDEX);
}

uint8_t pcp_ingress_tenant(const struct pcp_ingress *i, uint32_t ifindex)
{
	return ifindex < MAX_IFINDEX ? i->d->device[ifindex].tenant : 0;
}

bool pcp_ingress_leads_back(struct pcp_ingress *i, uint32_t source, uint32_t ifindex)
{
	return (ifindex < MAX_IFINDEX && i->d->device[ifindex].rp_filter == RP_FILTER_STRICT) ||
	       asks_kernel(i, source, ifindex);
}
