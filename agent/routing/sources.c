/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/sources.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netconf.h>
#include <stdlib.h>
#include <string.h>

/* After this long without a sign of the agent, addresses are no longer vouched for. */
#define HEARD_OF_S 3U

static void visit_netconf(const struct nlmsghdr *h, void *arg)
{
	const struct netconfmsg *msg = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NETCONFA_MAX + 1];
	struct rp_filters *f = arg;
	int32_t ifindex, value;

	if (h->nlmsg_type != RTM_NEWNETCONF || msg->ncm_family != AF_INET)
		return;
	netlink_attributes(h, sizeof(*msg), attr, ARRAY_SIZE(attr));
	if (!attr[NETCONFA_IFINDEX] || !attr[NETCONFA_RP_FILTER])
		return;
	ifindex = (int32_t)netlink_u32(attr[NETCONFA_IFINDEX]);
	value = (int32_t)netlink_u32(attr[NETCONFA_RP_FILTER]);
	if (value < 0 || value > UINT8_MAX)
		value = 0;
	if (ifindex == NETCONFA_IFINDEX_ALL)
		f->all = (uint8_t)value;
	else if (ifindex > 0 && (uint32_t)ifindex < MAX_IFINDEX)
		f->of[ifindex] = (uint8_t)value;
}

static void reset_netconf(void *arg)
{
	memset(arg, 0, sizeof(struct rp_filters));
}

int rp_filters_read(struct netlink *n, struct rp_filters **ret)
{
	struct nlmsghdr *h = netlink_request(n, RTM_GETNETCONF, NLM_F_DUMP, sizeof(struct netconfmsg));
	_cleanup_free_ struct rp_filters *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	((struct netconfmsg *)mnl_nlmsg_get_payload(h))->ncm_family = AF_INET;
	r = netlink_dump(n, visit_netconf, reset_netconf, f);
	if (!r)
		*ret = take_pointer(f);
	return r;
}

uint8_t rp_filter_of(const struct rp_filters *f, uint32_t ifindex)
{
	if (!f || ifindex >= MAX_IFINDEX)
		return 0;
	return f->of[ifindex] > f->all ? f->of[ifindex] : f->all;
}

void rp_summary_add(struct rp_summary *s, uint8_t roles, uint8_t rp_filter, bool in_vrf)
{
	s->vrf |= in_vrf;
	if (roles & DEVICE_INSIDE) {
		s->inside++;
		s->inside_any |= rp_filter != 0;
		s->inside_strict |= rp_filter == RP_FILTER_STRICT;
	}
	if (roles & DEVICE_OUTSIDE) {
		s->outside++;
		s->outside_strict |= rp_filter == RP_FILTER_STRICT;
	}
}

/* With one inside interface, all packets of a session arrive through the one that was checked when it was opened. */
enum source_check rp_source_check(const struct rp_summary *s)
{
	if (!s->inside_strict)
		return SOURCES_ROUTED;
	return s->inside > 1 ? SOURCES_STRICT_EACH : SOURCES_STRICT;
}

bool rp_outside_strict(const struct rp_summary *s)
{
	return s->outside_strict && s->outside > 1;
}

static void add_own(uint32_t base, unsigned plen, void *arg)
{
	struct own_sources *own = arg;
	uint32_t bit = own_source_bit(base);

	if (plen < 32)
		own->prefixes |= base >> 24 != 127;
	else
		own->bits[bit >> 6] |= 1ULL << (bit & 63);
}

bool own_sources_of(const struct route_copy *copy, struct own_sources *ret)
{
	struct own_sources own = { 0 };

	if (!route_copy_own(copy, add_own, &own))
		return false;
	*ret = own;
	return true;
}

void own_sources_vouch(const struct datapath *d, const struct own_sources *o)
{
	struct globals *g = d->global;
	uint32_t now = datapath_ticks(d), until = o ? now + ticks_of_seconds(HEARD_OF_S, d->hz) : now - 1;

	for (size_t i = 0; o && i < ARRAY_SIZE(o->bits); i++)
		__atomic_store_n(&g->own_sources[i], o->bits[i], __ATOMIC_RELEASE);
	__atomic_store_n(&g->sources_until, until, __ATOMIC_RELEASE);
}
