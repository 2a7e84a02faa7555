/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/route_limits.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <detnat/tables.h>

#include "datapath/map_keys.h"

void route_limits_free(struct route_limits *l)
{
	free(l->list);
	*l = (struct route_limits){ 0 };
}

static uint32_t mtu_of(const struct nlattr *metrics)
{
	const struct nlattr *attr;

	if (!metrics)
		return 0;
	mnl_attr_for_each_nested(attr, metrics) if (mnl_attr_get_type(attr) == RTAX_MTU &&
						    mnl_attr_get_payload_len(attr) >=
							    sizeof(uint32_t)) return mnl_attr_get_u32(attr);
	return 0;
}

/*
 * Whether the message is about a route in a table used for forwarding, of any type: a `prohibit` route may have a TOS
 * too.
 */
static bool read_route(const struct nlmsghdr *h, struct route_limit *ret)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_TABLE + 1];

	if (rt->rtm_family != AF_INET || rt->rtm_table == RT_TABLE_LOCAL || rt->rtm_flags & RTM_F_CLONED)
		return false;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	*ret = (struct route_limit){
		.dst = ntohl(netlink_u32(attr[RTA_DST])),
		.plen = rt->rtm_dst_len,
		.tos = rt->rtm_tos,
		.table = attr[RTA_TABLE] ? netlink_u32(attr[RTA_TABLE]) : rt->rtm_table,
		.priority = netlink_u32(attr[RTA_PRIORITY]),
		.mtu = mtu_of(attr[RTA_METRICS]),
	};
	return true;
}

static bool same_route(const struct route_limit *a, const struct route_limit *b)
{
	return a->dst == b->dst && a->plen == b->plen && a->tos == b->tos && a->table == b->table &&
	       a->priority == b->priority;
}

static void forget(struct route_limits *l, const struct route_limit *route)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!same_route(&l->list[i], route))
			continue;
		l->list[i--] = l->list[--l->count];
		l->changed = true;
	}
}

static void add(struct route_limits *l, const struct route_limit *route)
{
	if (!route->mtu && !route->tos)
		return;
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct route_limit *grown = reallocarray(l->list, room, sizeof(*grown));

		if (!grown) {
			l->failed = true;
			return;
		}
		l->list = grown;
		l->room = room;
	}
	l->list[l->count++] = *route;
	l->changed = true;
}

void route_limits_message(struct route_limits *l, const struct nlmsghdr *h)
{
	struct route_limit route;

	if (!read_route(h, &route))
		return;
	/*
	 * A route added beside another with the same key is notified without NLM_F_REPLACE; that is rare, and the last
	 * one counts.
	 */
	forget(l, &route);
	if (h->nlmsg_type == RTM_NEWROUTE)
		add(l, &route);
}

/* Unchanged routes have no effect. */
static void enter_again(struct route_limits *l, const struct nlmsghdr *h)
{
	struct route_limit route;

	if (!read_route(h, &route) || (!route.mtu && !route.tos))
		return;
	for (size_t i = 0; i < l->count; i++) {
		if (!same_route(&l->list[i], &route) || l->list[i].mtu != route.mtu)
			continue;
		l->list[i].old = false;
		return;
	}
	add(l, &route);
}

void route_limits_again(struct route_limits *l, enum route_copy_reading what, const struct nlmsghdr *h)
{
	switch (what) {
	case ROUTES_BEGIN:
		l->failed = false;
		for (size_t i = 0; i < l->count; i++)
			l->list[i].old = true;
		return;
	case ROUTES_MESSAGE:
		if (h->nlmsg_type == RTM_NEWROUTE)
			enter_again(l, h);
		return;
	case ROUTES_END:
		for (size_t i = 0; i < l->count; i++) {
			if (!l->list[i].old)
				continue;
			l->list[i--] = l->list[--l->count];
			l->changed = true;
		}
	}
}

static void visit(const struct nlmsghdr *h, void *arg)
{
	struct route_limit route;

	if (h->nlmsg_type == RTM_NEWROUTE && read_route(h, &route))
		add(arg, &route);
}

static void reset(void *arg)
{
	struct route_limits *l = arg;

	l->count = 0;
	l->failed = false;
	l->changed = true;
}

int route_limits_read(struct route_limits *l, struct netlink *n)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));
	int r;

	((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_family = AF_INET;
	reset(l);
	r = netlink_dump(n, visit, reset, l);
	if (r)
		l->failed = true;
	else if (l->failed)
		r = -ENOMEM;
	return r;
}

static uint32_t least_covering(const struct route_limits *l, uint32_t base, unsigned plen)
{
	uint32_t least = ~0U;

	for (size_t i = 0; i < l->count; i++) {
		const struct route_limit *r = &l->list[i];

		if (r->mtu && r->mtu < least && r->plen <= plen && prefix_contains(r->dst, r->plen, base))
			least = r->mtu;
	}
	return least;
}

static uint32_t least_of_all(const struct route_limits *l)
{
	uint32_t least = ~0U;

	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].mtu && l->list[i].mtu < least)
			least = l->list[i].mtu;
	return least;
}

static bool wanted(const void *entry, const void *arg)
{
	const struct prefix_key *key = entry;
	const struct route_limits *l = arg;

	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].mtu && l->list[i].plen == key->plen && htonl(l->list[i].dst) == key->addr)
			return true;
	return false;
}

static int put(int map, uint32_t base, uint32_t plen, uint32_t mtu)
{
	struct prefix_key key = { .plen = plen, .addr = htonl(base) };

	return bpf_map_update_elem(map, &key, &mtu, BPF_ANY);
}

int route_limits_apply(struct route_limits *l, int map)
{
	int r = 0;

	if (!l->changed)
		return 0;
	/* Too many to tell apart: one limit for all. */
	if (l->count > MAX_ROUTE_MTUS / 2)
		r = put(map, 0, 0, least_of_all(l));
	for (size_t i = 0; !r && l->count <= MAX_ROUTE_MTUS / 2 && i < l->count; i++)
		if (l->list[i].mtu)
			r = put(map, l->list[i].dst, l->list[i].plen,
				least_covering(l, l->list[i].dst, l->list[i].plen));
	if (r)
		return r;
	if (l->count <= MAX_ROUTE_MTUS / 2)
		r = map_keep(map, sizeof(struct prefix_key), wanted, l);
	l->changed = false;
	return 0;
}

bool route_limits_by_path(void)
{
	_cleanup_close_ int fd = open("/proc/sys/net/ipv4/ip_forward_use_pmtu", O_RDONLY | O_CLOEXEC);
	char value = '0';

	return fd >= 0 && read(fd, &value, 1) == 1 && value != '0';
}

bool route_limits_mtu(const struct route_limits *l)
{
	return least_of_all(l) != ~0U || l->failed || route_limits_by_path();
}

bool route_limits_tos(const struct route_limits *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].tos)
			return true;
	return false;
}
