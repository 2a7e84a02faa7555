/* SPDX-License-Identifier: BSD-2-Clause */
/* Findings about the ways of packets to a subscriber and back: interfaces, routes, the guard, reverse-path filters. */
#include <inttypes.h>
#include <net/if.h>
#include <string.h>

#include "diagnosis/explain_private.h"
#include "base/virtual6.h"
#include "guard/guard.h"
#include "links/devices.h"
#include "routing/forwarding.h"

/* Older drops by the guard are not reported. */
#define GUARD_LATELY_S 60

/* The least MTU of IPv6, and octets by which packets grow on their way inwards. */
#define IPV6_MIN_MTU 1280U
#define IPV6_GROWTH  20U

/* An interface that is not there: by its name, or it does not come up. */
static void add_absent(const struct explanation *e, cJSON *list, const char *interface, const char *role)
{
	const struct kernel_way *way = *role == 'o' ? &e->way_out : &e->way_in;
	bool read = *role == 'o' ? way->addr : kernel_way_is_read(way);
	bool past = read && !way->error && !way->local && way->ifindex &&
		    !devices_configured_name(e->context->devices, way->name);
	char addr[INSIDE_TEXT];

	if (if_nametoindex(interface))
		explain_add(list, true, "interface",
			    "bring it up, or remove it with detnatctl interface del; the log has the reason",
			    "the %s interface %s is not attached: nothing that crosses it is translated", role,
			    interface);
	else if (past)
		explain_add(list, true, "interface", "correct the name in the configuration and reload",
			    "there is no interface %s (%s); packets to %s leave by %s", interface, role,
			    kernel_way_addr(way, addr), way->name);
	else
		explain_add(list, true, "interface",
			    "correct the name in the configuration and reload; if it appears later, it is attached "
			    "then",
			    "there is no interface %s (%s): nothing that crosses it is translated", interface, role);
}

static void add_role(const struct explanation *e, cJSON *list, uint8_t role, const char *name)
{
	const struct parts *a = e->context;
	unsigned there = 0, absent = 0, down = 0;

	for (size_t i = 0; i < a->active->config->n_interfaces; i++) {
		const struct config_interface *c = &a->active->config->interfaces[i];

		if (!(c->roles & role))
			continue;
		if (devices_attachment(a->devices, c->name) != DEVICE_ABSENT) {
			there++;
			down += devices_is_down(a->devices, c->name);
			continue;
		}
		absent++;
		add_absent(e, list, c->name, name);
	}
	if (!there && !absent)
		explain_add(list, true, "interface", "detnatctl interface add NAME inside|outside",
			    "there is no %s interface: nothing is translated", name);
	if (there && down == there)
		explain_add(list, true, "interface", "bring one up; detnatctl interface list says why each is down",
			    "no %s interface is up: nothing is translated", name);
}

void explain_add_interfaces(const struct explanation *e, cJSON *list)
{
	const struct parts *a = e->context;

	add_role(e, list, DEVICE_INSIDE, "inside");
	add_role(e, list, DEVICE_OUTSIDE, "outside");
	for (size_t i = 0; i < a->active->config->n_interfaces; i++) {
		const char *name = a->active->config->interfaces[i].name, *link = devices_link_name(a->devices, name);
		bool grave;
		const char *problem = devices_problem(a->devices, name, &grave);

		if (link && forwarding_is_off(link))
			explain_add(list, true, "forwarding",
				    "sysctl net.ipv4.ip_forward=1, or for that interface only",
				    "the kernel does not forward packets that arrive through %s", link);
		if (problem && (link || grave))
			explain_add(list, grave, "interface", "", "%s: %s", name, problem);
	}
}

static bool guard_stands(const struct explanation *e)
{
	return e->context->active->config->guard && !guard_problem(e->context->guard);
}

static bool is_bypassed(const struct config *c, uint32_t addr)
{
	for (size_t i = 0; i < c->n_bypass; i++)
		if (prefix_holds(c->bypass[i], addr))
			return true;
	return false;
}

/* Reports a route through an interface that lacks the required role. */
static void add_wrong_role(const struct explanation *e, cJSON *list, const struct kernel_way *way, bool in,
			   uint8_t roles)
{
	/* With both roles, an interface lets senders from outside open sessions in the name of subscribers. */
	const char *advice = roles ? "check the routes, or correct the roles in the configuration and reload"
				   : "check the routes, or give the interface its role with detnatctl interface add";
	bool guarded = !roles && guard_stands(e) && (in || !is_bypassed(e->context->active->config, way->addr));
	char addr[INSIDE_TEXT];

	kernel_way_addr(way, addr);
	if (in && guarded)
		explain_add(list, true, "drop_guard_out", advice,
			    "packets to %s leave through %s, which is not an inside interface: packets from there "
			    "through it are not translated, and the guard drops them where they would leave",
			    addr, way->name);
	else if (in)
		explain_add(list, true, "route", advice,
			    "packets to %s leave through %s, which is not an inside interface: packets from there "
			    "through it are not translated, so no answer finds its way back",
			    addr, way->name);
	else if (guarded)
		explain_add(list, true, "drop_guard_out", advice,
			    "packets to %s leave through %s, which is not an outside interface: they are not "
			    "translated, and the guard drops them",
			    addr, way->name);
	else
		explain_add(list, !is_bypassed(e->context->active->config, way->addr), "passed_untranslated", advice,
			    "packets to %s leave through %s, which is not an outside interface: they are not "
			    "translated, so no answer finds its way back",
			    addr, way->name);
}

void explain_add_guard(const struct explanation *e, cJSON *list)
{
	const char *problem = guard_problem(e->context->guard);
	int64_t ago = guard_last_drop(e->context->guard);

	if (!e->context->active->config->guard)
		explain_add(list, false, "guard", "\"guard\": true in the configuration stops both",
			    "\"guard\" is false: packets routed past detnat's interfaces leave with their inside "
			    "source, and what comes straight to an inside address is let in");
	else if (problem)
		explain_add(list, false, "guard", "detnatctl status says more",
			    "the guard is not in place: %s; packets routed past detnat's interfaces leave with their "
			    "inside source",
			    problem);
	else if (ago >= 0 && ago <= GUARD_LATELY_S)
		explain_add(list, false, "drop_guard_out",
			    "detnatctl stats shows the direction; compare `ip route get` with detnatctl interface list",
			    "the guard has dropped packets of some subscriber %" PRId64
			    " s ago: they were routed past the interfaces that translate",
			    ago);
}

/* As in bpf/slow/in2out_tc.h. */
static bool is_from_anywhere(const struct datapath *d, uint32_t ifindex)
{
	return d->settings.inside_from == INSIDE_ANY ||
	       (d->settings.inside_from == INSIDE_BEYOND && ifindex >= MAX_IFINDEX);
}

/* What only the way to a host of an IPv6 subscriber can lack. */
static void add_way6(const struct explanation *e, cJSON *list, const struct kernel_way *way)
{
	char addr[INSIDE_TEXT];

	kernel_way_addr(way, addr);
	if (forwarding6_is_off())
		explain_add(list, !e->copied_in, "forwarding",
			    "sysctl net.ipv6.conf.all.forwarding=1, and keep it in /etc/sysctl.d",
			    "the kernel does not forward IPv6: nothing reaches %s where it is asked for the way", addr);
	if (way->mtu && way->mtu < IPV6_MIN_MTU)
		explain_add(list, true, "mtu", "give the interface, or the route, an MTU of 1280 or more",
			    "the MTU of the way to %s through %s is %u, and IPv6 has none below %u (RFC 8200 section "
			    "5)",
			    addr, way->name, way->mtu, IPV6_MIN_MTU);
}

void explain_add_lengths(const struct explanation *e, cJSON *list)
{
	const struct kernel_way *way = &e->way_in;
	char addr[INSIDE_TEXT];

	if (kernel_way_is_ipv6(way) && way->mtu >= IPV6_MIN_MTU && way->mtu < 1500 + IPV6_GROWTH &&
	    !e->context->active->config->tcp_mss_clamp)
		explain_add(list, false, "mtu", "set tcp_mss_clamp to \"mtu\", or the MTU to 1520",
			    "packets of more than %u octets from outside are too long for %s, whose way has an MTU of "
			    "%u, as IPv6 has longer headers: their senders are told, where they listen",
			    way->mtu - IPV6_GROWTH, kernel_way_addr(way, addr), way->mtu);
}

static uint8_t roles_of(const struct explanation *e, const struct kernel_way *way)
{
	return way->ifindex && way->ifindex < MAX_IFINDEX ? e->context->datapath->device[way->ifindex].roles : 0;
}

/* Each way leaves by an interface that has the other's role alone. */
static bool add_swapped(const struct explanation *e, cJSON *list)
{
	if (!kernel_way_is_read(&e->way_in) || !e->way_out.addr || e->way_in.error || e->way_out.error ||
	    roles_of(e, &e->way_in) != DEVICE_OUTSIDE || roles_of(e, &e->way_out) != DEVICE_INSIDE)
		return false;
	explain_add(list, true, "interface", "exchange them in the configuration and reload",
		    "inside and outside look swapped: %s leads to the subscribers, %s is the default route",
		    e->way_in.name, e->way_out.name);
	return true;
}

static void add_way(const struct explanation *e, cJSON *list, const struct kernel_way *way, bool in)
{
	const struct datapath *d = e->context->datapath;
	uint8_t roles = roles_of(e, way);
	char addr[INSIDE_TEXT], next_hop[INSIDE_TEXT];

	kernel_way_addr(way, addr);
	kernel_way_next_hop(way, next_hop);
	if (way->error == -ENODEV) {
		explain_add(
			list, true, "route", "make the VRF, and put the inside interfaces into it",
			"the VRF of the tenant does not exist, or has none of its interfaces: nothing is sent to %s",
			addr);
		return;
	}
	if (way->error) {
		explain_add(list, true, in ? "route" : "drop_unreachable",
			    "add a route, or remove the one that refuses it", "the kernel has no route to %s: %s", addr,
			    strerror(-way->error));
		return;
	}
	if (way->local) {
		explain_add(list, false, "passed_untranslated",
			    in ? "give subscribers other addresses than the gateway" : "",
			    "%s is the gateway's own address: packets to and from it are not translated", addr);
		return;
	}
	if (!(roles & (in ? DEVICE_INSIDE : DEVICE_OUTSIDE)) && (!in || roles || !is_from_anywhere(d, way->ifindex)))
		add_wrong_role(e, list, way, in, roles);
	if (!way->up)
		explain_add(list, true, "interface", "check the cable and the switch",
			    "%s, through which %s is reached, is down", way->name, addr);
	if (way->neighbour == NEIGHBOUR_FAILED || way->neighbour == NEIGHBOUR_INCOMPLETE)
		explain_add(list, true, "neighbour",
			    kernel_way_is_ipv6(way)
				    ? "is it on, at that address, and behind that interface? try ping -6 or ndisc6"
				    : "is it on, at that address, and behind that interface? try arping",
			    "%s on %s does not answer to %s: packets to %s wait for it and are dropped", next_hop,
			    way->name, kernel_way_is_ipv6(way) ? "neighbour discovery" : "ARP", addr);
	if (kernel_way_is_ipv6(way))
		add_way6(e, list, way);
}

/* An interface with one of the roles, other than that of the route, whose reverse-path filter is strict; or NULL. */
static const char *strict_beside(const struct explanation *e, const struct kernel_way *way, uint8_t roles)
{
	const struct parts *a = e->context;

	for (size_t i = 0; i < a->active->config->n_interfaces; i++) {
		const struct config_interface *c = &a->active->config->interfaces[i];
		const char *link = devices_link_name(a->devices, c->name);
		uint32_t ifindex = link ? if_nametoindex(link) : 0;

		if (c->roles == roles && ifindex && ifindex < MAX_IFINDEX && ifindex != way->ifindex &&
		    a->datapath->device[ifindex].rp_filter == RP_FILTER_STRICT)
			return link;
	}
	return NULL;
}

/* Drops of packets that were, or would be, translated: the kernel's filter checks the route back to the sender. */
static void add_reverse_paths(const struct explanation *e, cJSON *list)
{
	const char *advice =
		"the filter must be 2 (loose) where packets come and go through several interfaces: sysctl "
		"net.ipv4.conf.NAME.rp_filter, and that of all, of which the greater counts";
	const char *inside = kernel_way_is_read(&e->way_in) ? strict_beside(e, &e->way_in, DEVICE_INSIDE) : NULL;
	const char *outside = e->way_out.addr ? strict_beside(e, &e->way_out, DEVICE_OUTSIDE) : NULL;
	char addr[INSIDE_TEXT];

	if (inside && !e->way_in.error)
		explain_add(
			list, false, "drop_martian", advice,
			"packets from %s through %s are dropped, as rp_filter is 1 (strict) there and the route back "
			"is through %s",
			inside_text(e->in_addr, addr), inside, e->way_in.name);
	if (outside && !e->way_out.error)
		explain_add(list, false, "rp_filter", advice,
			    "answers of %s that come through %s are translated and then dropped by the kernel, whose "
			    "rp_filter is 1 (strict) there, as the route to their sender is through %s; nstat counts "
			    "them as TcpExtIPReversePathFilter",
			    addr_format(e->way_out.addr, addr), outside, e->way_out.name);
}

void explain_add_ways(const struct explanation *e, cJSON *list)
{
	if (add_swapped(e, list))
		return;
	if (kernel_way_is_read(&e->way_in))
		add_way(e, list, &e->way_in, true);
	if (e->way_out.addr)
		add_way(e, list, &e->way_out, false);
	add_reverse_paths(e, list);
}
