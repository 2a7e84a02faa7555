/* SPDX-License-Identifier: BSD-2-Clause */
/* What the other rooms, and the copy of the routes, ask about interfaces and routing. */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "base/log.h"
#include "links/devices_private.h"

enum device_attachment devices_attachment(const struct devices *v, const char *name)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	return i ? i->attachment : DEVICE_ABSENT;
}

const char *devices_without_xdp(const struct devices *v, const char *name)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	return i && i->attachment == DEVICE_TC ? i->without_xdp : NULL;
}

const char *devices_link_name(const struct devices *v, const char *name)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	return i && i->link.ifindex ? i->link.name : NULL;
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
	size_t length = strlen(name);

	*ret_grave = true;
	if (!i)
		return NULL;
	if (i->problem[0])
		return i->problem;
	/* The text begins with the name of its interface. */
	if (!strncmp(v->plan_problem, name, length) && v->plan_problem[length] == ':')
		return v->plan_problem;
	*ret_grave = false;
	return i->name_note[0] ? i->name_note : NULL;
}

bool devices_shared(const struct devices *v, const char *name)
{
	return false;
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

/* The copy says nothing of these: then the kernel is asked. Rules and TOS have the programs replaced, too. */
void devices_hold_copy(struct devices *v)
{
	route_copy_hold(v->copy, ROUTE_COPY_RULES, v->rules_dirty || devices_routing(v) != ROUTING_BY_DESTINATION);
	route_copy_hold(v->copy, ROUTE_COPY_PATH_MTU, route_limits_by_path());
	route_copy_hold(v->copy, ROUTE_COPY_FORWARDING_OFF, any_forwarding_off(v));
	route_copy_hold(v->copy, ROUTE_COPY_SYNC, !v->applied);
}

uint8_t devices_tc(const struct devices *v, const struct config *c)
{
	uint8_t tc = 0;

	for (size_t k = 0; k < c->n_interfaces; k++) {
		const struct config_interface *wanted = &c->interfaces[k];
		const struct interface *i = interfaces_find(&v->interfaces, wanted->name);
		enum xdp_mode mode = config_interface_mode(c, wanted);
		struct link l;
		bool there = i && i->link.ifindex, bare;

		bare = there ? link_is_bare(&i->link) : !link_by_name(v->netlink, wanted->name, &l) && link_is_bare(&l);
		if (mode == XDP_MODE_NONE || bare || (mode == XDP_MODE_AUTO && there && i->attachment == DEVICE_TC))
			tc |= TC_ALONE;
		if (bare && wanted->roles & DEVICE_OUTSIDE)
			tc |= TC_BARE;
	}
	return tc;
}

struct rp_summary devices_rp_filters(const struct devices *v, const struct config *c)
{
	_cleanup_free_ struct rp_filters *filters = NULL;
	struct rp_summary summary = { 0 };
	int r = rp_filters_read(v->netlink, &filters);

	if (r)
		log_debug("the reverse-path filters cannot be read: %s", strerror(-r));
	for (size_t k = 0; k < c->n_interfaces; k++)
		rp_summary_add(&summary, c->interfaces[k].roles,
			       rp_filter_of(filters, if_nametoindex(c->interfaces[k].name)));
	return summary;
}
