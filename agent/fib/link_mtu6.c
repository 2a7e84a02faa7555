/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/link_mtu6.h"

#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "host/netlink.h"

struct link_mtus link_mtus_told(const struct nlmsghdr *h, struct link_mtus before)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[IFLA_AF_SPEC + 1], *conf, *around;
	struct link_mtus now = before;

	netlink_attributes(h, sizeof(*info), attr, ARRAY_SIZE(attr));
	around = info->ifi_family == AF_INET6 ? attr[IFLA_PROTINFO] : attr[IFLA_AF_SPEC];
	if (attr[IFLA_MTU])
		now.link = netlink_u32(attr[IFLA_MTU]);
	if (!around)
		return now;
	conf = netlink_nested(info->ifi_family == AF_INET6 ? around : netlink_nested(around, AF_INET6),
			      IFLA_INET6_CONF);
	now.ipv6 = 0;
	if (conf && mnl_attr_get_payload_len(conf) >= (DEVCONF_MTU6 + 1) * sizeof(now.ipv6))
		memcpy(&now.ipv6, (const char *)mnl_attr_get_payload(conf) + DEVCONF_MTU6 * sizeof(now.ipv6),
		       sizeof(now.ipv6));
	if (now.ipv6 && before.link && now.link != before.link)
		now.ipv6 = now.link;
	return now;
}
