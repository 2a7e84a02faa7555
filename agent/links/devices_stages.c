/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether two stages could handle the traffic of the interfaces, see <detnat/stages.h>. */
#include <linux/if_link.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "links/devices_private.h"
#include "routing/forwarding.h"

static const char *routing_obstacle(const struct devices *v)
{
	if (route_limits_tos(&v->limits))
		return "there are routes of a TOS";
	if (v->routing == ROUTING_BY_MORE)
		return "there are routing rules that XDP cannot follow";
	if (v->routing != ROUTING_BY_DESTINATION)
		return "there are routing rules";
	if (route_limits_by_path())
		return "net.ipv4.ip_forward_use_pmtu is set";
	return NULL;
}

/* Whether an interface runs generic XDP, or most likely will when it is attached. */
static bool is_generic(const struct devices *v, const struct interface *i, const struct link *l, enum xdp_mode mode)
{
	if (mode != XDP_MODE_AUTO)
		return mode == XDP_MODE_SKB;
	/* A switch from generic XDP tries native XDP. */
	if (v->applied && v->xdp.mode == XDP_MODE_SKB)
		return false;
	return i && i->attachment != DEVICE_ABSENT ? i->attachment == DEVICE_XDP_SKB
						   : l->xdp.attached == XDP_ATTACHED_SKB;
}

/* The obstacle on an interface with that link; i: its known state, or NULL. NULL: no obstacle. */
static const char *link_obstacle(const struct devices *v, const struct interface *i, const struct link *l,
				 struct xdp_wish xdp)
{
	/* Ports of a bond are not asked for: it runs XDP before it has any. */
	const struct link_list none = { 0 };

	if (link_is_vlan(l))
		return "is a VLAN interface";
	if (xdp_mode_is_without(xdp.mode) || xdp_gives_way(&none, l, &xdp) || (i && i->attachment == DEVICE_TC) ||
	    (!i && xdp.mode == XDP_MODE_AUTO && why_no_xdp(&v->own, l, xdp.dispatcher)))
		return "runs no XDP";
	if (is_generic(v, i, l, xdp.mode))
		return "runs XDP in generic mode";
	if (!i)
		return NULL;
	if (i->health.refusing)
		return "refuses redirected frames";
	if (i->forwarding_off)
		return "has forwarding switched off";
	return i->no_port ? "cannot be entered as a port, see the log" : NULL;
}

/* The same for an interface of a configuration. An absent one is no obstacle. */
static const char *interface_obstacle(const struct devices *v, const struct config_interface *wanted,
				      struct xdp_wish xdp)
{
	const struct interface *i = interfaces_find(&v->interfaces, wanted->name);
	struct link l;

	/* Even before one appears: the programs do not change with each interface. */
	if (strchr(wanted->name, '*') && (interface_is_any(wanted->name) || xdp.mode != XDP_MODE_NATIVE))
		return "may match interfaces without native XDP";
	if (wanted->roles == (DEVICE_INSIDE | DEVICE_OUTSIDE))
		return "is inside and outside";
	if (i && i->link.ifindex)
		return link_obstacle(v, i, &i->link, xdp);
	/* devices_sync() notices when it appears. */
	if ((i && v->applied) || link_by_name(v->netlink, wanted->name, &l))
		return NULL;
	return link_obstacle(v, i, &l, xdp);
}

void devices_stages_obstacle(const struct devices *v, const struct config *c, char *text, size_t size)
{
	const char *why = c->n_tenants ? "there are tenants" : routing_obstacle(v);

	if (why) {
		snprintf(text, size, "%s", why);
		return;
	}
	for (size_t k = 0; k < c->n_interfaces; k++) {
		why = interface_obstacle(v, &c->interfaces[k], config_interface_xdp(&c->interfaces[k], config_xdp(c)));
		if (!why)
			continue;
		snprintf(text, size, "%s %s", c->interfaces[k].name, why);
		return;
	}
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		why = i->pattern[0] && i->link.ifindex ? link_obstacle(v, i, &i->link, i->xdp) : NULL;
		if (!why)
			continue;
		snprintf(text, size, "%s %s", i->name, why);
		return;
	}
	*text = '\0';
}
