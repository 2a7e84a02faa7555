/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers questions of the other rooms, and of the copy of the routes, about interfaces and routing. */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "base/log.h"
#include "links/devices_private.h"
#include "links/interfaces_patterns.h"

bool devices_tc_sends(const struct devices *v, const char *name)
{
	const struct interface *i = devices_example(v, name);

	return !interface_is_any(name) && i && interface_sends(i);
}

enum device_attachment devices_attachment(const struct devices *v, const char *name)
{
	const struct interface *i = devices_example(v, name);

	return interface_is_any(name) ? DEVICE_TC : i ? i->attachment : DEVICE_ABSENT;
}

const char *devices_without_xdp(const struct devices *v, const char *name)
{
	const struct interface *i = devices_example(v, name);

	if (interface_is_any(name))
		return "matches any interface that packets come from";
	return i && i->attachment == DEVICE_TC ? i->without_xdp : NULL;
}

const struct share_answer *devices_share(const struct devices *v, const char *name)
{
	return devices_share_of(v, devices_example(v, name));
}

const char *devices_link_name(const struct devices *v, const char *name)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	return i && i->link.ifindex ? i->link.name : NULL;
}

struct config *devices_present(const struct devices *v, const struct config *c)
{
	struct config *copy = config_clone(c);

	for (size_t k = 0; copy && v && k < copy->n_interfaces; k++) {
		char *name = copy->interfaces[k].name;
		const char *now = devices_link_name(v, name);

		if (now)
			snprintf(name, sizeof(copy->interfaces[k].name), "%s", now);
	}
	return copy;
}

const char *devices_configured_name(const struct devices *v, const char *link_name)
{
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		if (!i->hidden && i->link.ifindex && !strcmp(i->link.name, link_name))
			return i->name;
	}
	return NULL;
}

const char *devices_problem(const struct devices *v, const char *name, bool *ret_grave)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	*ret_grave = false;
	if (i) {
		const char *problem = devices_problem_of(v, i, ret_grave);

		if (problem)
			return problem;
		return i->link.ifindex ? link_down_reason(&i->link) : "there is no such interface";
	}
	return interface_is_pattern(name) && v->applied && !devices_matches(v, name) ? "no interface matches now"
										     : NULL;
}

bool devices_is_down(const struct devices *v, const char *name)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	return i && i->link.ifindex && link_down_reason(&i->link);
}

const char *devices_problem_of(const struct devices *v, const struct interface *i, bool *ret_grave)
{
	const char *name = i->name;
	size_t length = strlen(name);

	*ret_grave = true;
	if (i->problem[0])
		return i->problem;
	if (i->displaced_note[0]) {
		*ret_grave = i->shut;
		return i->displaced_note;
	}
	/* The text begins with the name of its interface. */
	if (!strncmp(v->plan_problem, name, length) && v->plan_problem[length] == ':')
		return v->plan_problem;
	if (i->xdp.must && i->roles && i->attachment == DEVICE_TC && !interface_wants_tc(i))
		return "IPv6 subscribers need XDP here, or the xdp_mode \"tc\": none of their packets is translated";
	*ret_grave = false;
	if (devices_share_of(v, i) && devices_share_of(v, i)->unpinned)
		return "libxdp's pins of its dispatcher are gone: detnat's program stays, but libxdp changes nothing "
		       "there "
		       "until 'xdp-loader unload INTERFACE --all'";
	return i->name_note[0] ? i->name_note : NULL;
}

int devices_check_names(const struct devices *v, const struct config *c, struct error *err)
{
	for (size_t k = 0; k < c->n_interfaces; k++) {
		const char *name = c->interfaces[k].name, *followed = devices_configured_name(v, name);

		if (!followed || !strcmp(followed, name) || !config_find_interface(c, followed) ||
		    interfaces_find(&v->interfaces, name))
			continue;
		return error_set(err, -EEXIST,
				 "%s is %s of the configuration, renamed since; use only one of the two names", name,
				 followed);
	}
	return 0;
}

enum routing devices_routing(const struct devices *v)
{
	return route_limits_tos(&v->limits) ? ROUTING_BY_MORE : v->routing;
}

const struct route_copy *devices_routes(const struct devices *v)
{
	return v->copy;
}

bool devices_route_mtus(const struct devices *v)
{
	return route_limits_mtu(&v->limits);
}

static bool any_forwarding_off(const struct devices *v)
{
	for (size_t k = 0; k < v->interfaces.count; k++)
		if (v->interfaces.list[k].roles && v->interfaces.list[k].forwarding_off)
			return true;
	return false;
}

/* The copy lacks these: the kernel is then asked. Rules and TOS also cause the programs to be replaced. */
void devices_hold_copy(struct devices *v)
{
	route_copy_hold(v->copy, ROUTE_COPY_RULES, v->rules_dirty || devices_routing(v) != ROUTING_BY_DESTINATION);
	route_copy_hold(v->copy, ROUTE_COPY_PATH_MTU, route_limits_by_path());
	route_copy_hold(v->copy, ROUTE_COPY_FORWARDING_OFF, any_forwarding_off(v));
	route_copy_hold(v->copy, ROUTE_COPY_SYNC, !v->applied);
}

/*
 * Whether XDP gives way on a link to tc that sends. One that is absent may come back as such a link; what stands on
 * others is judged by them.
 */
static bool gives_way(const struct devices *v, const struct link *l, const struct xdp_wish *wish)
{
	_cleanup_free_ struct link *links = NULL;
	struct link_list all = { 0 };
	const struct link *carrier;

	if (!xdp_may_give_way(wish) || !l->ifindex)
		return xdp_may_give_way(wish);
	if (link_is_stacked(l) && !links_read(v->netlink, &links, &all.count))
		all.link = links;
	carrier = link_is_vlan(l) ? vlan_carrier(&all, l) : NULL;
	return xdp_gives_way(&all, carrier ?: l, wish);
}

uint8_t devices_tc(const struct devices *v, const struct config *c)
{
	uint8_t tc = 0;

	for (size_t k = 0; k < c->n_interfaces; k++) {
		const struct config_interface *wanted = &c->interfaces[k];
		const struct interface *i = interfaces_find(&v->interfaces, wanted->name);
		struct xdp_wish xdp = config_interface_xdp(wanted, config_xdp(c));
		enum xdp_mode mode = xdp.mode;
		struct link l;
		bool there = i && i->link.ifindex, egress = wants_egress(wanted->roles, wanted->tenant), bare, without;

		if (interface_is_any(wanted->name))
			continue;
		/* Loaded before such an interface appears. */
		if (interface_is_pattern(wanted->name) && mode != XDP_MODE_NATIVE && mode != XDP_MODE_SKB)
			tc |= (mode == XDP_MODE_TC ? TC_REDIRECTS : TC_ALONE) | (egress ? TC_BARE : 0) |
			      (gives_way(v, &(struct link){ 0 }, &xdp) ? TC_REDIRECTS : 0);
		if (there)
			l = i->link;
		else if (link_by_name(v->netlink, wanted->name, &l))
			l = (struct link){ 0 };
		bare = l.ifindex && link_is_bare(&l);
		/* Before it is attached, the programs that it carries decide. */
		without = there ? i->attachment == DEVICE_TC : l.ifindex && why_no_xdp(&v->own, &l, xdp.dispatcher);
		/* Whether libxdp's dispatcher takes detnat's program is known only when it is asked. */
		without |= xdp.dispatcher == DISPATCHER_LIBXDP;
		if (mode == XDP_MODE_TC || gives_way(v, &l, &xdp))
			tc |= TC_REDIRECTS;
		else if (mode == XDP_MODE_NONE || bare || (mode == XDP_MODE_AUTO && without))
			tc |= TC_ALONE;
		if (bare && egress)
			tc |= TC_BARE;
	}
	return tc;
}

/* Adds the interfaces that match patterns and are not named themselves. */
static void add_matches(const struct devices *v, const struct config *c, const struct rp_filters *filters,
			struct rp_summary *summary)
{
	_cleanup_free_ struct link *links = NULL;
	size_t n_links = 0, n = 0;
	_cleanup_free_ struct config_interface *patterns = devices_patterns_of(c, &n);

	if (!patterns || !n || links_read(v->netlink, &links, &n_links))
		return;
	for (size_t k = 0; k < n_links; k++) {
		const struct config_interface *pattern = pattern_for(patterns, n, &links[k]);

		if (pattern && !config_find_interface(c, links[k].name))
			rp_summary_add(summary, pattern->roles, rp_filter_of(filters, links[k].ifindex),
				       link_vrf(&links[k]) != 0);
	}
}

struct rp_summary devices_rp_filters(const struct devices *v, const struct config *c)
{
	_cleanup_free_ struct rp_filters *filters = NULL;
	struct rp_summary summary = { 0 };
	int r = rp_filters_read(v->netlink, &filters);

	if (r)
		log_debug("the reverse-path filters cannot be read: %s", strerror(-r));
	for (size_t k = 0; k < c->n_interfaces; k++) {
		struct link l;

		if (strchr(c->interfaces[k].name, '*'))
			continue;
		if (link_by_name(v->netlink, c->interfaces[k].name, &l))
			l = (struct link){ 0 };
		rp_summary_add(&summary, c->interfaces[k].roles, rp_filter_of(filters, l.ifindex), link_vrf(&l) != 0);
	}
	add_matches(v, c, filters, &summary);
	return summary;
}

/* The forwarding in force: by XDP's redirects, or by the kernel, and the reason. */

/* Why the running programs redirect nothing at all. */
static const char *none_redirected(const struct devices *v, const struct config *c)
{
	if (v->datapath->settings.redirect)
		return NULL;
	if (c->forwarding == FORWARDING_KERNEL)
		return "configured";
	return route_limits_tos(&v->limits) ? "routes of a TOS" : "routing rules on marks, ports or the like";
}

const char *devices_kernel_forwards(const struct devices *v, const struct config *c, const char *name)
{
	const char *why = none_redirected(v, c), *first = NULL;

	if (why)
		return why;
	if (name) {
		const struct interface *i = devices_example(v, name);

		if (interface_is_any(name))
			return "no XDP";
		return i ? interface_unable(&v->interfaces, i) : "not attached";
	}
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		if (!i->roles || i->attachment == DEVICE_ABSENT)
			continue;
		why = interface_unable(&v->interfaces, i);
		if (!why)
			return NULL;
		if (!first)
			first = why;
	}
	return first;
}
