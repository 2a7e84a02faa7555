/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices.h"

#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "interfaces.h"
#include "log.h"
#include "routes.h"

/* What somebody else takes off is put back, but no more often, as that somebody may be as stubborn. */
#define REPAIR_S 5U

#define LOST_PAUSE_MS 200

/* Notifications tell of every change; this is for those that never came. */
#define RESYNC_S 30U

static void mark_all(struct devices *v)
{
	for (size_t k = 0; k < v->interfaces.count; k++)
		v->interfaces.list[k].dirty = true;
}

static void schedule_sync(struct devices *v, unsigned ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct timeval now, due;

	/* An earlier appointment stands. */
	event_base_gettimeofday_cached(event_get_base(v->sync), &now);
	evutil_timeradd(&now, &delay, &now);
	if (event_pending(v->sync, EV_TIMEOUT, &due) && evutil_timercmp(&due, &now, <))
		return;
	event_add(v->sync, &delay);
}

/* ---- one interface ------------------------------------------------------------------------------------------------
 */

/* Whether the link carries what it should; XDP is what others take off, or what is missing on a link that came back. */
static bool is_attached(const struct devices *v, const struct interface *i, const struct link *l)
{
	const struct datapath *d = v->datapath;
	int fd = i->roles == DEVICE_INSIDE ? d->xdp_inside : i->roles == DEVICE_OUTSIDE ? d->xdp_outside : d->xdp_both;

	if (i->attachment == DEVICE_ABSENT || l->xdp.prog_id != program_id(fd))
		return false;
	return !(i->roles & DEVICE_OUTSIDE) || tc_attached(l->ifindex) == program_id(d->tc_outside);
}

static void complain(struct devices *v, struct interface *i, const struct error *err)
{
	if (strcmp(i->problem, err->text))
		log_error("%s; trying again every %u seconds", err->text, REPAIR_S);
	snprintf(i->problem, sizeof(i->problem), "%s", err->text);
	i->dirty = true;
	schedule_sync(v, REPAIR_S * 1000);
}

static void repair(struct devices *v, struct interface *i, bool returned)
{
	bool was_attached = i->attachment != DEVICE_ABSENT;
	struct error err;
	int r;

	if (!returned && monotonic_s() < i->attached_s + REPAIR_S) {
		i->dirty = true;
		schedule_sync(v, REPAIR_S * 1000);
		return;
	}
	if (was_attached)
		log_warning("%s: somebody took detnat's programs off; attaching them again", i->name);
	r = xdp_check(&i->link, &v->own, &err);
	if (!r) {
		interface_record_begin(v, i);
		r = interface_attach_tc(v, i, &err);
	}
	if (!r)
		r = interface_attach_xdp(v, i, v->mode, &err);
	i->attached_s = monotonic_s();
	if (r) {
		i->attachment = DEVICE_ABSENT;
		if (r != -ENODEV) {
			complain(v, i, &err);
			return;
		}
		i->dirty = true;
		schedule_sync(v, MONITOR_QUIET_MS);
		return;
	}
	if (!was_attached)
		log_info("%s: %s attached, %s XDP", i->name, returned ? "back," : "now",
			 i->attachment == DEVICE_XDP_NATIVE ? "native" : "generic");
	i->problem[0] = '\0';
	redirects_start(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health);
}

static void sync_interface(struct devices *v, struct interface *i)
{
	struct link l;
	bool returned, came_up;
	int r = link_by_name(v->netlink, i->name, &l);

	i->dirty = false;
	if (r && r != -ENODEV) {
		log_debug("%s: cannot be read: %s", i->name, strerror(-r));
		return;
	}
	if (i->link.ifindex && (r || l.ifindex != i->link.ifindex)) {
		log_warning("%s: the interface is gone; waiting for one of that name", i->name);
		interface_lost(v, i);
	}
	if (r)
		return;
	returned = !i->link.ifindex;
	came_up = !(i->link.flags & IFF_RUNNING) && l.flags & IFF_RUNNING;
	i->link = l;
	if (!is_attached(v, i, &l))
		repair(v, i, returned);
	else if (came_up)
		redirects_start(v->redirects, &l, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	else
		redirects_retry(v->redirects, &l, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	interface_check_forwarding(i);
}

void devices_sync(struct devices *v)
{
	struct error err;
	bool policy_routing;

	if (v->rules_dirty && !rules_read(v->netlink, &policy_routing)) {
		v->rules_dirty = false;
		if (policy_routing != v->policy_routing) {
			v->policy_routing = policy_routing;
			if (v->routing_changed)
				v->routing_changed(v->routing_changed_arg);
		}
	}
	if (!v->applied)
		return;
	for (size_t k = 0; k < v->interfaces.count; k++)
		if (v->interfaces.list[k].dirty)
			sync_interface(v, &v->interfaces.list[k]);
	interfaces_record(v, &v->interfaces);
	if (v->routes_dirty) {
		v->routes_dirty = false;
		if (routes_apply(v->netlink, v->prefixes, v->n_prefixes, &err))
			log_warning("%s", err.text);
	}
}

static void on_sync(evutil_socket_t fd, short what, void *arg)
{
	devices_sync(arg);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct devices *v = arg;
	bool changed = false;

	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		if (i->attachment != DEVICE_ABSENT)
			changed |=
				redirects_tick(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	}
	if (changed)
		interfaces_record(v, &v->interfaces);
	if (++v->seconds % RESYNC_S == 0) {
		mark_all(v);
		devices_sync(v);
	}
}

static void on_alarm(uint32_t ifindex, void *arg)
{
	struct devices *v = arg;

	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		if (i->attachment == DEVICE_ABSENT || i->link.ifindex != ifindex)
			continue;
		if (redirects_alarm(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health))
			interfaces_record(v, &v->interfaces);
	}
}

/* ---- notifications --------------------------------------------------------------------------------------------------
 */

/* Has what concerns an interface of ours looked at; name may be NULL. */
static void mark(struct devices *v, int ifindex, const char *name, unsigned delay_ms)
{
	for (size_t k = 0; k < v->interfaces.count; k++) {
		struct interface *i = &v->interfaces.list[k];

		if (i->link.ifindex != (uint32_t)ifindex && (!name || strcmp(i->name, name)))
			continue;
		i->dirty = true;
		schedule_sync(v, delay_ms);
	}
}

static void on_link(struct devices *v, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr[IFLA_IFNAME + 1];

	netlink_attributes(h, sizeof(*info), attr, ARRAY_SIZE(attr));
	monitor_raise_epoch(v->monitor);
	mark(v, info->ifi_index, attr[IFLA_IFNAME] ? mnl_attr_get_str(attr[IFLA_IFNAME]) : NULL, 0);
}

static void on_route(struct devices *v, const struct nlmsghdr *h)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);

	monitor_raise_epoch(v->monitor);
	if (h->nlmsg_type == RTM_DELROUTE && rt->rtm_protocol == ROUTE_PROTOCOL) {
		v->routes_dirty = true;
		schedule_sync(v, MONITOR_QUIET_MS);
	}
}

static void on_message(const struct nlmsghdr *h, void *arg)
{
	struct devices *v = arg;

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
		mark(v, ((const struct tcmsg *)mnl_nlmsg_get_payload(h))->tcm_ifindex, NULL, MONITOR_QUIET_MS);
		return;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		v->rules_dirty = true;
		break;
	case RTM_NEWNETCONF:
	case RTM_DELNETCONF: /* forwarding switched on or off */
		mark_all(v);
		break;
	default: /* addresses, next hop objects */
		break;
	}
	monitor_raise_epoch(v->monitor);
	schedule_sync(v, MONITOR_QUIET_MS);
}

static void on_lost(void *arg)
{
	struct devices *v = arg;

	neighbours_forget(v->neighbours);
	mark_all(v);
	v->rules_dirty = v->routes_dirty = true;
	/* Not at once: reading takes time, in which more is lost while a storm lasts. */
	schedule_sync(v, LOST_PAUSE_MS);
}

/* ---- public -------------------------------------------------------------------------------------------------------
 */

int devices_new(struct event_base *base, struct datapath *d, struct devices **ret, struct error *err)
{
	const struct timeval second = { .tv_sec = 1 };
	struct devices *v = calloc(1, sizeof(*v));
	struct error why;
	char *slash;
	int r = 0;

	if (!v)
		return error_set(err, -ENOMEM, "out of memory");
	v->datapath = d;
	v->pin_path = strdup(d->pin_dir);
	slash = v->pin_path ? strrchr(v->pin_path, '/') : NULL;
	if (slash)
		*slash = '\0';
	v->sync = evtimer_new(base, on_sync, v);
	v->second = event_new(base, -1, EV_PERSIST, on_second, v);
	if (!v->pin_path || !v->sync || !v->second || event_add(v->second, &second))
		r = -ENOMEM;
	if (!r)
		r = netlink_new(&v->netlink);
	/* Notifications first, so that nothing changes unseen between reading and listening. */
	if (!r)
		r = monitor_new(base, d, &(struct monitor_handlers){ .message = on_message, .lost = on_lost, .arg = v },
				&v->monitor);
	if (!r)
		r = neighbours_new(base, d, v->netlink, &v->neighbours);
	if (!r)
		r = rules_read(v->netlink, &v->policy_routing);
	if (r) {
		devices_free(v);
		return error_set(err, r, "the kernel's interfaces and routes cannot be read: %s", strerror(-r));
	}
	if (redirects_new(base, d, on_alarm, v, &v->redirects, &why))
		log_debug("what becomes of redirected frames cannot be watched: %s", why.text);
	*ret = v;
	return 0;
}

void devices_free(struct devices *v)
{
	if (!v)
		return;
	redirects_free(v->redirects);
	neighbours_free(v->neighbours);
	monitor_free(v->monitor);
	netlink_free(v->netlink);
	if (v->sync)
		event_free(v->sync);
	if (v->second)
		event_free(v->second);
	own_programs_free(&v->own);
	free(v->interfaces.list);
	free(v->prefixes);
	free(v->pin_path);
	free(v);
}

enum device_attachment devices_attachment(const struct devices *v, const char *name)
{
	const struct interface *i = interfaces_find(&v->interfaces, name);

	return i ? i->attachment : DEVICE_ABSENT;
}

bool devices_shared(const struct devices *v, const char *name)
{
	return false;
}

void devices_resolve(struct devices *v, uint32_t addr, uint32_t ifindex)
{
	neighbours_resolve(v->neighbours, addr, ifindex);
}

bool devices_policy_routing(const struct devices *v)
{
	return v->policy_routing;
}

void devices_on_routing_change(struct devices *v, devices_notify changed, void *arg)
{
	v->routing_changed = changed;
	v->routing_changed_arg = arg;
}
