/* SPDX-License-Identifier: BSD-2-Clause */
/* Acts on the interfaces that the agent follows: their records, the guard, attaching, losing one. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/notice.h"
#include "links/devices_private.h"
#include "proto/words.h"

void devices_tell(const struct interface *i, enum log_level level, const char *event, const char *what)
{
	const char *role = roles_text(i->roles);
	char text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_INTERFACES, level, event, text);

	if (!notice_wanted(NOTICE_INTERFACES))
		return;
	snprintf(text, sizeof(text), "%s: %s", i->name, what);
	notice_add_text(&n, "interface", i->name);
	if (role)
		notice_add_text(&n, "role", role);
	notice_tell(&n);
}

void devices_mark_all(struct devices *v)
{
	for (size_t k = 0; k < v->interfaces.count; k++)
		v->interfaces.list[k].dirty = true;
}

void devices_schedule_sync(struct devices *v, unsigned ms)
{
	const struct timeval delay = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L };
	struct timeval now, due;

	/* An earlier time takes precedence. */
	event_base_gettimeofday_cached(event_get_base(v->sync), &now);
	evutil_timeradd(&now, &delay, &now);
	if (event_pending(v->sync, EV_TIMEOUT, &due) && evutil_timercmp(&due, &now, <))
		return;
	event_add(v->sync, &delay);
}

static bool has_tc(const struct devices *v, const struct interface *i, enum tc_side side, int program)
{
	/* One question is enough as a rule, and opens no pin. */
	if (v->own.by_links && tcx_first(i->link.ifindex, side) == program_id(program))
		return true;
	return tc_translates(v->netlink, &v->own, i->link.ifindex, side) == program_id(program);
}

bool devices_has_tc(const struct devices *v, const struct interface *i)
{
	const struct datapath *d = v->datapath;

	return (i->attachment != DEVICE_TC || has_tc(v, i, TC_INGRESS, interface_tc_program(d, i))) &&
	       (!devices_wants_into_vrf(v, i) || has_tc(v, i, TC_INTO_VRF, d->tc_into_vrf)) &&
	       (!interface_has_egress(i) || has_tc(v, i, TC_EGRESS, interface_egress_program(d, i)));
}

/* Other programs may detach XDP, and an interface that is recreated lacks it. */
static bool has_xdp(const struct devices *v, const struct interface *i, const struct link *l)
{
	if (i->attachment == DEVICE_TC)
		return true;
	/* XDP is on its carrier, and not here as well. */
	if (i->carrier)
		return !own_programs_has(&v->own, l->xdp.prog_id);
	if (i->attachment == DEVICE_ABSENT)
		return false;
	return devices_is_shared(i) ? own_programs_shares(&v->own, l->ifindex, l->xdp.prog_id)
				    : l->xdp.prog_id == program_id(interface_program(v->datapath, i));
}

bool devices_is_attached(const struct devices *v, const struct interface *i, const struct link *l)
{
	return has_xdp(v, i, l) && devices_has_tc(v, i);
}

/*
 * Whether a former version would need a clsact qdisc on an interface that has none of detnat's programs yet. XDP does
 * not send through qdiscs, and interfaces of a pattern come by the thousand.
 */
static bool wants_clsact(const struct devices *v, const struct interface *i)
{
	return v->own.by_links && i->roles && !i->pattern[0] && !v->datapath->device[i->link.ifindex].roles &&
	       (!v->datapath->settings.redirect || i->without_xdp[0]);
}

void devices_record_begin(struct devices *v, const struct interface *i)
{
	struct device *place = &v->datapath->device[i->link.ifindex];
	bool made = wants_clsact(v, i) && tc_make_clsact(i->link.ifindex);
	uint8_t flags = place->flags | (made ? DEVICE_CLSACT : 0);

	/*
	 * XDP goes from it: where it still runs, it leaves what would be sent here to tc. Of packets inwards it would
	 * do so only once it has translated them; so it goes from the inside last.
	 */
	if (i->without_xdp[0] && i->roles & DEVICE_OUTSIDE)
		flags &= (uint8_t) ~(DEVICE_REDIRECT | DEVICE_TAGGED);

	struct device record = interface_record_with(i, flags);

	if (!record.addr)
		record.addr = place->addr;
	if (!device_store(v->datapath, i->link.ifindex, &record))
		return;
	monitor_raise_epoch(v->monitor);
	route_copy_devices_changed(v->copy);
}

/* Before the record, which causes frames to be redirected to it. */
static void enter_port(struct devices *v, struct interface *i)
{
	int r = interface_is_port(i) ? datapath_add_port(v->datapath, i->link.ifindex) : 0;

	if (r && r != -ENODEV && !i->no_port)
		log_warning("%s: cannot be a port of the second stage: %s", i->name, strerror(-r));
	i->no_port = r && r != -ENODEV;
}

void devices_record(struct devices *v, struct interfaces *all)
{
	struct address *addresses = NULL;
	size_t n_addresses = 0;
	bool changed = false;
	struct rp_summary summary = { 0 };
	_cleanup_free_ struct rp_filters *filters = NULL;
	int r = rp_filters_read(v->netlink, &filters);

	if (r)
		log_debug("the reverse-path filters cannot be read: %s", strerror(-r));
	r = addresses_read(v->netlink, &addresses, &n_addresses);
	if (r)
		log_debug("the addresses cannot be read: %s", strerror(-r));
	interfaces_carry(all);
	for (size_t k = 0; k < all->count; k++) {
		struct interface *i = &all->list[k];

		/* An index beyond the tables is not attached, and was logged. */
		if (!i->link.ifindex || i->link.ifindex >= MAX_IFINDEX)
			continue;
		if (!r)
			i->addr = addresses_primary(addresses, n_addresses, i->link.ifindex);
		if (filters)
			i->rp_filter = rp_filter_of(filters, i->link.ifindex);
		rp_summary_add(&summary, i->roles, i->rp_filter, link_vrf(&i->link) != 0);

		enter_port(v, i);

		struct device record = interface_record(all, i);

		changed |= device_store(v->datapath, i->link.ifindex, &record);
	}
	changed |= devices_record_ports(v, all);
	changed |= devices_record_vrfs(v, all);
	free(addresses);
	devices_six_record(v, all);
	v->filters = summary;
	r = interfaces_tell_vlans(all, v->datapath->vlans);
	if (r)
		log_error("the map of VLAN interfaces cannot be written: %s", strerror(-r));
	r = interfaces_remember(all, v->names);
	if (r)
		log_error("the names of the interfaces cannot be saved for a restart: %s", strerror(-r));
	if (changed)
		monitor_raise_epoch(v->monitor);
	route_copy_devices_changed(v->copy);
}

static bool is_open(const struct interface *i)
{
	return i->roles && i->link.ifindex && i->attachment != DEVICE_ABSENT && !i->shut;
}

void devices_open_guard(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ uint32_t *open = calloc(2 * all->count + 1, sizeof(*open));
	size_t n = 0;

	for (size_t k = 0; open && k < all->count; k++)
		if (is_open(&all->list[k]))
			open[n++] = all->list[k].link.ifindex;
	for (size_t k = 0; open && k < all->count; k++)
		if (is_open(&all->list[k]))
			n = devices_add_vrf(&all->list[k], open, n);
	guard_open(v->guard, open, n);
}

void devices_shut_guard(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ uint32_t *kept = calloc(2 * all->count + 1, sizeof(*kept));
	size_t n = 0;

	for (size_t k = 0; kept && k < all->count; k++) {
		uint32_t ifindex = all->list[k].link.ifindex;

		if (ifindex && ifindex < MAX_IFINDEX && v->datapath->device[ifindex].roles == all->list[k].roles &&
		    !devices_changes_share(v, &all->list[k])) {
			kept[n++] = ifindex;
			n = devices_add_vrf(&all->list[k], kept, n);
		}
	}
	guard_keep(v->guard, kept, n);
}

int devices_attach_egress(struct devices *v, struct interface *i, struct error *err)
{
	int r;

	i->made_clsact = v->datapath->device[i->link.ifindex].flags & DEVICE_CLSACT;
	if (!interface_has_egress(i))
		return 0;
	/* A new interface; devices_sync() has the programs loaded. */
	if (link_is_bare(&i->link) && v->datapath->tc_bare < 0)
		return error_set(err, -EAGAIN, "%s: has no Ethernet header; the programs for it are being loaded",
				 i->name);
	r = tc_attach(v->netlink, &v->own, &i->link, TC_EGRESS, interface_egress_program(v->datapath, i),
		      &i->made_clsact, err);
	return r ? r : devices_attach_into_vrf(v, i, err);
}

int devices_settle_tc(const struct devices *v, const struct interface *i, struct error *err)
{
	const struct datapath *d = v->datapath;
	const int program[N_TC_SIDES] = {
		[TC_EGRESS] = interface_has_egress(i) ? interface_egress_program(d, i) : -1,
		[TC_INGRESS] = i->attachment == DEVICE_TC ? interface_tc_program(d, i) : -1,
		[TC_INTO_VRF] = devices_wants_into_vrf(v, i) ? d->tc_into_vrf : -1,
	};
	int r = 0;

	for (enum tc_side side = 0; !r && side < N_TC_SIDES; side++)
		r = tc_settle(v->netlink, &v->own, &i->link, side, program[side], err);
	return r;
}

static int attach_xdp(struct devices *v, struct interface *i, struct error *err)
{
	struct xdp_wish wish = i->xdp;
	int fd = interface_program(v->datapath, i), r = -EAGAIN;
	bool native = false;

	/* A bond sees the tags of frames only if XDP runs on its ports. */
	if (i->carrying && link_is_stacked(&i->link))
		wish.mode = XDP_MODE_NATIVE;
	else if (xdp_settle_mode(&i->link, &wish.mode, err))
		return -EOPNOTSUPP;
	if (wish.mode != i->xdp.mode && wish.mode == XDP_MODE_SKB && i->attachment != DEVICE_XDP_SKB)
		log_info("%s: no native XDP, as virtio_net does not run it without mergeable buffers (mrg_rxbuf); "
			 "using generic XDP",
			 i->name);
	if (devices_is_shared(i)) {
		r = share_attach(v->datapath, &i->link, interface_entry(i), &wish, &v->own, &native, err);
		if (!r)
			i->attachment = native ? DEVICE_XDP_NATIVE : DEVICE_XDP_SKB;
		return r;
	}
	if (own_programs_share(&v->own, i->link.ifindex)) {
		r = share_leave(v->datapath, &i->link, &v->own, err);
		if (!r)
			r = link_by_index(v->netlink, i->link.ifindex, &i->link);
		if (r)
			return r;
		r = -EAGAIN;
	}
	/* Generic XDP was configured until now; only a try shows whether native XDP works. */
	if (v->applied && v->xdp.mode == XDP_MODE_SKB && wish.mode == XDP_MODE_AUTO)
		r = xdp_attach(&i->link, fd, XDP_MODE_NATIVE, &v->own, &native, NULL);
	if (r && r != -ENODEV)
		r = xdp_attach(&i->link, fd, wish.mode, &v->own, &native, err);
	if (!r)
		i->attachment = native ? DEVICE_XDP_NATIVE : DEVICE_XDP_SKB;
	return r;
}

int devices_attach_tc(struct devices *v, struct interface *i, struct error *err)
{
	return tc_attach(v->netlink, &v->own, &i->link, TC_INGRESS, interface_tc_program(v->datapath, i),
			 &i->made_clsact, err);
}

/* tc at the ingress, then no XDP: until then both run, which translates nothing twice. */
static int attach_tc_alone(struct devices *v, struct interface *i, struct error *err)
{
	int r = devices_attach_tc(v, i, err);

	if (r)
		return r;
	r = devices_xdp_off(v, i, err);
	/* Where no helper answers, both go on; devices_retry_shares() ends that. */
	if (r && !(r == -ENOTCONN && devices_awaits_share(i)))
		return r;
	i->attachment = DEVICE_TC;
	return 0;
}

/* Whether tc can replace XDP; then notes the reason. */
static bool may_do_without_xdp(struct interface *i, int r, const struct error *err)
{
	const char *why = strncmp(err->text, i->name, strlen(i->name)) ? err->text : err->text + strlen(i->name);

	if (i->xdp.mode != XDP_MODE_AUTO || !i->roles || i->carrying || r == -ENODEV)
		return false;
	i->xdp_failed = true;
	snprintf(i->without_xdp, sizeof(i->without_xdp), "%s", why + strspn(why, ": "));
	return true;
}

int devices_attach_ingress(struct devices *v, struct interface *i, struct error *err)
{
	int r;

	i->attached_s = monotonic_s();
	/* Its carrier sees its frames. */
	if (i->carrier)
		return devices_xdp_off(v, i, err);
	r = i->without_xdp[0] ? attach_tc_alone(v, i, err) : attach_xdp(v, i, err);
	if (r && !i->without_xdp[0] && may_do_without_xdp(i, r, err))
		r = attach_tc_alone(v, i, err);
	if (!r && i->attachment != DEVICE_TC)
		r = tc_detach(v->netlink, &v->own, i->link.ifindex, TC_INGRESS,
			      devices_ends_clsact(v, i) && !interface_has_egress(i));
	if (r)
		i->attachment = DEVICE_ABSENT;
	return r;
}

void devices_lost(struct devices *v, struct interface *i)
{
	/* Thousands may go together: devices_sync() informs the guard and the copy of the routes once about all. */
	if (!i->pattern[0])
		guard_shut(v->guard, i->link.ifindex);
	interface_detach(v->netlink, v->datapath, &v->own, i->link.ifindex, NULL);
	redirects_stop(v->redirects, i->link.ifindex);
	monitor_raise_epoch(v->monitor);
	if (!i->pattern[0])
		route_copy_devices_changed(v->copy);
	i->link = (struct link){ 0 };
	i->attachment = DEVICE_ABSENT;
	i->made_clsact = i->forwarding_off = i->shut = i->no_port = false;
	i->carrier = 0;
	i->health = (struct redirect_health){ 0 };
	i->xdp_failed = false;
	i->displaced = 0;
	i->problem[0] = i->displaced_note[0] = i->name_note[0] = i->without_xdp[0] = '\0';
	i->attached_s = 0;
}

/*
 * Ports of bonds. If a bond runs XDP natively, its ports run the program, which then sees frames as received by the
 * port. So each port has the record of its bond, including the bond's index, which the kernel uses for routing.
 */

/* The bond in the list to which the frames of a link belong, or NULL. */
static const struct interface *bond_of(const struct interfaces *all, const struct link *l)
{
	const struct interface *bond = l->master ? interfaces_find_index(all, l->master) : NULL;

	if (!bond || strcmp(bond->link.kind, "bond") || bond->attachment != DEVICE_XDP_NATIVE ||
	    l->ifindex >= MAX_IFINDEX || interfaces_find_index(all, l->ifindex))
		return NULL;
	return bond;
}

static bool any_bond(const struct interfaces *all)
{
	for (size_t k = 0; k < all->count; k++)
		if (all->list[k].link.ifindex && !strcmp(all->list[k].link.kind, "bond"))
			return true;
	return false;
}

/* Clears the records of former ports. */
static bool forget_others(struct devices *v, const struct interfaces *all, const struct link_list *links)
{
	static const struct device none;
	bool changed = false;

	for (size_t i = 0; i < v->n_ports; i++) {
		const struct link *l = link_find(links, v->ports[i]);

		if (!(l && bond_of(all, l)) && !interfaces_find_index(all, v->ports[i]))
			changed |= device_store(v->datapath, v->ports[i], &none);
	}
	return changed;
}

/* Ports that an earlier agent recorded. */
static void read_ports(struct devices *v)
{
	size_t count = 0;

	for (uint32_t i = 1; i < MAX_IFINDEX; i++)
		count += v->datapath->device[i].master != 0;
	v->ports = calloc(count + 1, sizeof(*v->ports));
	for (uint32_t i = 1; v->ports && i < MAX_IFINDEX; i++)
		if (v->datapath->device[i].master)
			v->ports[v->n_ports++] = i;
}

bool devices_record_ports(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ struct link *link = NULL;
	_cleanup_free_ uint32_t *ports = NULL;
	struct link_list links = { 0 };
	size_t n_ports = 0;
	bool changed;

	if (!v->ports)
		read_ports(v);
	if (!any_bond(all) && !v->n_ports)
		return false;
	if (links_read(v->netlink, &link, &links.count))
		return false;
	links.link = link;
	ports = calloc(links.count + 1, sizeof(*ports));
	if (!ports)
		return false;
	changed = forget_others(v, all, &links);
	for (size_t i = 0; i < links.count; i++) {
		const struct interface *bond = bond_of(all, &link[i]);
		struct device record;

		if (!bond)
			continue;
		record = v->datapath->device[bond->link.ifindex];
		record.master = bond->link.ifindex;
		record.flags &= (uint8_t)~DEVICE_CLSACT;
		changed |= device_store(v->datapath, link[i].ifindex, &record);
		ports[n_ports++] = link[i].ifindex;
	}
	free(v->ports);
	v->ports = take_pointer(ports);
	v->n_ports = n_ports;
	return changed;
}
