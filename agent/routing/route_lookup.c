/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/route_lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <string.h>

#include "host/netlink.h"
#include "routing/forwarding.h"

#define NUD_GOOD (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

const char *way_neighbour_name(enum way_neighbour n)
{
	static const char *const names[] = {
		[NEIGHBOUR_NONE] = "none",     [NEIGHBOUR_RESOLVED] = "resolved", [NEIGHBOUR_INCOMPLETE] = "incomplete",
		[NEIGHBOUR_FAILED] = "failed", [NEIGHBOUR_NEEDLESS] = "needless", [NEIGHBOUR_UNKNOWN] = "unknown",
	};

	return names[n];
}

static struct address6 address6_of(const struct nlattr *attr)
{
	uint64_t half[2] = { 0 };

	if (mnl_attr_get_payload_len(attr) == sizeof(half))
		memcpy(half, mnl_attr_get_payload(attr), sizeof(half));
	return (struct address6){ .hi = be64_number(half[0]), .lo = be64_number(half[1]) };
}

static void put_addr(struct nlmsghdr *h, uint16_t type, const struct address6 *addr)
{
	const uint64_t half[2] = { be64_number(addr->hi), be64_number(addr->lo) };

	mnl_attr_put(h, type, sizeof(half), half);
}

static void visit_metric(const struct nlattr *metrics, struct kernel_way *way)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			way->mtu = netlink_u32(attr);
	}
}

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_VIA + 1];
	struct kernel_way *way = arg;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	way->local = rt->rtm_type == RTN_LOCAL || rt->rtm_type == RTN_BROADCAST;
	way->ifindex = netlink_u32(attr[RTA_OIF]);
	if (attr[RTA_METRICS])
		visit_metric(attr[RTA_METRICS], way);
	if (kernel_way_is_ipv6(way))
		way->next_hop6 = attr[RTA_GATEWAY] ? address6_of(attr[RTA_GATEWAY]) : way->addr6;
	else
		way->next_hop = attr[RTA_GATEWAY] ? ntohl(netlink_u32(attr[RTA_GATEWAY])) : way->addr;
	if (attr[RTA_VIA])
		way->neighbour = NEIGHBOUR_UNKNOWN;
}

/* vrf: index of the VRF that is asked; 0: none. */
static struct nlmsghdr *request_route(struct netlink *n, const struct kernel_way *to, unsigned flags, uint32_t vrf)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETROUTE, 0, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	rt->rtm_family = kernel_way_is_ipv6(to) ? AF_INET6 : AF_INET;
	rt->rtm_dst_len = kernel_way_is_ipv6(to) ? 128 : 32;
	rt->rtm_flags = flags;
	if (kernel_way_is_ipv6(to))
		put_addr(h, RTA_DST, &to->addr6);
	else
		mnl_attr_put_u32(h, RTA_DST, htonl(to->addr));
	if (vrf)
		mnl_attr_put_u32(h, RTA_OIF, vrf);
	return h;
}

/* The VRF by which packets that come in through an interface are routed; 0: none. */
static uint32_t vrf_of(struct netlink *n, uint32_t ifindex)
{
	struct link l;

	if (!ifindex || link_by_index(n, ifindex, &l))
		return 0;
	return strcmp(l.kind, "vrf") ? link_vrf(&l) : ifindex;
}

/* Whether the kernel refuses the source, or forwards nothing from there: that reveals nothing about the route. */
static bool is_refused_at_entry(int r, uint32_t ifindex)
{
	char name[IFNAMSIZ];

	return r == -EXDEV || (r == -EHOSTUNREACH && if_indextoname(ifindex, name) && forwarding_is_off(name));
}

static int read_route(struct netlink *n, uint32_t source, uint32_t ifindex, uint32_t vrf, struct kernel_way *way)
{
	int r = -EXDEV;

	if (ifindex) {
		struct nlmsghdr *h = request_route(n, way, 0, 0);

		((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_src_len = 32;
		mnl_attr_put_u32(h, RTA_SRC, htonl(source));
		mnl_attr_put_u32(h, RTA_IIF, ifindex);
		r = netlink_call(n, visit_route, way);
	}
	if (!is_refused_at_entry(r, ifindex))
		return r;
	request_route(n, way, 0, vrf);
	return netlink_call(n, visit_route, way);
}

static void visit_neighbour(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NDA_LLADDR + 1];
	struct kernel_way *way = arg;

	if (h->nlmsg_type != RTM_NEWNEIGH)
		return;
	netlink_attributes(h, sizeof(*nd), attr, ARRAY_SIZE(attr));
	way->neighbour = nd->ndm_state & NUD_GOOD	  ? NEIGHBOUR_RESOLVED
			 : nd->ndm_state & NUD_INCOMPLETE ? NEIGHBOUR_INCOMPLETE
			 : nd->ndm_state & NUD_FAILED	  ? NEIGHBOUR_FAILED
							  : NEIGHBOUR_NONE;
	if (attr[NDA_LLADDR] && mnl_attr_get_payload_len(attr[NDA_LLADDR]) == sizeof(way->mac))
		memcpy(way->mac, mnl_attr_get_payload(attr[NDA_LLADDR]), sizeof(way->mac));
}

static void read_neighbour(struct netlink *n, struct kernel_way *way)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETNEIGH, 0, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	int r;

	nd->ndm_family = kernel_way_is_ipv6(way) ? AF_INET6 : AF_INET;
	nd->ndm_ifindex = (int)way->ifindex;
	if (kernel_way_is_ipv6(way))
		put_addr(h, NDA_DST, &way->next_hop6);
	else
		mnl_attr_put_u32(h, NDA_DST, htonl(way->next_hop));
	way->neighbour = NEIGHBOUR_NONE;
	r = netlink_call(n, visit_neighbour, way);
	if (r && r != -ENOENT)
		way->neighbour = NEIGHBOUR_UNKNOWN;
}

static void visit_length(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	uint8_t *length = arg;

	if (h->nlmsg_type == RTM_NEWROUTE && mnl_nlmsg_get_payload_len(h) >= sizeof(*rt))
		*length = rt->rtm_dst_len;
}

/* A default route may be in parts, such as 0.0.0.0/1 and 128.0.0.0/1. */
#define DEFAULT_MOST_LENGTH 7U

uint32_t address_beyond(void)
{
	static const uint32_t test_networks[] = { 0xc0000201, 0xc6336401, 0xcb007101, 0xc6120001 };
	_cleanup_netlink_ struct netlink *n = NULL;
	uint32_t unrouted = 0;

	if (netlink_new(&n))
		return test_networks[0];
	for (size_t i = 0; i < ARRAY_SIZE(test_networks); i++) {
		const struct kernel_way to = { .addr = test_networks[i] };
		uint8_t length = 32;

		request_route(n, &to, RTM_F_FIB_MATCH, 0);
		if (netlink_call(n, visit_length, &length)) {
			if (!unrouted)
				unrouted = test_networks[i];
		} else if (length <= DEFAULT_MOST_LENGTH) {
			return test_networks[i];
		}
	}
	return unrouted ? unrouted : test_networks[0];
}

static void read_way(struct netlink *n, uint32_t source, uint32_t ifindex, uint32_t vrf, struct kernel_way *way)
{
	struct link link;

	way->error = read_route(n, source, ifindex, vrf, way);
	if (way->error || !way->ifindex || link_by_index(n, way->ifindex, &link))
		return;
	snprintf(way->name, sizeof(way->name), "%s", link.name);
	way->up = link.flags & IFF_RUNNING;
	if (!way->mtu || way->mtu > link.mtu)
		way->mtu = link.mtu;
	if (link.flags & (IFF_NOARP | IFF_LOOPBACK))
		way->neighbour = NEIGHBOUR_NEEDLESS;
	else if (way->neighbour != NEIGHBOUR_UNKNOWN)
		read_neighbour(n, way);
}

int kernel_way_read(uint32_t addr, uint32_t vrf, struct kernel_way *ret)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	struct kernel_way way = { .addr = addr };
	int r = netlink_new(&n);

	if (r)
		return r;
	read_way(n, 0, 0, vrf, &way);
	*ret = way;
	return 0;
}

int kernel_way_read6(const struct address6 *addr, struct kernel_way *ret)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	struct kernel_way way = { .addr6 = *addr };
	int r = netlink_new(&n);

	if (r)
		return r;
	read_way(n, 0, 0, 0, &way);
	*ret = way;
	return 0;
}

const char *kernel_way_addr(const struct kernel_way *way, char text[static INSIDE_TEXT])
{
	return kernel_way_is_ipv6(way) ? address6_text(&way->addr6, text) : addr_format(way->addr, text);
}

const char *kernel_way_next_hop(const struct kernel_way *way, char text[static INSIDE_TEXT])
{
	return kernel_way_is_ipv6(way) ? address6_text(&way->next_hop6, text) : addr_format(way->next_hop, text);
}

int kernel_way_read_from(uint32_t addr, uint32_t source, uint32_t ifindex, struct kernel_way *ret)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	struct kernel_way way = { .addr = addr };
	int r = netlink_new(&n);

	if (r)
		return r;
	read_way(n, source, ifindex, vrf_of(n, ifindex), &way);
	*ret = way;
	return 0;
}
