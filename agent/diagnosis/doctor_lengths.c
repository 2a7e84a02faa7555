/* SPDX-License-Identifier: BSD-2-Clause */
/* Lengths of packets, and filters of sources at inside interfaces: what works for some packets, and not for others. */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "diagnosis/doctor_private.h"
#include "host/netlink.h"

/* The link with one of the roles and the lowest MTU (factor 1) or the highest (-1); NULL: there is none. */
static const struct link *extreme(const struct doctor *d, uint8_t roles, int factor)
{
	const struct link *found = NULL;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (l && d->config->interfaces[i].roles & roles &&
		    (!found || factor * (int)l->mtu < factor * (int)found->mtu))
			found = l;
	}
	return found;
}

void doctor_mtu(struct doctor *d)
{
	const struct link *in = extreme(d, DEVICE_INSIDE, -1), *out = extreme(d, DEVICE_OUTSIDE, 1);

	if (!d->config->tcp_mss_clamp && in && out && out->mtu < in->mtu)
		doctor_say(d, DOCTOR_WARNING,
			   "the MTU of %s is %u, that of %s %u, and tcp_mss_clamp is 0: TCP connections stall wherever "
			   "ICMP is filtered; set tcp_mss_clamp to \"mtu\"",
			   out->name, out->mtu, in->name, in->mtu);
	else
		doctor_say(d, DOCTOR_OK, "%s",
			   d->config->tcp_mss_clamp ? "the MSS of TCP is clamped"
						    : "no outside interface has a lower MTU than an inside one");
}

/* Routes that lead to subscribers through an interface. */
struct routes {
	const struct doctor *d;
	uint32_t ifindex;
	bool found;
};

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_MAX + 1];
	struct routes *r = arg;
	uint32_t dst = 0;

	if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_family != AF_INET || m->rtm_type != RTN_UNICAST)
		return;
	netlink_attributes(h, sizeof(*m), attr, ARRAY_SIZE(attr));
	/* Routes of several next hops are not looked into: one may be it. */
	if (attr[RTA_OIF] ? mnl_attr_get_u32(attr[RTA_OIF]) != r->ifindex : !attr[RTA_MULTIPATH])
		return;
	if (attr[RTA_DST])
		dst = ntohl(mnl_attr_get_u32(attr[RTA_DST]));
	for (size_t i = 0; i < r->d->config->n_mappings; i++)
		r->found |=
			prefix_overlaps(dst, m->rtm_dst_len, r->d->config->mappings[i].in.base,
					r->d->config->mappings[i].in.plen > 32 ? 0 : r->d->config->mappings[i].in.plen);
}

static bool has_subscribers(const struct doctor *d, uint32_t ifindex)
{
	struct routes r = { .d = d, .ifindex = ifindex };
	struct nlmsghdr *h = netlink_request(d->netlink, RTM_GETROUTE, NLM_F_DUMP, sizeof(struct rtmsg));

	((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_family = AF_INET;
	return netlink_call(d->netlink, visit_route, &r) || r.found;
}

void doctor_inside_filters(struct doctor *d)
{
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);

		if (!l || d->config->interfaces[i].roles != DEVICE_INSIDE)
			continue;
		if (doctor_filter(d, l->name) != 1 || has_subscribers(d, l->ifindex) || found++)
			continue;
		doctor_say(d, DOCTOR_WARNING,
			   "%s: rp_filter is 1 (strict), and no route leads through it to inside addresses, so packets "
			   "of subscribers that arrive there are dropped: route them there, or sysctl -w "
			   "net.ipv4.conf.%s.rp_filter=2",
			   l->name, l->name);
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "no inside interface drops all that comes through it");
}
