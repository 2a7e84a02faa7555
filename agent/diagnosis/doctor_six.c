/* SPDX-License-Identifier: BSD-2-Clause */
/* Mappings of IPv6 subscribers: whether the machine forwards IPv6, keeps its routes, and brings packets back to them.
 */
#include <linux/rtnetlink.h>
#include <string.h>

#include "base/virtual6.h"
#include "config/six.h"
#include "diagnosis/doctor_private.h"

/* Octets by which packets grow on their way inwards. */
#define GROWTH 20U

/* Of a thousand mappings, the first few show the fault. */
#define MOST_TOLD 3U

static unsigned forwarding_off(struct doctor *d)
{
	long long all = 1;

	if (!doctor_read_number(d, &all, "/proc/sys/net/ipv6/conf/all/forwarding") || all)
		return 0;
	doctor_say(d, DOCTOR_WARNING,
		   "the kernel does not forward IPv6, so nothing reaches IPv6 subscribers where it is asked for the "
		   "way: sysctl -w net.ipv6.conf.all.forwarding=1, and keep it in /etc/sysctl.d");
	return 1;
}

/* With forwarding, an interface hears router advertisements only if accept_ra is 2. */
static unsigned advertisements_lost(struct doctor *d, const char *name)
{
	long long accept = 0, forwarding = 0;

	if (!doctor_read_number(d, &accept, "/proc/sys/net/ipv6/conf/%s/accept_ra", name) || accept != 1 ||
	    !doctor_read_number(d, &forwarding, "/proc/sys/net/ipv6/conf/%s/forwarding", name) || !forwarding)
		return 0;
	doctor_say(d, DOCTOR_WARNING,
		   "%s: accept_ra is 1 and the interface forwards, so a default route that a router advertises there "
		   "vanishes: sysctl -w net.ipv6.conf.%s.accept_ra=2, or 0 and a route of your own",
		   name, name);
	return 1;
}

static unsigned narrow(struct doctor *d, const struct config_interface *i)
{
	const struct link *l = doctor_link(d, i);

	if (d->config->tcp_mss_clamp || !l || !(i->roles & DEVICE_INSIDE) || l->mtu >= 1500 + GROWTH)
		return 0;
	doctor_say(d, DOCTOR_WARNING,
		   "%s: its MTU is %u, and packets of 1500 octets from outside are %u longer as IPv6; with "
		   "'tcp_mss_clamp': 0 connections rely on Packet Too Big: set it to \"mtu\", or the MTU to %u",
		   i->name, l->mtu, GROWTH, 1500 + GROWTH);
	return 1;
}

struct way6 {
	uint32_t ifindex;
	bool local;
};

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_OIF + 1];
	struct way6 *way = arg;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	way->ifindex = netlink_u32(attr[RTA_OIF]);
	way->local = rt->rtm_type == RTN_LOCAL;
}

/* The way to a host of a subscriber's prefix. 0 or -errno of the route. */
static int way_to(struct doctor *d, uint64_t hi, struct way6 *ret)
{
	struct nlmsghdr *h = netlink_request(d->netlink, RTM_GETROUTE, 0, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	uint64_t half[2] = { be64_number(hi), be64_number(1) };

	rt->rtm_family = AF_INET6;
	rt->rtm_dst_len = 128;
	mnl_attr_put(h, RTA_DST, sizeof(half), half);
	*ret = (struct way6){ 0 };
	return netlink_call(d->netlink, visit_route, ret);
}

/* Whether there is a way inside to a mapping's first subscriber; if not, reports it, up to the limit. */
static bool routed_inside(struct doctor *d, const struct config_mapping *m, bool silent)
{
	const struct link *l;
	struct prefixes6 p;
	struct way6 way;
	char text[INSIDE_TEXT];
	int r;

	if (!config_is_ipv6(m) || !virtual6_prefixes(m->in, &p))
		return true;
	r = way_to(d, p.hi, &way);
	l = r || !way.ifindex ? NULL : link_find(&d->links, way.ifindex);
	if ((l && doctor_leads(d, l->name, DEVICE_INSIDE)) || (!r && way.local))
		return true;
	/* Routes come and go with the interfaces that match patterns. */
	if (silent || d->names_patterns)
		return false;
	inside_prefix_text(m->in, text);
	if (!l || l->flags & IFF_LOOPBACK)
		doctor_say(d, DOCTOR_WARNING,
			   "there is no route to the inside prefix %s, so nothing reaches its subscribers; route it to "
			   "their router",
			   text);
	else
		doctor_say(d, DOCTOR_WARNING,
			   "the inside prefix %s is routed through %s, which is not an inside interface: is a route "
			   "missing?",
			   text, l->name);
	return false;
}

void doctor_nat64(struct doctor *d)
{
	unsigned found, unrouted = 0;

	if (!config_has_ipv6(d->config))
		return;
	found = forwarding_off(d);
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		found += advertisements_lost(d, d->config->interfaces[i].name);
		found += narrow(d, &d->config->interfaces[i]);
	}
	for (size_t i = 0; i < d->config->n_mappings; i++)
		unrouted += !routed_inside(d, &d->config->mappings[i], unrouted >= MOST_TOLD);
	if (unrouted > MOST_TOLD)
		doctor_say(d, DOCTOR_WARNING, "the same applies to %u more mappings", unrouted - MOST_TOLD);
	if (!found && !unrouted)
		doctor_say(d, DOCTOR_OK,
			   "IPv6 is forwarded, and the prefixes of all mappings are routed to the inside");
}
