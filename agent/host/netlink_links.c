/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads links, addresses and rules from the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>

#include "host/netlink.h"

static void attr_text(const struct nlattr *attr, char *ret, size_t size)
{
	snprintf(ret, size, "%.*s", attr ? (int)mnl_attr_get_payload_len(attr) : 0, attr ? mnl_attr_get_str(attr) : "");
}

static void parse_xdp(const struct nlattr *nest, struct link_xdp *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED)
			ret->attached = mnl_attr_get_u8(attr);
		else if (mnl_attr_get_type(attr) == IFLA_XDP_PROG_ID)
			ret->prog_id = netlink_u32(attr);
	}
}

static void parse_vlan(const struct nlattr *nest, struct link *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_payload_len(attr) < sizeof(uint16_t))
			continue;
		if (mnl_attr_get_type(attr) == IFLA_VLAN_ID)
			ret->vlan_id = mnl_attr_get_u16(attr);
		else if (mnl_attr_get_type(attr) == IFLA_VLAN_PROTOCOL)
			ret->vlan_tpid = ntohs(mnl_attr_get_u16(attr));
	}
}

static void parse_vrf(const struct nlattr *nest, struct link *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == IFLA_VRF_TABLE)
			ret->vrf_table = netlink_u32(attr);
	}
}

static void parse_kinds(const struct nlattr *nest, struct link *ret)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			attr_text(attr, ret->kind, sizeof(ret->kind));
		else if (mnl_attr_get_type(attr) == IFLA_INFO_SLAVE_KIND)
			attr_text(attr, ret->port_kind, sizeof(ret->port_kind));
		else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA && !strcmp(ret->kind, "vlan"))
			parse_vlan(attr, ret);
		else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA && !strcmp(ret->kind, "vrf"))
			parse_vrf(attr, ret);
	}
}

uint32_t link_vrf(const struct link *l)
{
	return strcmp(l->port_kind, "vrf") ? 0 : l->master;
}

bool link_is_vrf(const struct link *l)
{
	return !strcmp(l->kind, "vrf");
}

bool link_is_bare(const struct link *l)
{
	return l->type != ARPHRD_ETHER;
}

const char *link_down_reason(const struct link *l)
{
	if (!(l->flags & IFF_UP))
		return "down, and with it the routes through it; 'ip link set' brings it up";
	return l->flags & IFF_RUNNING ? NULL : "down, without a carrier; check the cable and the other end";
}

void link_parse(const struct nlmsghdr *h, struct link *ret)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[IFLA_XDP + 1];

	netlink_attributes(h, sizeof(*info), attr, ARRAY_SIZE(attr));
	*ret = (struct link){
		.ifindex = (uint32_t)info->ifi_index,
		.type = info->ifi_type,
		.flags = info->ifi_flags,
		.mtu = netlink_u32(attr[IFLA_MTU]),
		.lower = attr[IFLA_LINK_NETNSID] ? 0 : netlink_u32(attr[IFLA_LINK]),
		.master = netlink_u32(attr[IFLA_MASTER]),
	};
	attr_text(attr[IFLA_IFNAME], ret->name, sizeof(ret->name));
	if (attr[IFLA_ADDRESS] && mnl_attr_get_payload_len(attr[IFLA_ADDRESS]) == sizeof(ret->mac))
		memcpy(ret->mac, mnl_attr_get_payload(attr[IFLA_ADDRESS]), sizeof(ret->mac));
	if (attr[IFLA_XDP])
		parse_xdp(attr[IFLA_XDP], &ret->xdp);
	if (attr[IFLA_LINKINFO])
		parse_kinds(attr[IFLA_LINKINFO], ret);
}

static void visit_link(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWLINK)
		link_parse(h, arg);
}

static int link_get(struct netlink *n, uint32_t ifindex, const char *name, struct link *ret)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	struct link found = { 0 };
	int r;

	info->ifi_index = (int)ifindex;
	if (name)
		mnl_attr_put_strz(h, IFLA_IFNAME, name);
	mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	r = netlink_call(n, visit_link, &found);
	if (!r && !found.ifindex)
		r = -ENODEV;
	if (!r)
		*ret = found;
	return r;
}

int link_by_name(struct netlink *n, const char *name, struct link *ret)
{
	return link_get(n, 0, name, ret);
}

int link_by_index(struct netlink *n, uint32_t ifindex, struct link *ret)
{
	return link_get(n, ifindex, NULL, ret);
}

/* An array that grows as a dump is read. */
struct list {
	void *data;
	size_t count;
	size_t room;
	bool failed;
};

static void list_reset(void *arg)
{
	((struct list *)arg)->count = 0;
}

/* Adds a zeroed element, or returns NULL. */
static void *list_add(struct list *l, size_t size)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		void *data = reallocarray(l->data, room, size);

		if (!data) {
			l->failed = true;
			return NULL;
		}
		l->data = data;
		l->room = room;
	}
	return memset((char *)l->data + size * l->count++, 0, size);
}

/* Finishes a dump: hands the array over, or frees it on failure. */
static int list_take(struct list *l, int r, void **ret, size_t *ret_count)
{
	if (!r && l->failed)
		r = -ENOMEM;
	if (r) {
		free(l->data);
		return r;
	}
	*ret = l->data;
	*ret_count = l->count;
	return 0;
}

static void visit_links(const struct nlmsghdr *h, void *arg)
{
	struct link *l = h->nlmsg_type == RTM_NEWLINK ? list_add(arg, sizeof(*l)) : NULL;

	if (l)
		link_parse(h, l);
}

int links_read(struct netlink *n, struct link **ret, size_t *ret_count)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	struct list list = { 0 };

	mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	return list_take(&list, netlink_dump(n, visit_links, list_reset, &list), (void **)ret, ret_count);
}

static void visit_addresses(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[IFA_FLAGS + 1];
	struct address *a;

	if (h->nlmsg_type != RTM_NEWADDR || info->ifa_family != AF_INET)
		return;
	netlink_attributes(h, sizeof(*info), attr, ARRAY_SIZE(attr));
	if (!attr[IFA_LOCAL])
		return;
	a = list_add(arg, sizeof(*a));
	if (!a)
		return;
	a->ifindex = info->ifa_index;
	a->addr = ntohl(netlink_u32(attr[IFA_LOCAL]));
	a->scope = info->ifa_scope;
	a->plen = info->ifa_prefixlen;
	a->secondary = info->ifa_flags & IFA_F_SECONDARY;
}

int addresses_read(struct netlink *n, struct address **ret, size_t *ret_count)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	struct ifaddrmsg *info = mnl_nlmsg_get_payload(h);
	struct list list = { 0 };

	info->ifa_family = AF_INET;
	return list_take(&list, netlink_dump(n, visit_addresses, list_reset, &list), (void **)ret, ret_count);
}

uint32_t addresses_primary(const struct address *a, size_t count, uint32_t ifindex)
{
	const struct address *own = NULL, *other = NULL;

	for (size_t i = 0; i < count; i++) {
		if (a[i].secondary)
			continue;
		/* A wider scope is a lower number: universe 0, site 200, link 253, host 254. */
		if (a[i].ifindex == ifindex && a[i].scope < RT_SCOPE_HOST && (!own || a[i].scope < own->scope))
			own = &a[i];
		if (a[i].scope == RT_SCOPE_UNIVERSE && !other)
			other = &a[i];
	}
	if (!own)
		own = other;
	return own ? own->addr : 0;
}

/* local 0, main 32766 and default 32767, with no condition. */
static bool rule_is_default(const struct fib_rule_hdr *rule, uint32_t priority, uint32_t table, bool conditions)
{
	if (conditions || rule->src_len || rule->dst_len || rule->tos || rule->action != FR_ACT_TO_TBL)
		return false;
	return (priority == 0 && table == RT_TABLE_LOCAL) || (priority == 32766 && table == RT_TABLE_MAIN) ||
	       (priority == 32767 && table == RT_TABLE_DEFAULT);
}

/* Rules of a family while they are being read. */
struct rules {
	uint8_t family;
	enum routing routing;
};

static void visit_rules(const struct nlmsghdr *h, void *arg)
{
	static const uint16_t by_interface[] = { FRA_IIFNAME, FRA_OIFNAME, FRA_L3MDEV };
	static const uint16_t by_more[] = { FRA_FWMARK,	     FRA_UID_RANGE, FRA_IP_PROTO, FRA_SPORT_RANGE,
					    FRA_DPORT_RANGE, FRA_TUN_ID,    FRA_FLOW };
	const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[FRA_DPORT_RANGE + 1];
	bool interface = false, more = rule->tos;
	struct rules *rules = arg;
	enum routing by;
	uint32_t table;

	if (h->nlmsg_type != RTM_NEWRULE || rule->family != rules->family)
		return;
	netlink_attributes(h, sizeof(*rule), attr, ARRAY_SIZE(attr));
	for (size_t i = 0; i < ARRAY_SIZE(by_interface); i++)
		interface |= attr[by_interface[i]] != NULL;
	for (size_t i = 0; i < ARRAY_SIZE(by_more); i++)
		more |= attr[by_more[i]] != NULL;
	table = attr[FRA_TABLE] ? netlink_u32(attr[FRA_TABLE]) : rule->table;
	by = more ? ROUTING_BY_MORE : rule->src_len || !interface ? ROUTING_BY_ADDRESSES : ROUTING_BY_INTERFACE;
	if (by > rules->routing && !rule_is_default(rule, netlink_u32(attr[FRA_PRIORITY]), table, interface || more))
		rules->routing = by;
}

static void reset_rules(void *arg)
{
	((struct rules *)arg)->routing = ROUTING_BY_DESTINATION;
}

int rules_read(struct netlink *n, uint8_t family, enum routing *ret_routing)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETRULE, NLM_F_DUMP, sizeof(struct fib_rule_hdr));
	struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(h);
	struct rules rules = { .family = family, .routing = ROUTING_BY_DESTINATION };
	int r;

	rule->family = family;
	r = netlink_dump(n, visit_rules, reset_rules, &rules);
	if (!r)
		*ret_routing = rules.routing;
	return r;
}
