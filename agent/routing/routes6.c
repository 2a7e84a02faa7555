/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/routes6.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/virtual6.h"
#include "routing/routes.h"

struct present {
	struct prefix6 *route;
	size_t count, room;
	bool failed; /* out of memory */
};

static struct address6 of_octets(const void *octets)
{
	uint64_t half[2];

	memcpy(half, octets, sizeof(half));
	return (struct address6){ .hi = be64_number(half[0]), .lo = be64_number(half[1]) };
}

static bool same(const struct prefix6 *a, const struct prefix6 *b)
{
	return a->plen == b->plen && address6_equal(&a->addr, &b->addr);
}

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_TABLE + 1];
	struct present *p = arg;
	struct prefix6 *grown;

	if (h->nlmsg_type != RTM_NEWROUTE || rt->rtm_family != AF_INET6 || rt->rtm_protocol != ROUTE_PROTOCOL ||
	    rt->rtm_type != RTN_BLACKHOLE)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	if (!attr[RTA_DST] || mnl_attr_get_payload_len(attr[RTA_DST]) < 2 * sizeof(uint64_t))
		return;
	if (p->count == p->room) {
		grown = reallocarray(p->route, p->room ? 2 * p->room : 16, sizeof(*grown));
		p->failed |= !grown;
		if (!grown)
			return;
		p->route = grown;
		p->room = p->room ? 2 * p->room : 16;
	}
	p->route[p->count++] = (struct prefix6){ of_octets(mnl_attr_get_payload(attr[RTA_DST])), rt->rtm_dst_len };
}

static void reset(void *arg)
{
	((struct present *)arg)->count = 0;
}

/* The kernel filters by protocol, as a gateway may have many routes. */
static int read_routes(struct netlink *n, struct present *ret)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	int r;

	rt->rtm_family = AF_INET6;
	rt->rtm_protocol = ROUTE_PROTOCOL;
	r = netlink_dump(n, visit_route, reset, ret);
	return !r && ret->failed ? -ENOMEM : r;
}

static int change(struct netlink *n, uint16_t type, const struct prefix6 *p)
{
	uint16_t flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
	struct nlmsghdr *h = netlink_request(n, type, flags, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	uint64_t half[2] = { be64_number(p->addr.hi), be64_number(p->addr.lo) };

	rt->rtm_family = AF_INET6;
	rt->rtm_dst_len = p->plen;
	rt->rtm_protocol = ROUTE_PROTOCOL;
	rt->rtm_scope = RT_SCOPE_UNIVERSE;
	rt->rtm_type = RTN_BLACKHOLE;
	rt->rtm_table = RT_TABLE_MAIN;
	mnl_attr_put(h, RTA_DST, sizeof(half), half);
	mnl_attr_put_u32(h, RTA_PRIORITY, ROUTE_METRIC);
	return netlink_call(n, NULL, NULL);
}

static bool contains(const struct prefix6 *list, size_t n, const struct prefix6 *p)
{
	for (size_t i = 0; i < n; i++)
		if (same(&list[i], p))
			return true;
	return false;
}

static int refused(struct error *err, const struct prefix6 *p, const char *what, int r)
{
	char text[INSIDE_TEXT];

	return error_set(err, r, "the blackhole route of %s/%u cannot be %s: %s", address6_text(&p->addr, text),
			 p->plen, what, strerror(-r));
}

int routes6_apply(struct netlink *n, const struct prefix6 *wanted, size_t count, struct error *err)
{
	struct present present = { 0 };
	int r = read_routes(n, &present);
	_cleanup_free_ struct prefix6 *routes = present.route;

	/* A machine without IPv6 has none. */
	if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
		return count ? error_set(err, r, "this machine has no IPv6") : 0;
	if (r)
		return error_set(err, r, "the routes of IPv6 cannot be read: %s", strerror(-r));
	for (size_t i = 0; i < count; i++) {
		r = contains(routes, present.count, &wanted[i]) ? 0 : change(n, RTM_NEWROUTE, &wanted[i]);
		if (r && r != -EEXIST)
			return refused(err, &wanted[i], "added", r);
	}
	for (size_t i = 0; i < present.count; i++) {
		r = contains(wanted, count, &routes[i]) ? 0 : change(n, RTM_DELROUTE, &routes[i]);
		if (r && r != -ESRCH)
			return refused(err, &routes[i], "deleted", r);
	}
	return 0;
}
