/* SPDX-License-Identifier: BSD-2-Clause */
/* Brings interfaces, records, routes and settings in line with the machine as it now is. */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "interfaces.h"
#include "log.h"
#include "routes.h"

/* What somebody else takes off is put back, but no more often, as that somebody may be as stubborn. */
#define REPAIR_S 5U

void devices_mark_all(struct devices *v)
{
	for (size_t k = 0; k < v->interfaces.count; k++)
		v->interfaces.list[k].dirty = true;
}

void devices_schedule_sync(struct devices *v, unsigned ms)
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

	if (i->carrier ? own_programs_has(&v->own, l->xdp.prog_id)
		       : i->attachment == DEVICE_ABSENT || l->xdp.prog_id != program_id(interface_program(d, i)))
		return false;
	return !(i->roles & DEVICE_OUTSIDE) || tc_attached(l->ifindex) == program_id(d->tc_outside);
}

static void complain(struct devices *v, struct interface *i, const struct error *err)
{
	if (strcmp(i->problem, err->text))
		log_error("%s; trying again every %u seconds", err->text, REPAIR_S);
	snprintf(i->problem, sizeof(i->problem), "%s", err->text);
	i->dirty = true;
	devices_schedule_sync(v, REPAIR_S * 1000);
}

static void repair(struct devices *v, struct interface *i, bool returned)
{
	bool was_attached = i->attachment != DEVICE_ABSENT;
	struct error err;
	int r;

	if (!returned && monotonic_s() < i->attached_s + REPAIR_S) {
		i->dirty = true;
		devices_schedule_sync(v, REPAIR_S * 1000);
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
		devices_schedule_sync(v, MONITOR_QUIET_MS);
		return;
	}
	if (!was_attached)
		log_info("%s: %s attached, %s XDP", i->name, returned ? "back," : "now",
			 i->attachment == DEVICE_XDP_NATIVE ? "native" : "generic");
	i->problem[0] = '\0';
	if (!i->carrier)
		redirects_start(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health);
}

/* Whether a VLAN interface came back, which is attached where the plan says. */
static bool sync_interface(struct devices *v, struct interface *i)
{
	struct link l;
	bool returned, came_up;
	int r = link_by_name(v->netlink, i->name, &l);

	i->dirty = false;
	if (r && r != -ENODEV) {
		log_debug("%s: cannot be read: %s", i->name, strerror(-r));
		return false;
	}
	if (i->link.ifindex && (r || l.ifindex != i->link.ifindex)) {
		log_warning("%s: the interface is gone; waiting for one of that name", i->name);
		interface_lost(v, i);
	}
	if (r)
		return false;
	returned = !i->link.ifindex;
	if (returned && link_is_vlan(&l))
		return true;
	came_up = !(i->link.flags & IFF_RUNNING) && l.flags & IFF_RUNNING;
	i->link = l;
	if (!is_attached(v, i, &l))
		repair(v, i, returned);
	else if (came_up && !i->carrier)
		redirects_start(v->redirects, &l, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	else if (!i->carrier)
		redirects_retry(v->redirects, &l, i->attachment == DEVICE_XDP_NATIVE, &i->health);
	if (!i->hidden)
		interface_check_forwarding(i);
	return false;
}

/* VLAN interfaces come and go, and may need another interface to carry programs. */
static void sync_plan(struct devices *v)
{
	struct error err;
	int r = devices_replan(v, &err);

	if (!r) {
		v->plan_problem[0] = '\0';
		return;
	}
	if (strcmp(v->plan_problem, err.text))
		log_error("%s; trying again every %u seconds", err.text, REPAIR_S);
	snprintf(v->plan_problem, sizeof(v->plan_problem), "%s", err.text);
	devices_mark_all(v);
	devices_schedule_sync(v, REPAIR_S * 1000);
}

void devices_sync(struct devices *v)
{
	struct error err;
	enum routing routing;
	bool dirty = false, replan = false;

	if (v->rules_dirty && !rules_read(v->netlink, &routing)) {
		v->rules_dirty = false;
		if (routing != v->routing) {
			v->routing = routing;
			if (routing == ROUTING_BY_MORE)
				log_warning("there are routing rules on marks, ports, TOS or the like, which XDP "
					    "cannot follow: the kernel "
					    "forwards all, as with 'forwarding': 'kernel'");
			if (v->routing_changed)
				v->routing_changed(v->routing_changed_arg);
		}
	}
	if (!v->applied)
		return;
	for (size_t k = 0; k < v->interfaces.count; k++) {
		dirty |= v->interfaces.list[k].dirty;
		if (v->interfaces.list[k].dirty)
			replan |= sync_interface(v, &v->interfaces.list[k]);
	}
	if (replan || (dirty && interfaces_have_vlans(&v->interfaces)))
		sync_plan(v);
	interfaces_record(v, &v->interfaces);
	if (v->routes_dirty) {
		v->routes_dirty = false;
		if (routes_apply(v->netlink, v->prefixes, v->n_prefixes, &err))
			log_warning("%s", err.text);
	}
}
