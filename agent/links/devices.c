/* SPDX-License-Identifier: BSD-2-Clause */
#include "links/devices.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/netconf.h>
#include <linux/pkt_sched.h>
#include <string.h>

#include "base/log.h"
#include "host/timer.h"
#include "links/devices_private.h"
#include "routing/routes.h"

/* Pause after lost notifications before everything is read again; reading during a storm would lose more. */
#define LOST_PAUSE_MS 200

/* How often so many interfaces are looked at: the kernel tells nobody who attaches and detaches tcx programs. */
#define LOOK_MS	 100U
#define LOOKS_AT 16U

/* Every other change is notified; this covers lost notifications. */
#define RESYNC_S 30U

static void on_sync(evutil_socket_t fd, short what, void *arg)
{
	devices_sync(arg);
}

/* Schedules a look at the interface with that index or name; name may be NULL. */
static void mark(struct devices *v, int ifindex, const char *name, unsigned delay_ms)
{
	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		if (i->link.ifindex != (uint32_t)ifindex && (!name || strcmp(i->name, name)))
			continue;
		i->dirty = true;
		devices_schedule_sync(v, delay_ms);
	}
}

/* Whether a message says that all filters of an interface are going. Asking would take until the kernel is done. */
static bool deletes_filters(const struct devices *v, const struct nlmsghdr *h)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(h);

	return !v->own.by_links && h->nlmsg_type == RTM_DELQDISC && tc->tcm_parent == TC_H_CLSACT;
}

/* Until its programs are back, packets would leave an interface untranslated: the guard does not see them. */
static void on_tc(struct devices *v, int ifindex, bool deleted)
{
	struct interface *i = interfaces_find_index(&v->interfaces, (uint32_t)ifindex);
	bool needs = i && (interface_has_egress(i) || i->attachment == DEVICE_TC);

	if (needs && i->attachment != DEVICE_ABSENT && !i->shut && (deleted || !devices_has_tc(v, i))) {
		i->shut = true;
		guard_shut(v->guard, i->link.ifindex);
	}
	mark(v, ifindex, NULL, MONITOR_QUIET_MS);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct devices *v = arg;

	for (size_t n = 0; v->own.by_links && n < LOOKS_AT && n < v->interfaces.count; n++) {
		const struct interface *i = &v->interfaces.list[v->links_seen++ % v->interfaces.count];

		if (i->attachment != DEVICE_ABSENT && !i->dirty && !devices_has_tc(v, i))
			on_tc(v, (int)i->link.ifindex, true);
	}
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct devices *v = arg;
	bool changed = false;

	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		if (interface_has_xdp(i))
			changed |=
				redirects_tick(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	}
	if (changed)
		devices_record(v, &v->interfaces);
	devices_vouch(v);
	devices_hold_copy(v);
	if (++v->seconds % RESYNC_S == 0) {
		devices_mark_all(v);
		devices_retry_shares(v);
		devices_see_shares(v, true);
		devices_sync(v);
	}
}

static void on_alarm(uint32_t ifindex, void *arg)
{
	struct devices *v = arg;

	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		if (!interface_has_xdp(i) || i->link.ifindex != ifindex)
			continue;
		if (redirects_alarm(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health))
			devices_record(v, &v->interfaces);
	}
}

/* No request reaches an interface in another namespace; its tcx links are detached all the same. */
static void warn_moved(const struct devices *v, const struct nlmsghdr *h, const struct nlattr *namespace)
{
	struct link l;

	if (h->nlmsg_type != RTM_DELLINK || !namespace)
		return;
	link_parse(h, &l);
	if (l.xdp.prog_id && own_programs_has(&v->own, l.xdp.prog_id))
		log_warning("%s: was moved to another network namespace, where detnat's XDP program stays on it: 'ip "
			    "link set %s xdp off' there",
			    l.name, l.name);
}

static void on_link(struct devices *v, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[IFLA_NEW_NETNSID + 1];
	const struct device *record = info->ifi_index < (int)MAX_IFINDEX ? &v->datapath->device[info->ifi_index] : NULL;

	netlink_attributes(h, sizeof(*info), attr, ARRAY_SIZE(attr));
	warn_moved(v, h, attr[IFLA_NEW_NETNSID]);
	monitor_raise_epoch(v->monitor);
	devices_match(v, h);
	mark(v, info->ifi_index, attr[IFLA_IFNAME] ? mnl_attr_get_str(attr[IFLA_IFNAME]) : NULL, 0);
	/* A port has joined or left a bond. */
	if (attr[IFLA_MASTER] && mnl_attr_get_payload_len(attr[IFLA_MASTER]) >= sizeof(uint32_t))
		mark(v, (int)mnl_attr_get_u32(attr[IFLA_MASTER]), NULL, 0);
	if (record && record->master)
		mark(v, (int)record->master, NULL, 0);
}

static void on_route(struct devices *v, const struct nlmsghdr *h)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	route_limits_message(&v->limits, h);
	if (own_routes_message(&v->own_routes, h)) {
		v->routes_dirty = true;
		devices_schedule_sync(v, MONITOR_QUIET_MS);
	}
	if (v->limits.changed) {
		devices_hold_copy(v);
		devices_schedule_sync(v, MONITOR_QUIET_MS);
	}
	monitor_raise_epoch(v->monitor);
	if (rt->rtm_type == RTN_LOCAL) {
		v->own_sources_known = false;
		devices_schedule_sync(v, 0);
	}
}

/* False if it is about a foreign interface: each new one has its own. */
static bool on_netconf(struct devices *v, const struct nlmsghdr *h)
{
	const struct nlattr *attr[NETCONFA_IFINDEX + 1];
	int ifindex;

	netlink_attributes(h, sizeof(struct netconfmsg), attr, ARRAY_SIZE(attr));
	ifindex = (int)netlink_u32(attr[NETCONFA_IFINDEX]);
	if (ifindex <= 0)
		devices_mark_all(v);
	else if (!interfaces_find_index(&v->interfaces, (uint32_t)ifindex))
		return false;
	else
		mark(v, ifindex, NULL, MONITOR_QUIET_MS);
	route_copy_hold(v->copy, ROUTE_COPY_FORWARDING_OFF, true);
	return true;
}

static void on_message(const struct nlmsghdr *h, void *arg)
{
	struct devices *v = arg;

	route_copy_message(v->copy, h);
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		on_link(v, h);
		return;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (neighbours_changed(v->neighbours, h))
			monitor_raise_epoch(v->monitor);
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		on_route(v, h);
		return;
	case RTM_NEWQDISC:
	case RTM_DELQDISC:
	case RTM_NEWTFILTER:
	case RTM_DELTFILTER:
		on_tc(v, ((const struct tcmsg *)mnl_nlmsg_get_payload(h))->tcm_ifindex, deletes_filters(v, h));
		return;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		if (((const struct fib_rule_hdr *)mnl_nlmsg_get_payload(h))->family == AF_INET6) {
			v->rules6_dirty = true;
			break;
		}
		v->rules_dirty = true;
		devices_hold_copy(v);
		break;
	case RTM_NEWNETCONF:
	case RTM_DELNETCONF: /* forwarding switched on or off */
		if (!on_netconf(v, h))
			return;
		break;
	default: /* addresses, next hop objects */
		v->addresses6_dirty |= v->hears_ipv6;
		break;
	}
	monitor_raise_epoch(v->monitor);
	devices_schedule_sync(v, MONITOR_QUIET_MS);
}

static void on_lost(void *arg)
{
	struct devices *v = arg;

	/* It also reads again the data for on_routes(). */
	route_copy_lost(v->copy);
	neighbours_forget(v->neighbours);
	devices_mark_all(v);
	v->rules_dirty = v->routes_dirty = v->plan_due = true;
	v->rules6_dirty = v->addresses6_dirty = v->hears_ipv6;
	v->own_sources_known = v->own_routes.known = false;
	devices_hold_copy(v);
	devices_schedule_sync(v, LOST_PAUSE_MS);
}

static void on_return(void *arg)
{
	struct devices *v = arg;

	monitor_catch_up(v->monitor);
}

/* Routes as the copy reads them: the limits are made from them. */
static void on_routes(enum route_copy_reading what, const struct nlmsghdr *h, void *arg)
{
	struct devices *v = arg;

	route_limits_again(&v->limits, what, h);
	own_routes_again(&v->own_routes, what, h);
	if (what == ROUTES_END)
		devices_schedule_sync(v, 0);
}

int devices_new(struct event_base *base, struct datapath *d, struct guard *guard, struct devices **ret,
		struct error *err)
{
	struct devices *v = calloc(1, sizeof(*v));
	struct error why;
	char *slash;
	int r = 0;

	if (!v)
		return error_set(err, -ENOMEM, "out of memory");
	v->datapath = d;
	v->guard = guard;
	v->names = -1;
	v->pin_path = strdup(d->pin_dir);
	slash = v->pin_path ? strrchr(v->pin_path, '/') : NULL;
	if (slash)
		*slash = '\0';
	v->sync = evtimer_new(base, on_sync, v);
	v->second = timer_each_second(base, on_second, v);
	v->look = timer_every(base, LOOK_MS, on_look, v);
	if (!v->pin_path || !v->sync || !v->second || !v->look)
		r = -ENOMEM;
	if (!r)
		r = netlink_new(&v->netlink);
	/* Subscribe before reading, so that no change goes unseen in between. */
	if (!r)
		r = monitor_new(base, d, &(struct monitor_handlers){ .message = on_message, .lost = on_lost, .arg = v },
				&v->monitor);
	if (!r)
		r = route_copy_new(base, d, &v->copy);
	if (!r)
		r = neighbours_new(base, d, v->copy, v->netlink, &v->neighbours);
	if (!r)
		r = announcer_new(base, d, &v->announcer);
	if (!r)
		r = rules_read(v->netlink, AF_INET, &v->routing);
	if (!r)
		r = route_limits_read(&v->limits, v->netlink);
	if (!r)
		r = route_limits_apply(&v->limits, d->route_mtus);
	if (!r) {
		v->routing_told = devices_routing(v);
		route_copy_on_routes(v->copy, on_routes, v);
		route_copy_on_return(v->copy, on_return, v);
		devices_hold_copy(v);
	}
	if (!r) {
		v->names = interfaces_names_open(d->pin_dir);
		r = v->names < 0 ? v->names : 0;
	}
	if (r) {
		devices_free(v);
		return error_set(err, r, "the kernel's interfaces and routes cannot be read: %s", strerror(-r));
	}
	if (redirects_new(base, d, on_alarm, v, &v->redirects, &why))
		log_debug("redirected frames cannot be watched: %s", why.text);
	*ret = v;
	return 0;
}

void devices_free(struct devices *v)
{
	if (!v)
		return;
	if (v->datapath->global)
		own_sources_vouch(v->datapath, NULL);
	devices_leave(v);
	redirects_free(v->redirects);
	neighbours_free(v->neighbours);
	announcer_free(v->announcer);
	route_copy_free(v->copy);
	monitor_free(v->monitor);
	netlink_free(v->netlink);
	if (v->sync)
		event_free(v->sync);
	if (v->second)
		event_free(v->second);
	if (v->look)
		event_free(v->look);
	own_programs_free(&v->own);
	free(v->seen);
	route_limits_free(&v->limits);
	own_routes_free(&v->own_routes);
	close_fd(&v->names);
	free(v->interfaces.list);
	free(v->patterns);
	free(v->prefixes);
	free(v->vrf_tables);
	free(v->ports);
	devices_six_forget(v);
	free(v->pin_path);
	free(v);
}

void devices_resolve(struct devices *v, int family, const void *addr, uint32_t ifindex, bool router)
{
	neighbours_resolve(v->neighbours, family, addr, ifindex, router);
}

void devices_on_routing_change(struct devices *v, devices_notify changed, void *arg)
{
	v->routing_changed = changed;
	v->routing_changed_arg = arg;
}
