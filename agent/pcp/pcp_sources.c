/* SPDX-License-Identifier: BSD-2-Clause */
#include "pcp/pcp_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <net/if_arp.h>
#include <string.h>

#include "base/clock.h"
#include "host/netlink.h"

/* States in which the kernel knows the link-layer address of a neighbour. */
#define NUD_KNOWN (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

struct pcp_sources {
	struct netlink *netlink;
	/* The last interface examined. */
	uint32_t ifindex;
	uint64_t looked_s;
	bool has_arp; /* its hosts are found through ARP */
	uint32_t vrf; /* that it is in; 0: none */
	/* Neighbours that the kernel was asked to resolve in a second. */
	uint64_t second;
	uint32_t resolved;
};

int pcp_sources_new(struct pcp_sources **ret)
{
	struct pcp_sources *s = calloc(1, sizeof(*s));
	int r = s ? netlink_new(&s->netlink) : -ENOMEM;

	if (r) {
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void pcp_sources_free(struct pcp_sources *s)
{
	if (!s)
		return;
	netlink_free(s->netlink);
	free(s);
}

struct on_link {
	uint32_t ifindex;
	bool yes;
};

static void visit_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[RTA_VIA + 1];
	struct on_link *l = arg;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return;
	netlink_attributes(h, sizeof(*rt), attr, ARRAY_SIZE(attr));
	l->yes = rt->rtm_type == RTN_UNICAST && netlink_u32(attr[RTA_OIF]) == l->ifindex && !attr[RTA_GATEWAY] &&
		 !attr[RTA_VIA];
}

/* Whether the kernel sends to an address directly, through that interface. */
static bool is_on_link(struct pcp_sources *s, uint32_t addr, uint32_t ifindex)
{
	struct nlmsghdr *h = netlink_request(s->netlink, RTM_GETROUTE, 0, sizeof(struct rtmsg));
	struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct on_link l = { .ifindex = ifindex };

	rt->rtm_family = AF_INET;
	rt->rtm_dst_len = 32;
	rt->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put_u32(h, RTA_DST, htonl(addr));
	if (s->vrf)
		mnl_attr_put_u32(h, RTA_OIF, s->vrf);
	return !netlink_call(s->netlink, visit_route, &l) && l.yes;
}

/* Looks at an interface: its VRF, and whether its hosts are found through ARP. Again after a second. */
static void look_at(struct pcp_sources *s, uint32_t ifindex)
{
	uint64_t now_s = boottime_s();
	struct link link;

	if (s->ifindex == ifindex && s->looked_s == now_s)
		return;
	if (link_by_index(s->netlink, ifindex, &link))
		link = (struct link){ 0 };
	s->has_arp = link.ifindex && link.type == ARPHRD_ETHER &&
		     !(link.flags & (IFF_NOARP | IFF_POINTOPOINT | IFF_LOOPBACK));
	s->vrf = link_vrf(&link);
	s->ifindex = ifindex;
	s->looked_s = now_s;
}

static struct nlmsghdr *neighbour_request(struct pcp_sources *s, uint16_t type, uint16_t flags, uint32_t addr,
					  uint32_t ifindex)
{
	struct nlmsghdr *h = netlink_request(s->netlink, type, flags, sizeof(struct ndmsg));
	struct ndmsg *nd = mnl_nlmsg_get_payload(h);

	nd->ndm_family = AF_INET;
	nd->ndm_ifindex = (int)ifindex;
	mnl_attr_put_u32(h, NDA_DST, htonl(addr));
	return h;
}

struct neighbour {
	bool known;
	uint8_t mac[6];
};

static void visit_neighbour(const struct nlmsghdr *h, void *arg)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NDA_LLADDR + 1];
	struct neighbour *n = arg;

	if (h->nlmsg_type != RTM_NEWNEIGH)
		return;
	netlink_attributes(h, sizeof(*nd), attr, ARRAY_SIZE(attr));
	if (!(nd->ndm_state & NUD_KNOWN) || !attr[NDA_LLADDR] ||
	    mnl_attr_get_payload_len(attr[NDA_LLADDR]) != sizeof(n->mac))
		return;
	n->known = true;
	memcpy(n->mac, mnl_attr_get_payload(attr[NDA_LLADDR]), sizeof(n->mac));
}

/* Makes the kernel resolve a neighbour, as it would to send to it. */
static void ask_for(struct pcp_sources *s, uint32_t addr, uint32_t ifindex)
{
	uint64_t now_s = boottime_s();
	struct nlmsghdr *h;

	if (s->second != now_s) {
		s->second = now_s;
		s->resolved = 0;
	}
	/* Each takes a place in the kernel's table for some seconds. */
	if (s->resolved >= PCP_RESOLVED_PER_SECOND)
		return;
	s->resolved++;
	h = neighbour_request(s, RTM_NEWNEIGH, NLM_F_CREATE, addr, ifindex);
	((struct ndmsg *)mnl_nlmsg_get_payload(h))->ndm_flags = NTF_USE;
	netlink_call(s->netlink, NULL, NULL);
}

enum pcp_source pcp_source_of(struct pcp_sources *s, uint32_t source, uint32_t ifindex, enum pcp_mac known,
			      const uint8_t mac[static 6], bool resolve)
{
	struct neighbour n = { 0 };

	look_at(s, ifindex);
	if (!s->has_arp || !is_on_link(s, source, ifindex))
		return PCP_SOURCE_TAKEN;
	neighbour_request(s, RTM_GETNEIGH, 0, source, ifindex);
	netlink_call(s->netlink, visit_neighbour, &n);
	if (!n.known && resolve)
		ask_for(s, source, ifindex);
	if (!n.known || known == PCP_MAC_LOST)
		return PCP_SOURCE_UNKNOWN;
	return known == PCP_MAC_NONE || !memcmp(n.mac, mac, sizeof(n.mac)) ? PCP_SOURCE_TAKEN : PCP_SOURCE_FORGED;
}
