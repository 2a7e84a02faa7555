/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/route_message.h"

#include <arpa/inet.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "host/netlink.h"

#define IGNORED 0xff

/* The meaning of a route's attribute for forwarding: enum fib_kept. Others are unknown. */
static const uint8_t kept_by[RTA_MAX + 1] = {
	[RTA_UNSPEC] = FIB_KEPT_OTHER,
	[RTA_DST] = IGNORED,
	[RTA_OIF] = IGNORED,
	[RTA_GATEWAY] = IGNORED,
	[RTA_VIA] = IGNORED,
	[RTA_PRIORITY] = IGNORED,
	[RTA_PREFSRC] = IGNORED,
	[RTA_METRICS] = IGNORED,
	[RTA_FLOW] = IGNORED,
	[RTA_PREF] = IGNORED, /* a router's preference of itself (RFC 4191): the metric decides */
	[RTA_CACHEINFO] = IGNORED,
	[RTA_TABLE] = IGNORED,
	[RTA_PAD] = IGNORED,
	[RTA_NH_ID] = IGNORED,
	[RTA_MULTIPATH] = FIB_KEPT_MULTIPATH,
	[RTA_ENCAP] = FIB_KEPT_ENCAPSULATION,
	[RTA_ENCAP_TYPE] = FIB_KEPT_ENCAPSULATION,
};

static uint16_t mix(uint16_t tag, const void *data, size_t size)
{
	for (const uint8_t *c = data; size--; c++)
		tag = (uint16_t)((tag ^ *c) * 0x9e35U ^ tag >> 7);
	return tag;
}

static uint16_t mix_payload(uint16_t tag, const struct nlattr *attr)
{
	return attr ? mix(tag, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr)) : tag;
}

/* The next hops of a multipath route, without their flags, which change independently. */
static uint16_t mix_multipath(uint16_t tag, const struct nlattr *multipath)
{
	const struct rtnexthop *hop = multipath ? mnl_attr_get_payload(multipath) : NULL;
	int left = multipath ? mnl_attr_get_payload_len(multipath) : 0;

	for (; left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		tag = mix(tag, &hop->rtnh_hops, sizeof(hop->rtnh_hops) + sizeof(hop->rtnh_ifindex));
		tag = mix(tag, RTNH_DATA(hop), hop->rtnh_len - sizeof(*hop));
	}
	return tag;
}

/* Of routes that the copy sees as equal, such as one address on two interfaces, one may go and the other stay. */
static void tell_apart(const struct nlattr *const attr[], struct fib_told_route *ret)
{
	static const uint8_t by[] = { RTA_OIF, RTA_GATEWAY, RTA_VIA, RTA_ENCAP };

	ret->route.tag = mix_multipath(ret->route.tag, attr[RTA_MULTIPATH]);
	/* The kernel repeats the nexthop object's members in a route; they change with the object. */
	for (size_t i = 0; i < ARRAY_SIZE(by) && !attr[RTA_NH_ID]; i++)
		ret->route.tag = mix_payload(ret->route.tag, attr[by[i]]);
}

static uint8_t why_kept(const struct nlmsghdr *h)
{
	const struct nlattr *attr;
	uint8_t kept = FIB_KEPT_NOT;

	mnl_attr_for_each(attr, h, sizeof(struct rtmsg))
	{
		unsigned type = mnl_attr_get_type(attr);
		uint8_t by = type <= RTA_MAX && kept_by[type] ? kept_by[type] : FIB_KEPT_OTHER;

		if (by != IGNORED && (kept == FIB_KEPT_NOT || by < kept))
			kept = by;
	}
	return kept;
}

/* The route's MTU. */
static void read_metrics(const struct nlattr *metrics, struct fib_told_route *ret)
{
	const struct nlattr *attr;
	uint32_t locked = 0;

	if (!metrics)
		return;
	mnl_attr_for_each_nested(attr, metrics)
	{
		if (mnl_attr_get_type(attr) == RTAX_MTU)
			ret->way.mtu = netlink_u32(attr);
		else if (mnl_attr_get_type(attr) == RTAX_LOCK)
			locked = netlink_u32(attr);
	}
	if (locked & 1U << RTAX_MTU)
		ret->route.kept = FIB_KEPT_MTU_LOCKED;
	ret->route.tag = mix_payload(ret->route.tag, metrics);
}

static void read_gateway(const struct nlattr *gateway, uint8_t family, struct fib_way *ret)
{
	size_t size = family == AF_INET6 ? 16 : 4;

	if (!gateway)
		return;
	if (mnl_attr_get_payload_len(gateway) < size) {
		ret->kind = FIB_WAY_KERNEL;
		return;
	}
	ret->family = family;
	memcpy(ret->addr, mnl_attr_get_payload(gateway), size);
}

/* A gateway of another family than the route's (RFC 8950). */
static void read_via(const struct nlattr *via, struct fib_way *ret)
{
	const struct rtvia *v = via ? mnl_attr_get_payload(via) : NULL;

	if (!via)
		return;
	if (mnl_attr_get_payload_len(via) < sizeof(*v) + 16 || v->rtvia_family != AF_INET6) {
		ret->kind = FIB_WAY_KERNEL;
		return;
	}
	ret->family = AF_INET6;
	memcpy(ret->addr, v->rtvia_addr, 16);
}

static void read_unicast(const struct nlattr *const attr[], struct fib_told_route *ret)
{
	struct fib_way *way = &ret->way;

	way->object = netlink_u32(attr[RTA_NH_ID]);
	if (way->object)
		return;
	way->ifindex = netlink_u32(attr[RTA_OIF]);
	read_gateway(attr[RTA_GATEWAY], ret->family, way);
	read_via(attr[RTA_VIA], way);
	if (!way->ifindex || way->kind == FIB_WAY_KERNEL)
		ret->route.kept = FIB_KEPT_OTHER;
}

static void read_kind(const struct nlmsghdr *h, const struct nlattr *const attr[], struct fib_told_route *ret)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	switch (rt->rtm_type) {
	case RTN_UNICAST:
		ret->route.kept = why_kept(h);
		if (ret->route.kept == FIB_KEPT_NOT)
			read_unicast(attr, ret);
		break;
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
		ret->way.kind = FIB_WAY_DISCARD;
		break;
	case RTN_LOCAL:
		ret->own = ret->route.flags & FIB_ROUTE_LOCAL;
		ret->route.kept = FIB_KEPT_TYPE;
		break;
	default:
		ret->route.kept = FIB_KEPT_TYPE;
	}
	if (ret->route.kept == FIB_KEPT_NOT)
		read_metrics(attr[RTA_METRICS], ret);
	/* Entries of the table `local` concern only the kernel, and are not reported. */
	if (ret->route.kept != FIB_KEPT_NOT)
		ret->way = (struct fib_way){ .kind = FIB_WAY_KERNEL };
	if (ret->route.flags & FIB_ROUTE_LOCAL)
		ret->route.kept = FIB_KEPT_NOT;
}

static void read_dst(const struct rtmsg *rt, const struct nlattr *dst, struct fib_told_route *ret)
{
	ret->route.dst = ntohl(netlink_u32(dst)) & fib_mask(rt->rtm_dst_len);
	ret->route.plen = rt->rtm_dst_len;
}

static void read_dst6(const struct rtmsg *rt, const struct nlattr *dst, struct fib_told_route *ret)
{
	struct address6 mask = prefix6_mask(rt->rtm_dst_len), addr = { 0 };

	if (dst && mnl_attr_get_payload_len(dst) >= sizeof(addr))
		memcpy(&addr, mnl_attr_get_payload(dst), sizeof(addr));
	ret->dst6.hi = be64_number(addr.hi) & mask.hi;
	ret->dst6.lo = be64_number(addr.lo) & mask.lo;
	ret->plen6 = rt->rtm_dst_len;
}

bool fib_route_read(const struct nlmsghdr *h, struct fib_told_route *ret)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_MAX + 1];
	uint32_t table, source;
	uint16_t onlink;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*rt) || rt->rtm_tos || rt->rtm_flags & RTM_F_CLONED ||
	    !(rt->rtm_family == AF_INET ? rt->rtm_dst_len <= 32 : rt->rtm_family == AF_INET6 && rt->rtm_dst_len <= 128))
		return false;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	table = attr[RTA_TABLE] ? netlink_u32(attr[RTA_TABLE]) : rt->rtm_table;
	if (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL)
		return false;
	/* Of IPv6, a route outlives its preferred source. */
	source = rt->rtm_family == AF_INET ? netlink_u32(attr[RTA_PREFSRC]) : 0;
	*ret = (struct fib_told_route){
		.family = rt->rtm_family,
		.route.metric = netlink_u32(attr[RTA_PRIORITY]),
		.route.flags = table == RT_TABLE_LOCAL ? FIB_ROUTE_LOCAL : 0,
		.source = rt->rtm_protocol != RTPROT_KERNEL ? ntohl(source) : 0,
	};
	if (ret->family == AF_INET)
		read_dst(rt, attr[RTA_DST], ret);
	else
		read_dst6(rt, attr[RTA_DST], ret);
	onlink = rt->rtm_flags & RTNH_F_ONLINK;
	ret->route.tag = mix(mix(onlink, &rt->rtm_protocol, 3), &source, sizeof(source));
	ret->route.tag = mix_payload(ret->route.tag, attr[RTA_FLOW]);
	read_kind(h, attr, ret);
	if (ret->way.kind != FIB_WAY_VIA)
		tell_apart(attr, ret);
	return true;
}

static bool is_group(const struct nlattr *const attr[])
{
	return attr[NHA_GROUP] || attr[NHA_GROUP_TYPE] || attr[NHA_RES_GROUP];
}

bool fib_object_read(const struct nlmsghdr *h, struct fib_told_object *ret)
{
	const struct nhmsg *nh = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NHA_MAX + 1];

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*nh))
		return false;
	netlink_attributes(h, sizeof(*nh), attr, ARRAY_SIZE(attr));
	*ret = (struct fib_told_object){ .id = netlink_u32(attr[NHA_ID]) };
	if (!ret->id)
		return false;
	if (is_group(attr))
		ret->kept = FIB_KEPT_MULTIPATH;
	else if (attr[NHA_ENCAP] || attr[NHA_ENCAP_TYPE])
		ret->kept = FIB_KEPT_ENCAPSULATION;
	else if (attr[NHA_FDB])
		ret->kept = FIB_KEPT_OTHER;
	else if (attr[NHA_BLACKHOLE])
		ret->way.kind = FIB_WAY_DISCARD;
	else
		read_gateway(attr[NHA_GATEWAY], nh->nh_family, &ret->way);
	if (ret->way.kind == FIB_WAY_VIA)
		ret->way.ifindex = netlink_u32(attr[NHA_OIF]);
	if (ret->kept != FIB_KEPT_NOT || (ret->way.kind == FIB_WAY_VIA && !ret->way.ifindex))
		ret->way = (struct fib_way){ .kind = FIB_WAY_KERNEL };
	return true;
}

static uint64_t hash(const void *entry)
{
	const struct fib_object *object = entry;

	return HASH_OF(object->told.id);
}

static bool same(const void *a, const void *b)
{
	const struct fib_object *x = a, *y = b;

	return x->told.id == y->told.id;
}

const struct hash_type fib_objects = { sizeof(struct fib_object), 0, hash, same };

struct fib_object *fib_objects_get(struct hash_table *o, uint32_t id)
{
	const struct fib_object unknown = {
		.told = { .id = id, .way.kind = FIB_WAY_KERNEL, .kept = FIB_KEPT_OTHER },
	};
	struct fib_object *object = hash_find(&fib_objects, o, &unknown);

	return object ? object : hash_add(&fib_objects, o, &unknown);
}

void fib_objects_each(struct hash_table *o, void (*visit)(struct fib_object *object, void *arg), void *arg)
{
	uint32_t at = 0;

	for (struct fib_object *object; (object = hash_walk(&fib_objects, o, &at));)
		visit(object, arg);
}
