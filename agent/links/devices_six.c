/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What mappings of IPv6 subscribers need of the machine: the routes to their prefixes in the copy of the routes, the
 * gateway's own addresses, from which ICMPv6 errors come, and blackhole routes for NAT64 prefixes. Without such
 * mappings nothing of IPv6 is read.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <stdlib.h>
#include <string.h>

#include "base/virtual6.h"
#include "config/six.h"
#include "links/devices_private.h"
#include "routing/routes6.h"

/* The inside prefix of a mapping or, behind these, of one that drains. */
static struct prefix inside_at(const struct config *c, size_t at)
{
	return at < c->n_mappings ? c->mappings[at].in : c->draining[at - c->n_mappings].in;
}

static const struct config_six *six_at(const struct config *c, size_t at)
{
	return at < c->n_mappings ? &c->mappings[at].six : &c->draining[at - c->n_mappings].six;
}

/* The range of an inside prefix, if it lies within no other. */
static bool outermost(const struct config *c, size_t at, struct virtual_range *ret)
{
	const struct prefix in = inside_at(c, at);
	struct prefixes6 p;

	if (!six_at(c, at)->subscriber_plen || !virtual6_prefixes(in, &p))
		return false;
	for (size_t i = 0; i < c->n_mappings + c->n_draining; i++) {
		const struct prefix other = inside_at(c, i);

		if (i != at && six_at(c, i)->subscriber_plen && prefix_within(in, other) &&
		    (!prefix_equal(in, other) || i < at))
			return false;
	}
	*ret = (struct virtual_range){
		.first = p.hi, .virt = in.base, .plen = (uint8_t)(p.plen - (32 - in.plen)), .subscriber_plen = p.plen
	};
	return true;
}

static size_t ranges_of(const struct config *c, struct virtual_range *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_mappings + c->n_draining; i++)
		n += outermost(c, i, &ret[n]);
	return n;
}

static size_t prefixes6_listed(const struct config *c, struct prefix6 *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_mappings + c->n_draining; i++) {
		const struct config_six *six = six_at(c, i);
		bool known = !six->nat64_plen;

		for (size_t k = 0; !known && k < n; k++)
			known = ret[k].plen == six->nat64_plen && address6_equal(&ret[k].addr, &six->nat64);
		if (!known)
			ret[n++] = (struct prefix6){ six->nat64, (uint8_t)six->nat64_plen };
	}
	return n;
}

/* Where rules decide beside destinations, the kernel is asked for the way to each host. */
static int set_ranges(struct devices *v)
{
	bool by_rules = v->routing6 != ROUTING_BY_DESTINATION;

	return route_copy_set_virtual(v->copy, v->ranges, by_rules ? 0 : v->n_ranges);
}

int devices_six_take(struct devices *v, const struct config *c, struct error *err)
{
	if (!v->n_ranges && !v->n_nat64 && !c->n_draining && !config_has_ipv6(c))
		return 0;

	_cleanup_free_ struct virtual_range *ranges = calloc(c->n_mappings + c->n_draining + 1, sizeof(*ranges));
	_cleanup_free_ struct prefix6 *nat64 = calloc(c->n_mappings + c->n_draining + 1, sizeof(*nat64));
	size_t n_ranges;
	int r = 0;

	if (!ranges || !nat64)
		return error_set(err, -ENOMEM, "out of memory");
	n_ranges = ranges_of(c, ranges);
	if (n_ranges && !v->hears_ipv6) {
		r = monitor_hear_ipv6(v->monitor);
		if (!r)
			r = rules_read(v->netlink, AF_INET6, &v->routing6);
		if (r)
			return error_set(err, r, "the kernel's routing of IPv6 cannot be followed: %s", strerror(-r));
		v->hears_ipv6 = true;
	}
	v->n_ranges = n_ranges;
	v->n_nat64 = prefixes6_listed(c, nat64);
	free(v->ranges);
	free(v->nat64);
	v->ranges = take_pointer(ranges);
	v->nat64 = take_pointer(nat64);
	v->addresses6_dirty = true;
	return set_ranges(v) ? error_set(err, -ENOMEM, "out of memory") : 0;
}

int devices_six_routes(struct devices *v, struct error *err)
{
	/* Those of a former agent are removed at its first configuration without any. */
	if (!v->n_nat64 && v->nat64_applied)
		return 0;
	v->nat64_applied = !v->n_nat64;
	return routes6_apply(v->netlink, v->nat64, v->n_nat64, err);
}

void devices_six_forget(struct devices *v)
{
	free(v->ranges);
	free(v->nat64);
}

/* The gateway's addresses while they are being read. */
struct own_addresses {
	struct address6_octets *octets; /* MAX_IFINDEX of them */
	uint8_t *plain;			/* of each: 1 if it is one that nothing speaks against */
	uint32_t any;			/* an interface that has a global one; 0: none */
};

static bool is_global(const uint8_t *octet)
{
	return (octet[0] & 0xe0) == 0x20 || (octet[0] & 0xfe) == 0xfc;
}

static void visit_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[IFA_FLAGS + 1], *own;
	struct own_addresses *a = arg;
	uint32_t flags;

	if (h->nlmsg_type != RTM_NEWADDR || info->ifa_family != AF_INET6 || info->ifa_index >= MAX_IFINDEX)
		return;
	netlink_attributes(h, sizeof(*info), attr, ARRAY_SIZE(attr));
	own = attr[IFA_LOCAL] ? attr[IFA_LOCAL] : attr[IFA_ADDRESS];
	flags = attr[IFA_FLAGS] ? netlink_u32(attr[IFA_FLAGS]) : info->ifa_flags;
	if (!own || mnl_attr_get_payload_len(own) < sizeof(struct address6_octets) ||
	    !is_global(mnl_attr_get_payload(own)) || flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED))
		return;
	/* One that is deprecated or temporary serves where there is no other. */
	bool plain = !(flags & (IFA_F_DEPRECATED | IFA_F_TEMPORARY));

	if (a->plain[info->ifa_index] || (a->any == info->ifa_index && !plain))
		return;
	memcpy(&a->octets[info->ifa_index], mnl_attr_get_payload(own), sizeof(a->octets[0]));
	a->plain[info->ifa_index] = plain;
	if (!a->any)
		a->any = info->ifa_index;
}

static void reset_addresses(void *arg)
{
	struct own_addresses *a = arg;

	memset(a->octets, 0, MAX_IFINDEX * sizeof(*a->octets));
	memset(a->plain, 0, MAX_IFINDEX);
	a->any = 0;
}

/* An interface without one answers from another's. */
static void store_addresses(const struct devices *v, const struct own_addresses *a)
{
	const struct address6_octets none = { 0 };

	for (uint32_t i = 1; i < MAX_IFINDEX; i++) {
		const struct address6_octets *own = &a->octets[i];

		if (v->datapath->device[i].roles && !memcmp(own, &none, sizeof(none)))
			own = &a->octets[a->any];
		if (memcmp(&v->datapath->address6[i], own, sizeof(*own)) != 0)
			memcpy(&v->datapath->address6[i], own, sizeof(*own));
	}
}

static int read_addresses(struct devices *v)
{
	struct nlmsghdr *h = netlink_request(v->netlink, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	struct ifaddrmsg *info = mnl_nlmsg_get_payload(h);
	struct own_addresses a = { .octets = calloc(MAX_IFINDEX, sizeof(*a.octets)), .plain = calloc(MAX_IFINDEX, 1) };
	int r = a.octets && a.plain ? 0 : -ENOMEM;

	info->ifa_family = AF_INET6;
	if (!r)
		r = netlink_dump(v->netlink, visit_address, reset_addresses, &a);
	if (!r)
		store_addresses(v, &a);
	free(a.octets);
	free(a.plain);
	return r;
}

/* An inside interface, as of whose packets the programs ask the kernel for the way to hosts. */
static uint32_t inside_of(const struct interfaces *all)
{
	for (size_t k = 0; k < all->count; k++)
		if (all->list[k].roles & DEVICE_INSIDE && all->list[k].link.ifindex)
			return all->list[k].link.ifindex;
	return 0;
}

void devices_six_record(struct devices *v, const struct interfaces *all)
{
	struct datapath *d = v->datapath;

	if (!d->index6 || !d->address6)
		return;
	__atomic_store_n(&d->index6->inside, inside_of(all), __ATOMIC_RELEASE);
	if (!read_addresses(v))
		v->addresses6_dirty = false;
}

void devices_six_sync(struct devices *v)
{
	enum routing routing;

	if (v->hears_ipv6 && v->rules6_dirty && !rules_read(v->netlink, AF_INET6, &routing)) {
		bool changed = routing != v->routing6;

		v->rules6_dirty = false;
		v->routing6 = routing;
		if (changed)
			set_ranges(v);
	}
	if (v->addresses6_dirty)
		devices_six_record(v, &v->interfaces);
}
