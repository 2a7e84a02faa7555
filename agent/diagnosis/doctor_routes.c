/* SPDX-License-Identifier: BSD-2-Clause */
/* Forwarding, routes, pools and neighbours: whether the gateway forwards to the right place. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <detnat/mapping.h>

#include "diagnosis/doctor_private.h"
#include "base/virtual6.h"
#include "links/devices.h"
#include "routing/forwarding.h"
#include "routing/route_lookup.h"

void doctor_forwarding(struct doctor *d)
{
	unsigned off = 0;

	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const char *name = d->config->interfaces[i].name;

		if (!forwarding_is_off(name))
			continue;
		doctor_say(d, DOCTOR_FAILURE,
			   "%s: the kernel does not forward packets that arrive there: sysctl -w "
			   "net.ipv4.ip_forward=1, and "
			   "keep it in /etc/sysctl.d",
			   name);
		off++;
	}
	if (!off)
		doctor_say(d, DOCTOR_OK, "on, on all interfaces");
}

long long doctor_filter(const struct doctor *d, const char *name)
{
	long long all = 0, own = 0;

	doctor_read_number(d, &all, "/proc/sys/net/ipv4/conf/all/rp_filter");
	doctor_read_number(d, &own, "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
	return all > own ? all : own;
}

/*
 * What the kernel forwards to a tenant's subscribers enters the tenant's VRF, as if its sender were there. Returns the
 * number of findings.
 */
static unsigned vrfs_strict(struct doctor *d)
{
	unsigned found = 0;

	for (size_t i = 0; i < d->config->n_tenants; i++) {
		const struct config_tenant *t = &d->config->tenants[i];

		if (!*t->vrf || doctor_filter(d, t->vrf) != 1)
			continue;
		found++;
		doctor_say(d, DOCTOR_WARNING,
			   "%s: rp_filter is 1 (strict) on the VRF of tenant %s; what the kernel forwards to its "
			   "subscribers enters there and is dropped, as the routes to its senders lead out of the "
			   "VRF: sysctl -w net.ipv4.conf.%s.rp_filter=2, and that of all at most 2",
			   t->vrf, t->name, t->vrf);
	}
	return found;
}

void doctor_rp_filter(struct doctor *d)
{
	unsigned outside = 0, found = vrfs_strict(d);

	for (size_t i = 0; i < d->config->n_interfaces; i++)
		outside += !!(d->config->interfaces[i].roles & DEVICE_OUTSIDE);
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct config_interface *interface = &d->config->interfaces[i];
		const char *name = interface->name;
		long long filter = doctor_filter(d, name);

		if (interface->roles & DEVICE_INSIDE && !filter && d->config->unmatched == UNMATCHED_ROUTE && ++found)
			doctor_say(
				d, DOCTOR_WARNING,
				"%s: rp_filter is 0 and 'unmatched' is 'route', so forged sources leave as they are: "
				"sysctl -w net.ipv4.conf.%s.rp_filter=1",
				name, name);
		if (interface->roles == DEVICE_OUTSIDE && filter == 1 && outside > 1 && ++found)
			doctor_say(
				d, DOCTOR_WARNING,
				"%s: rp_filter is 1 (strict) on one of %u outside interfaces; answers that come back "
				"through another one than the route to their sender are dropped: 2 (loose) lets them "
				"in",
				name, outside);
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "fits the roles of the interfaces");
}

/* Mappings that are searched for an interface that a misspelt name may mean. */
#define MOST_LOOKED_AT 16U

/* VRFs that are looked at. */
#define MOST_VRFS 256U

/* An address that a host can have: the first one of a prefix is the network's own, unless it is the only one. */
static uint32_t host_of(struct prefix p)
{
	return p.plen < 31 ? p.base + 1 : p.base;
}

/* The gateway may be the first host; the next address is routed in the same way. */
static int way_by(struct prefix p, uint32_t vrf, struct kernel_way *ret)
{
	int r = kernel_way_read(host_of(p), vrf, ret);

	if (!r && ret->local && prefix_count(p) > 2)
		r = kernel_way_read(host_of(p) + 1, vrf, ret);
	return r;
}

/*
 * Where packets to subscribers are routed: by the VRF of their tenant; else one of the VRFs of outside interfaces, or
 * main, has to know the way.
 */
static int way_of(const struct doctor *d, struct prefix p, const struct link *tenants, struct kernel_way *ret)
{
	uint32_t vrf[MOST_VRFS];
	size_t n = doctor_vrfs(d, DEVICE_OUTSIDE, vrf, ARRAY_SIZE(vrf));
	int r = -ENOENT;

	if (tenants)
		return way_by(p, tenants->ifindex, ret);
	for (size_t i = 0; i < n; i++) {
		r = way_by(p, vrf[i], ret);
		if (!r && !ret->error)
			return 0;
	}
	return n ? r : way_by(p, 0, ret);
}

static bool leads_past(const struct doctor *d, const struct kernel_way *way, char name[static IFNAMSIZ])
{
	if (way->error || way->local || !way->ifindex || doctor_interface(d, way->name, DEVICE_INSIDE | DEVICE_OUTSIDE))
		return false;
	snprintf(name, IFNAMSIZ, "%s", way->name);
	return true;
}

bool doctor_leads_past(const struct doctor *d, uint8_t roles, char name[static IFNAMSIZ])
{
	struct kernel_way way;

	if (roles & DEVICE_OUTSIDE)
		return !kernel_way_read(address_beyond(), 0, &way) && leads_past(d, &way, name);
	for (size_t i = 0; i < d->config->n_mappings && i < MOST_LOOKED_AT; i++)
		if (!config_is_ipv6(&d->config->mappings[i]) && !way_of(d, d->config->mappings[i].in, NULL, &way) &&
		    leads_past(d, &way, name))
			return true;
	return false;
}

/* Of a thousand mappings, the first few show the fault. */
#define MOST_TOLD 3U

/* Whether the inside addresses of a mapping are routed to the inside; if not, reports it, up to the limit. */
static bool routed_inside(struct doctor *d, const struct config_mapping *m, bool silent)
{
	const struct config_tenant *t = *m->tenant ? config_find_tenant(d->config, m->tenant) : NULL;
	const struct link *vrf = t && *t->vrf ? doctor_find_link(d, t->vrf) : NULL;
	struct prefix in = m->in;
	struct kernel_way way;
	char text[INSIDE_TEXT];

	/* doctor_nat64() looks at the routes to their prefixes. */
	if (config_is_ipv6(m))
		return true;
	if (t && *t->vrf && !vrf) {
		if (!silent)
			doctor_say(d, DOCTOR_WARNING,
				   "the VRF %s of tenant %s does not exist, so nothing is sent to its subscribers: "
				   "ip link add %s type vrf table NUMBER",
				   t->vrf, t->name, t->vrf);
		return false;
	}
	if (way_of(d, in, vrf, &way) || way.local)
		return true;
	if (!way.error && way.ifindex && doctor_leads(d, way.name, DEVICE_INSIDE))
		return true;
	if (d->names_any && !way.error && way.ifindex && !doctor_interface(d, way.name, DEVICE_OUTSIDE))
		return true;
	/* Routes come and go with the interfaces that match patterns. */
	if (silent ||
	    (d->names_patterns && (way.error || !way.ifindex || doctor_interface(d, way.name, DEVICE_OUTSIDE))))
		return false;
	inside_prefix_text(in, text);
	if (doctor_link_down(d, DEVICE_INSIDE))
		doctor_say(d, DOCTOR_WARNING, "the inside addresses %s are not routed to the inside: %s is down", text,
			   doctor_link_down(d, DEVICE_INSIDE)->name);
	else if (way.error || !way.ifindex)
		doctor_say(d, DOCTOR_WARNING,
			   "there is no route to the inside addresses %s, so nothing reaches them; route them to the "
			   "interface of these subscribers",
			   text);
	else if (doctor_interface(d, way.name, DEVICE_OUTSIDE))
		doctor_say(d, DOCTOR_WARNING,
			   "the inside addresses %s are routed through %s, which is outside: are inside and outside "
			   "swapped, or is a route missing?",
			   text, way.name);
	else
		doctor_say(d, DOCTOR_WARNING,
			   "the inside addresses %s are routed through %s, which is not an inside interface: is a "
			   "bridge or VLAN interface meant, or a route missing?",
			   text, way.name);
	return false;
}

void doctor_inside_routes(struct doctor *d)
{
	size_t found = 0;

	for (size_t i = 0; i < d->config->n_mappings; i++)
		found += !routed_inside(d, &d->config->mappings[i], found >= MOST_TOLD);
	if (found > MOST_TOLD)
		doctor_say(d, DOCTOR_WARNING, "the same applies to %zu more mappings", found - MOST_TOLD);
	if (!found)
		doctor_say(d, DOCTOR_OK, "the inside addresses of all mappings are routed through inside interfaces");
}

/* The name of a VRF; "" for none. */
static const char *vrf_name(const struct doctor *d, uint32_t vrf)
{
	const struct link *l = vrf ? link_find(&d->links, vrf) : NULL;

	return l ? l->name : "";
}

/*
 * Whether the default route leaves through an inside interface, and packets to subscribers through an outside one,
 * whose name is written.
 */
static bool look_swapped(const struct doctor *d, const struct kernel_way *out, char name[static IFNAMSIZ])
{
	struct kernel_way way;

	if (!doctor_interface(d, out->name, DEVICE_INSIDE) || doctor_interface(d, out->name, DEVICE_OUTSIDE))
		return false;
	for (size_t i = 0; i < d->config->n_mappings && i < MOST_LOOKED_AT; i++) {
		if (config_is_ipv6(&d->config->mappings[i]) || way_of(d, d->config->mappings[i].in, NULL, &way) ||
		    way.error || way.local || !doctor_interface(d, way.name, DEVICE_OUTSIDE) ||
		    doctor_interface(d, way.name, DEVICE_INSIDE))
			continue;
		snprintf(name, IFNAMSIZ, "%s", way.name);
		return true;
	}
	return false;
}

/* The route of packets from inside interfaces of a VRF, or of none, to the outside. */
static void outside_route_of(struct doctor *d, uint32_t vrf)
{
	const char *name = vrf_name(d, vrf), *in = *name ? " in the VRF " : "";
	char inside[IFNAMSIZ];
	struct kernel_way way;
	int r = kernel_way_read(address_beyond(), vrf, &way);

	if ((r || way.error || !way.ifindex) && doctor_link_down(d, DEVICE_OUTSIDE))
		doctor_say(d, DOCTOR_WARNING, "there is no default route%s%s: %s is down", in, name,
			   doctor_link_down(d, DEVICE_OUTSIDE)->name);
	else if (r || way.error || !way.ifindex)
		doctor_say(d, DOCTOR_WARNING,
			   "there is no default route%s%s, so packets are translated only towards networks with a "
			   "route through an outside interface",
			   in, name);
	else if (!vrf && look_swapped(d, &way, inside))
		doctor_say(d, DOCTOR_FAILURE,
			   "inside and outside look swapped: %s leads to the subscribers, %s is the default route: "
			   "exchange them in the configuration and reload",
			   inside, way.name);
	else if (!doctor_leads(d, way.name, DEVICE_OUTSIDE))
		doctor_say(d, DOCTOR_WARNING,
			   "the default route%s%s leaves through %s, which is not an outside interface: nothing is "
			   "translated on it",
			   in, name, way.name);
	else
		doctor_say(d, DOCTOR_OK, "the default route%s%s leaves through %s", in, name, way.name);
}

void doctor_outside_route(struct doctor *d)
{
	uint32_t vrf[MOST_VRFS];
	size_t n = doctor_vrfs(d, DEVICE_INSIDE, vrf, ARRAY_SIZE(vrf));

	for (size_t i = 0; i < n; i++)
		outside_route_of(d, vrf[i]);
	if (!n)
		outside_route_of(d, 0);
}

void doctor_rules(struct doctor *d)
{
	enum routing routing;

	if (rules_read(d->netlink, AF_INET, &routing))
		doctor_say(d, DOCTOR_UNKNOWN, "the routing rules cannot be read");
	else if (routing == ROUTING_BY_MORE)
		doctor_say(d, DOCTOR_WARNING,
			   "routing rules on marks, ports, TOS or the like: XDP cannot follow them, so the kernel "
			   "forwards everything; 'ip rule' lists them, and 'explain' cannot follow them");
	else
		doctor_say(d, DOCTOR_OK, "%s",
			   routing == ROUTING_BY_DESTINATION ? "by destination only"
			   : routing == ROUTING_BY_INTERFACE ? "by interface, or of VRFs; XDP follows them"
							     : "by source or interface; XDP follows them");
}

static const char *link_name(const struct doctor *d, uint32_t ifindex)
{
	const struct link *l = link_find(&d->links, ifindex);

	return l ? l->name : "?";
}

/* Addresses that a pool may have, although no router delivers them to a gateway. */
static unsigned find_undeliverable_pools(struct doctor *d, struct prefix out)
{
	static const struct {
		struct prefix prefix;
		const char *what;
	} undeliverable[] = {
		{ { 0x00000000, 8 }, "reserved" },    { { 0x7f000000, 8 }, "loopback" },
		{ { 0xa9fe0000, 16 }, "link-local" }, { { 0xe0000000, 4 }, "multicast" },
		{ { 0xffffffff, 32 }, "broadcast" },
	};
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(undeliverable); i++) {
		char pool[INSIDE_TEXT], of[INSIDE_TEXT];

		if (!prefixes_overlap(out, undeliverable[i].prefix))
			continue;
		doctor_say(d, DOCTOR_WARNING,
			   "the pool %s overlaps the %s addresses %s, which routers do not forward: no answer from "
			   "beyond a router comes back; take addresses that are routed to the gateway",
			   prefix_text(out, pool), undeliverable[i].what, prefix_text(undeliverable[i].prefix, of));
		found++;
	}
	return found;
}

/* Whether it is the broadcast address of the address's network. */
static bool has_broadcast(struct prefix out, const struct address *a)
{
	return a->plen && a->plen < 31 && a->addr >> 24 != 127 && prefix_holds(out, a->addr | ~prefix_mask(a->plen));
}

/* Compares a mapping with an address of the gateway and its network. */
static unsigned compare(struct doctor *d, const struct config_mapping *m, const struct address *a)
{
	const struct prefix own = { .base = a->addr & prefix_mask(a->plen), .plen = a->plen };
	const char *name = link_name(d, a->ifindex);
	bool outside = doctor_interface(d, name, DEVICE_OUTSIDE) && !doctor_interface(d, name, DEVICE_INSIDE);
	char pool[INSIDE_TEXT], addr[INSIDE_TEXT];
	unsigned found = 0;

	prefix_text(m->out, pool);
	addr_format(a->addr, addr);
	if (prefix_holds(m->out, a->addr) && ++found)
		doctor_say(
			d, DOCTOR_WARNING,
			"the pool %s holds %s, the gateway's own address on %s: subscribers use the ports of the "
			"gateway's own connections; keep those out with net.ipv4.ip_local_reserved_ports, or take the "
			"address out of the pool",
			pool, addr, name);
	else if (a->plen && a->plen < 32 && prefix_within(own, m->out) && ++found)
		doctor_say(d, DOCTOR_WARNING,
			   "the pool %s covers the whole network of %s, neighbours included, whose addresses it takes",
			   pool, name);
	else if (has_broadcast(m->out, a) && ++found)
		doctor_say(d, DOCTOR_WARNING,
			   "the pool %s holds %s, the broadcast address of the network of %s: packets that subscribers "
			   "send from it get no answer; take it out of the pool",
			   pool, addr_format(a->addr | ~prefix_mask(a->plen), addr), name);
	if (outside && a->plen < 32 && prefixes_overlap(m->in, own) && ++found)
		doctor_say(
			d, DOCTOR_WARNING,
			"the inside addresses %s overlap the network of %s, which is outside: are inside and outside "
			"swapped?",
			inside_prefix_text(m->in, pool), name);
	return found;
}

struct neighbours_in_pools {
	struct doctor *d;
	unsigned found;
};

/* A host that has answered from an address of a pool, which subscribers also use. */
static void visit_neighbour(const struct nlmsghdr *h, void *arg)
{
	const unsigned known = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[NDA_LLADDR + 1];
	struct neighbours_in_pools *n = arg;
	char pool[INSIDE_TEXT], addr[INSIDE_TEXT];
	uint32_t host;

	if (h->nlmsg_type != RTM_NEWNEIGH || nd->ndm_family != AF_INET || !(nd->ndm_state & known))
		return;
	netlink_attributes(h, sizeof(*nd), attr, ARRAY_SIZE(attr));
	if (!attr[NDA_DST] || !attr[NDA_LLADDR])
		return;
	host = ntohl(mnl_attr_get_u32(attr[NDA_DST]));
	for (size_t i = 0; i < n->d->config->n_mappings; i++) {
		struct prefix out = n->d->config->mappings[i].out;

		if (prefix_is_none(out) || !prefix_holds(out, host) || n->found++ >= MOST_TOLD)
			continue;
		doctor_say(n->d, DOCTOR_WARNING,
			   "the pool %s holds %s, the address of a neighbour on %s: take it out of the pool, or both "
			   "answer for it",
			   prefix_text(out, pool), addr_format(host, addr), link_name(n->d, (uint32_t)nd->ndm_ifindex));
	}
}

static unsigned find_neighbours_in_pools(struct doctor *d)
{
	struct neighbours_in_pools n = { .d = d };

	/* The inside interfaces may have hundreds of thousands. */
	for (size_t i = 0; i < d->config->n_interfaces; i++) {
		const struct link *l = doctor_link(d, &d->config->interfaces[i]);
		struct nlmsghdr *h;

		if (!l || !(d->config->interfaces[i].roles & DEVICE_OUTSIDE))
			continue;
		h = netlink_request(d->netlink, RTM_GETNEIGH, NLM_F_DUMP, sizeof(struct ndmsg));
		((struct ndmsg *)mnl_nlmsg_get_payload(h))->ndm_family = AF_INET;
		mnl_attr_put_u32(h, NDA_IFINDEX, l->ifindex);
		netlink_call(d->netlink, visit_neighbour, &n);
	}
	return n.found;
}

void doctor_pools(struct doctor *d)
{
	unsigned found = find_neighbours_in_pools(d);

	for (size_t i = 0; i < d->config->n_mappings; i++) {
		if (prefix_is_none(d->config->mappings[i].out))
			continue;
		found += find_undeliverable_pools(d, d->config->mappings[i].out);
		for (size_t k = 0; k < d->n_addresses; k++)
			found += compare(d, &d->config->mappings[i], &d->addresses[k]);
	}
	if (!found)
		doctor_say(d, DOCTOR_OK, "no pool holds an address of the gateway or of a neighbour's network");
}

/* Inside addresses in the network of an address: subscribers that are neighbours there. */
static uint64_t neighbours_of(const struct config *c, const struct address *a)
{
	const struct prefix own = { .base = a->addr & prefix_mask(a->plen), .plen = a->plen };
	uint64_t sum = 0;

	for (size_t i = 0; i < c->n_mappings; i++) {
		struct prefix in = c->mappings[i].in;

		/* The mapping around an exception counts its addresses, too. */
		if (prefixes_overlap(in, own) && !config_find_around(c, c->mappings[i].tenant, in))
			sum += prefix_within(in, own) ? prefix_count(in) : prefix_count(own);
	}
	return sum;
}

void doctor_neighbours(struct doctor *d)
{
	uint64_t sum = 0;
	long long limit;

	for (size_t k = 0; k < d->n_addresses; k++)
		if (doctor_interface(d, link_name(d, d->addresses[k].ifindex), DEVICE_INSIDE))
			sum += neighbours_of(d->config, &d->addresses[k]);
	/* Only the initial network namespace has it. */
	if (!doctor_read_number(d, &limit, "/proc/sys/net/ipv4/neigh/default/gc_thresh3"))
		doctor_say(d, DOCTOR_UNKNOWN, "the limit is not shown in this network namespace");
	else if (sum > (uint64_t)limit)
		doctor_say(d, DOCTOR_WARNING,
			   "%llu subscribers can be neighbours, and the kernel keeps %lld: sysctl -w "
			   "net.ipv4.neigh.default.gc_thresh2=%llu net.ipv4.neigh.default.gc_thresh3=%llu",
			   (unsigned long long)sum, limit, (unsigned long long)sum, (unsigned long long)sum * 2);
	else
		doctor_say(d, DOCTOR_OK, "room for %lld, %llu can be neighbours", limit, (unsigned long long)sum);
}
