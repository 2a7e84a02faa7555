/* SPDX-License-Identifier: BSD-2-Clause */
/* Updates interfaces, records, routes and settings to match the present state of the machine. */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "base/log.h"
#include "base/trouble.h"
#include "links/devices_private.h"
#include "routing/routes.h"

/* Seconds before programs that others detached are attached again, in case the others insist. */
#define REPAIR_S 5U

static void complain(struct devices *v, struct interface *i, const struct error *err)
{
	if (strcmp(i->problem, err->text))
		log_error("%s; retrying every %u seconds", err->text, REPAIR_S);
	snprintf(i->problem, sizeof(i->problem), "%s", err->text);
	i->dirty = true;
	devices_schedule_sync(v, REPAIR_S * 1000);
}

static void repair(struct devices *v, struct interface *i, bool returned)
{
	/* Those that are stacked on others are planned. */
	const struct link_list none = { 0 };
	bool was_attached = i->attachment != DEVICE_ABSENT;
	struct error err;
	int r;

	i->shut = true;
	guard_shut(v->guard, i->link.ifindex);
	if (!returned && (monotonic_s() < i->attached_s + REPAIR_S || devices_is_resting(v, i))) {
		i->dirty = true;
		devices_schedule_sync(v, REPAIR_S * 1000);
		return;
	}
	if (was_attached) {
		devices_displaced(v, i);
		devices_tell(i, LOG_LEVEL_WARNING, "interface-detached",
			     "the programs were detached by something else");
	}
	/* Otherwise `auto` tries XDP first: the programs for tc alone may not be loaded. */
	if (returned && (xdp_mode_is_without(i->xdp.mode) || xdp_gives_way(&none, &i->link, &i->xdp)))
		interface_without_xdp(&v->own, &none, i);
	r = interface_check(v->netlink, i, &v->own, &err);
	/* sync_plan() replaces XDP by tc. */
	if (r && i->xdp.mode == XDP_MODE_AUTO && !i->without_xdp[0] && !link_check(&i->link, NULL)) {
		i->attachment = DEVICE_ABSENT;
		return;
	}
	if (!r) {
		devices_record_begin(v, i);
		r = devices_attach_egress(v, i, &err);
	}
	if (!r)
		r = devices_attach_ingress(v, i, &err);
	if (!r)
		r = devices_settle_tc(v, i, &err);
	i->attached_s = monotonic_s();
	i->shut = !r && devices_is_resting(v, i);
	if (r) {
		i->attachment = DEVICE_ABSENT;
		if (r != -ENODEV) {
			complain(v, i, &err);
			return;
		}
		i->dirty = true;
		devices_schedule_sync(v, MONITOR_QUIET_MS);
		return;
	}
	if (!was_attached)
		log_write(i->pattern[0] ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s: %s attached, %s", i->name,
			  returned ? "back," : "now",
			  interface_sends(i)		       ? "tc that redirects"
			  : i->attachment == DEVICE_TC	       ? "tc alone"
			  : i->attachment == DEVICE_XDP_NATIVE ? "native XDP"
							       : "generic XDP");
	devices_tell(i, LOG_LEVEL_INFO, "interface-attached", "the programs are attached");
	i->problem[0] = '\0';
	if (!i->carrier && interface_has_xdp(i))
		redirects_start(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health);
}

/*
 * Reads the link of an interface: the same link as before, even if renamed, else the one that has its name now. 0;
 * -ENODEV if there is none; or -errno.
 */
static int read_link(struct devices *v, struct interface *i, struct link *ret)
{
	struct link named = { 0 };
	int r = i->link.ifindex ? link_by_index(v->netlink, i->link.ifindex, ret) : -ENODEV, by_name = -ENODEV;

	if (r && r != -ENODEV)
		return r;
	if (!r && i->pattern[0] && !devices_still_matches(v, i, ret)) {
		guard_shut(v->guard, i->link.ifindex);
		devices_lost(v, i);
		return -ENODEV;
	}
	if (r && i->link.ifindex) {
		if (i->pattern[0])
			log_debug("%s: the interface is gone", i->name);
		else
			log_warning("%s: the interface is gone; waiting for one of that name", i->name);
		devices_tell(i, LOG_LEVEL_WARNING, "interface-gone", "the interface is gone");
		devices_lost(v, i);
	}
	/* Interfaces below VLAN interfaces are not named in the configuration. */
	if (!r && i->hidden)
		memcpy(i->name, ret->name, sizeof(i->name));
	if (r || strcmp(ret->name, i->name))
		by_name = link_by_name(v->netlink, i->name, &named);
	if (by_name && by_name != -ENODEV)
		return by_name;
	if (!r)
		i->link = *ret;
	interface_tell_name(&v->interfaces, i, by_name ? NULL : &named);
	if (!r || by_name || interfaces_find_index(&v->interfaces, named.ifindex))
		return r;
	*ret = named;
	return 0;
}

/* Takes the programs off an interface that has left its tenant's VRF, and waits for it to come back. */
static void leave_vrf(struct devices *v, struct interface *i, const struct error *why)
{
	guard_shut(v->guard, i->link.ifindex);
	i->misplaced = true;
	if (i->attachment != DEVICE_ABSENT) {
		interface_detach(v->netlink, v->datapath, &v->own, i->link.ifindex, NULL);
		redirects_stop(v->redirects, i->link.ifindex);
		monitor_raise_epoch(v->monitor);
		devices_tell(i, LOG_LEVEL_WARNING, "interface-detached", "it has left the VRF of its tenant");
	}
	i->attachment = DEVICE_ABSENT;
	complain(v, i, why);
}

/* Its link has gone down or come up: former is what was known, of an interface that was there. */
static void tell_link(const struct interface *i, const struct link *former)
{
	const char *was = link_down_reason(former), *is = link_down_reason(&i->link);

	if (!was == !is)
		return;
	if (is)
		log_warning("%s: %s", i->name, is);
	else
		log_info("%s: up again", i->name);
	devices_tell(i, is ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, is ? "interface-down" : "interface-up",
		     is ? is : "up again");
}

/* True if a stacked interface has come back, which is attached according to the plan. */
static bool sync_interface(struct devices *v, struct interface *i)
{
	bool returned, was_up = i->link.flags & IFF_RUNNING, came_up;
	struct link l, former = i->link;
	struct error err;
	int r;

	i->dirty = false;
	r = read_link(v, i, &l);
	returned = !i->link.ifindex;
	if (r && r != -ENODEV)
		log_debug("%s: cannot be read: %s", i->name, strerror(-r));
	if (r)
		return false;
	if (returned && link_is_stacked(&l) && (!*i->vrf || link_vrf(&l)))
		return true;
	came_up = !was_up && l.flags & IFF_RUNNING;
	i->link = l;
	if (!returned && !i->hidden)
		tell_link(i, &former);
	if (interface_check_vrf(v->netlink, i, &err)) {
		leave_vrf(v, i, &err);
		return false;
	}
	i->misplaced = false;
	/* A component that has stayed under another dispatcher is taken up; what else is missing is repaired. */
	if (!devices_is_attached(v, i, &l) && !(devices_share_stays(v, i, &l) && devices_is_attached(v, i, &l)))
		repair(v, i, returned);
	else if (i->shut)
		i->shut = devices_is_resting(v, i); /* else others have put back what they took off */
	else if (!interface_has_xdp(i))
		;
	else if (came_up && !i->carrier)
		redirects_start(v->redirects, &l, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	else if (!i->carrier)
		redirects_retry(v->redirects, &l, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	if (!i->hidden)
		interface_check_forwarding(i);
	return false;
}

/*
 * The interfaces below may have changed: another one may have to carry programs, or the plan may have become
 * impossible.
 */
static void sync_plan(struct devices *v)
{
	struct error err;
	int r = devices_replan(v, &err);

	if (!r) {
		v->plan_problem[0] = '\0';
		return;
	}
	if (strcmp(v->plan_problem, err.text))
		log_error("%s; retrying every %u seconds", err.text, REPAIR_S);
	snprintf(v->plan_problem, sizeof(v->plan_problem), "%s", err.text);
	devices_mark_all(v);
	devices_schedule_sync(v, REPAIR_S * 1000);
}

void devices_vouch(struct devices *v)
{
	bool routes_alone = devices_routing(v) == ROUTING_BY_DESTINATION && !v->filters.inside_any;

	if (!v->own_sources_known)
		v->own_sources_known = own_sources_of(v->copy, &v->own_sources);
	own_sources_vouch(v->datapath, v->applied && routes_alone && v->own_sources_known && !v->own_sources.prefixes
					       ? &v->own_sources
					       : NULL);
}

static void read_routing(struct devices *v)
{
	enum routing routing;
	int r = 0;

	if (v->rules_dirty && !rules_read(v->netlink, AF_INET, &routing)) {
		v->rules_dirty = false;
		v->routing = routing;
	}
	r = route_limits_apply(&v->limits, v->datapath->route_mtus);
	if (r)
		log_warning("the routes' MTUs cannot be passed to the datapath: %s", strerror(-r));
}

/* The tc programs that the interfaces need in their present state. */
static uint8_t tc_wanted(const struct devices *v)
{
	uint8_t tc = 0;

	for (size_t k = 0; v->applied && k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		if (i->attachment == DEVICE_TC)
			tc |= interface_wants_tc(i) ? TC_REDIRECTS : TC_ALONE;
		if (interface_has_egress(i) && i->link.ifindex && link_is_bare(&i->link))
			tc |= TC_BARE;
	}
	return tc;
}

/* Rules, reverse-path filters and whether routes have MTUs are built into the programs. */
static void sync_routing(struct devices *v)
{
	const struct settings *s = &v->datapath->settings;
	enum routing before = v->routing_told, now = devices_routing(v);
	bool changed = now != before || devices_route_mtus(v) != s->route_mtus;

	if (v->applied)
		changed |= rp_source_check(&v->filters) != s->source_check ||
			   rp_outside_strict(&v->filters) != s->outside_strict ||
			   v->filters.outside_strict != s->outside_filter || v->filters.vrf != s->vrf;
	changed |= (tc_wanted(v) & ~s->tc) != 0;
	v->routing_told = now;
	if (now != before && now == ROUTING_BY_MORE)
		log_warning("there are routing rules on marks, ports, TOS or the like, or routes of a TOS, which XDP "
			    "cannot follow: the kernel forwards everything, as with 'forwarding': 'kernel'");
	if (changed && v->routing_changed)
		v->routing_changed(v->routing_changed_arg);
}

/* Makes `status` refer to 'interface list', which shows the fault of each interface. */
static void tell_trouble(struct devices *v)
{
	const char *displaced = NULL;
	char names[256] = "";
	size_t n = 0;

	for (size_t k = 0; k < v->interfaces.count && n < sizeof(names); k++) {
		const char *name = v->interfaces.list[k].name, *note = devices_displaced_note(&v->interfaces.list[k]);
		bool grave;

		displaced = displaced ?: note;
		if (devices_problem_of(v, &v->interfaces.list[k], &grave))
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", n ? ", " : "", name);
	}
	if (displaced)
		trouble_set(TROUBLE_INTERFACES, "%s", displaced);
	else if (n)
		trouble_set(TROUBLE_INTERFACES, "%s: not as configured; 'detnatctl interface list' shows the fault",
			    names);
	else
		trouble_clear(TROUBLE_INTERFACES);
}

/*
 * Of thousands that come and go, each would cause all links to be read: one without an Ethernet header is below no
 * other.
 */
static bool concerns_plan(const struct interface *i)
{
	return !i->pattern[0] || (i->link.ifindex && !link_is_bare(&i->link));
}

/* Reads the dirty interfaces. True if the interfaces below must be examined. */
static bool sync_interfaces(struct devices *v)
{
	bool replan = v->plan_due;

	v->plan_due = false;
	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		if (!i->dirty)
			continue;
		replan |= sync_interface(v, i);
		replan |= concerns_plan(i);
	}
	return replan || v->plan_due;
}

void devices_sync(struct devices *v)
{
	struct error err;
	bool replan;

	read_routing(v);
	if (!v->applied) {
		sync_routing(v);
		devices_hold_copy(v);
		return;
	}
	devices_six_sync(v);
	replan = sync_interfaces(v);
	devices_forget_matches(v);
	devices_see_shares(v, false);
	if (replan)
		sync_plan(v);
	devices_open_guard(v, &v->interfaces);
	devices_record(v, &v->interfaces);
	sync_routing(v);
	devices_vouch(v);
	devices_hold_copy(v);
	tell_trouble(v);
	devices_announce(v);
	if (v->routes_dirty) {
		const struct blackholes wanted = devices_blackholes(v, v->prefixes, v->n_prefixes);

		v->routes_dirty = false;
		if (routes_apply(v->netlink, &v->own_routes, &wanted, &err) || devices_six_routes(v, &err))
			log_warning("%s", err.text);
	}
}
