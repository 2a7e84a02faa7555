/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the machine's interfaces match the configuration, all or nothing. */
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <string.h>

#include "base/array_grow.h"
#include "base/log.h"
#include "base/prefix_stretch.h"
#include "links/devices_private.h"
#include "routing/routes.h"

static const char *roles_name(uint8_t roles)
{
	return roles == DEVICE_INSIDE ? "inside" : roles == DEVICE_OUTSIDE ? "outside" : "inside and outside";
}

/* Prefixes; the caller frees them. */
struct prefix_list {
	struct prefix *of;
	size_t n, room;
};

static int add_prefix(struct prefix_list *l, struct prefix p)
{
	int r = array_grow(&l->of, l->n, &l->room, sizeof(*l->of));

	if (!r)
		l->of[l->n++] = p;
	return r;
}

/* Appends the prefixes that outside addresses are cut into. */
static int add_prefixes(struct prefix_list *l, struct prefix out)
{
	int r = 0;

	if (prefix_is_none(out))
		return 0;
	for (uint64_t at = out.base; !r && at <= prefix_last(out);) {
		struct prefix piece = prefix_first_of((uint32_t)at, prefix_last(out));

		r = add_prefix(l, piece);
		at = (uint64_t)prefix_last(piece) + 1;
	}
	return r;
}

/* Lists the outside prefixes, including draining ones. 0 or -ENOMEM, with nothing in *ret. */
static int pools_of(const struct config *c, struct prefix_list *ret)
{
	struct prefix_list l = { .of = calloc(GROW_FIRST, sizeof(*l.of)), .room = GROW_FIRST };
	int r = l.of ? 0 : -ENOMEM;

	for (size_t k = 0; !r && k < c->n_mappings; k++)
		r = add_prefixes(&l, c->mappings[k].out);
	for (size_t k = 0; !r && k < c->n_draining; k++)
		r = add_prefixes(&l, c->draining[k].out);
	if (r) {
		free(l.of);
		l = (struct prefix_list){ 0 };
	}
	*ret = l;
	return r;
}

static int prefixes_of(const struct config *c, struct prefix **ret, size_t *ret_n, struct error *err)
{
	struct prefix_list l;

	if (pools_of(c, &l))
		return error_set(err, -ENOMEM, "out of memory");
	*ret_n = l.n;
	*ret = l.of;
	return 0;
}

static int check_all(struct netlink *n, const struct interfaces *all, const struct own_programs *own, struct error *err)
{
	int r = 0;

	for (size_t k = 0; !r && k < all->count; k++) {
		const struct interface *i = &all->list[k];

		if (i->link.ifindex)
			r = interface_check(n, i, own, err);
	}
	return r;
}

/* Whether libxdp's dispatcher would take detnat's program, where it is to and does not yet have it. */
static int check_shares(const struct interfaces *all, const struct own_programs *own, struct error *err)
{
	for (size_t k = 0; k < all->count; k++) {
		const struct interface *i = &all->list[k];
		struct share_answer a;
		int r;

		if (!devices_is_shared(i) || !i->link.ifindex || i->xdp.mode == XDP_MODE_AUTO ||
		    own_programs_has(own, i->link.xdp.prog_id))
			continue;
		r = share_try(NULL, &i->link, &i->xdp, &a, err);
		if (r)
			return r;
	}
	return 0;
}

int devices_check(const struct config *c, struct error *err)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	__attribute__((cleanup(own_programs_free))) struct own_programs own = { 0 };
	struct interfaces all = { 0 }, known = { 0 };
	char pin_dir[PATH_MAX];
	struct xdp_wish xdp;
	int r = netlink_new(&n);

	snprintf(pin_dir, sizeof(pin_dir), "%s/v%u", c->pin_path, LAYOUT_VERSION);
	if (!r)
		r = own_programs_read(c->pin_path, NULL, &own);
	if (!r)
		r = interfaces_remembered(n, pin_dir, &own, &known);
	if (r)
		return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	xdp = interfaces_wish(n, c->interfaces, c->n_interfaces, &known, config_xdp(c));
	r = interfaces_plan(n, c->interfaces, c->n_interfaces, &known, &own, xdp, &all, err);
	if (!r)
		r = check_all(n, &all, &own, err);
	if (!r)
		r = check_shares(&all, &own, err);
	free(all.list);
	free(known.list);
	return r;
}

typedef int (*attach_step)(struct devices *v, struct interface *i, struct error *err);

static int step_begin(struct devices *v, struct interface *i, struct error *err)
{
	devices_record_begin(v, i);
	devices_look_for_front(v, i);
	return 0;
}

/* Where XDP goes, tc is in place before it goes from any; elsewhere the next steps attach it. */
static int step_tc(struct devices *v, struct interface *i, struct error *err)
{
	bool goes = i->without_xdp[0] && !i->carrier && i->link.xdp.attached != XDP_ATTACHED_NONE;

	return goes ? devices_attach_tc(v, i, err) : 0;
}

static int step_outside(struct devices *v, struct interface *i, struct error *err)
{
	return i->roles & DEVICE_OUTSIDE ? devices_attach_ingress(v, i, err) : 0;
}

static int step_others(struct devices *v, struct interface *i, struct error *err)
{
	return i->roles & DEVICE_OUTSIDE ? 0 : devices_attach_ingress(v, i, err);
}

/*
 * All records first, then tc at egress, then ingress: the former must be in place before the latter passes packets on
 * to be translated at the egress. An interface that vanishes meanwhile counts as absent, which is not a failure.
 */
static int attach_all(struct devices *v, struct interfaces *all, struct error *err)
{
	static const attach_step steps[] = { step_begin, devices_attach_egress, step_tc, step_outside, step_others };

	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		for (size_t k = 0; k < all->count; k++) {
			struct interface *i = &all->list[k];
			int r = i->link.ifindex ? steps[s](v, i, err) : 0;

			if (r == -ENODEV)
				devices_lost(v, i);
			else if (r)
				return r;
		}
		if (steps[s] == step_begin && devices_record_vrfs(v, all))
			monitor_raise_epoch(v->monitor);
	}
	interfaces_carry(all);
	return 0;
}

static int note_all(struct devices *v, const struct interfaces *all, struct attach_before *before, struct error *err)
{
	int r = 0;

	for (size_t k = 0; !r && k < all->count; k++)
		if (all->list[k].link.ifindex)
			r = attach_note(v->netlink, &all->list[k].link, v->datapath, &v->own, &before[k]);
	return r ? error_set(err, r, "what the interfaces carry cannot be read: %s", strerror(-r)) : 0;
}

static int apply_routes(struct devices *v, const struct prefix *prefixes, size_t n, struct error *err)
{
	const struct blackholes wanted = devices_blackholes(v, prefixes, n);

	int r = routes_apply(v->netlink, &v->own_routes, &wanted, err);

	return r ? r : devices_six_routes(v, err);
}

static void restore_all(struct devices *v, const struct interfaces *all, const struct attach_before *before)
{
	for (size_t k = 0; k < all->count; k++)
		attach_restore(v->netlink, v->datapath, &before[k], &v->own, all->list[k].made_clsact);
	if (v->applied)
		apply_routes(v, v->prefixes, v->n_prefixes, NULL);
	monitor_raise_epoch(v->monitor);
	route_copy_devices_changed(v->copy);
}

static int change(struct devices *v, struct interfaces *all, const struct prefix *prefixes, size_t n_prefixes,
		  struct error *err)
{
	_cleanup_free_ struct attach_before *before = calloc(all->count + 1, sizeof(*before));
	int r;

	if (!before)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t k = 0; k < all->count; k++)
		attach_before_init(&before[k]);
	r = note_all(v, all, before, err);
	if (!r) {
		r = attach_all(v, all, err);
		if (!r)
			r = apply_routes(v, prefixes, n_prefixes, err);
		if (r)
			restore_all(v, all, before);
	}
	for (size_t k = 0; k < all->count; k++)
		attach_forget(&before[k]);
	return r;
}

static void say_attached(const struct interfaces *all, const struct interface *i)
{
	const struct interface *carrier = i->carrier ? interfaces_find_index(all, i->carrier) : NULL;
	const char *xdp = i->attachment == DEVICE_XDP_NATIVE ? "native" : "generic";

	if (i->attachment == DEVICE_TC)
		log_write(i->pattern[0] ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s: %s, %s: %s", i->name,
			  roles_name(i->roles), interface_sends(i) ? "tc that redirects" : "tc alone", i->without_xdp);
	else if (i->hidden)
		log_info("%s: %s XDP, for the VLAN interfaces on it", i->name, xdp);
	else if (carrier)
		log_info("%s: %s, %s XDP on %s", i->name, roles_name(i->roles), xdp, carrier->name);
	else
		log_info("%s: %s, %s XDP%s", i->name, roles_name(i->roles), xdp,
			 i->xdp.dispatcher == DISPATCHER_LIBXDP ? ", under libxdp's dispatcher" : "");
}

static void start(struct devices *v, struct interfaces *all)
{
	for (size_t k = 0; k < all->count; k++) {
		struct interface *i = &all->list[k];
		const struct interface *known = interfaces_find(&v->interfaces, i->name);

		if (!i->link.ifindex || (i->hidden && i->carrier))
			continue;
		if (known && known->attachment == i->attachment && interface_wants_tc(known) == interface_wants_tc(i) &&
		    known->roles == i->roles && known->carrier == i->carrier &&
		    known->xdp.dispatcher == i->xdp.dispatcher)
			continue;
		say_attached(all, i);
		devices_tell(i, LOG_LEVEL_INFO, "interface-attached", "the programs are attached");
		if (i->carrier) {
			interface_check_forwarding(i);
			continue;
		}
		if (i->link.port_kind[0] && !link_vrf(&i->link))
			log_warning("%s: is a port of a %s, to which routes refer; most likely that one is meant",
				    i->name, i->link.port_kind);
		if (!i->hidden)
			interface_check_forwarding(i);
		if (interface_has_xdp(i))
			redirects_start(v->redirects, &i->link, i->attachment == DEVICE_XDP_NATIVE, &i->health);
		else
			redirects_stop(v->redirects, i->link.ifindex);
	}
}

/* Switches to the interfaces of the list, which becomes v's; prefixes NULL: v's own. */
static int apply(struct devices *v, struct interfaces *all, struct xdp_wish xdp, struct prefix *prefixes,
		 size_t n_prefixes, struct error *err)
{
	int r = check_all(v->netlink, all, &v->own, err);

	/* A start logs the interfaces that stay attached, and continues. */
	if (!r && v->applied)
		r = devices_check_others(v, all, err);
	if (!r) {
		devices_shut_guard(v, all);
		devices_change_begins(v);
		r = change(v, all, prefixes ? prefixes : v->prefixes, n_prefixes, err);
		/* Reopen if the change was undone; a first start had nothing open. */
		if (!r || v->applied)
			devices_open_guard(v, r ? &v->interfaces : all);
	}
	if (r)
		return r;
	devices_change_ends(v);
	start(v, all);
	devices_detach_others(v, all);
	free(v->interfaces.list);
	v->interfaces = *all;
	v->xdp = xdp;
	devices_record(v, &v->interfaces);
	return 0;
}

int devices_exclude(struct devices *v, const struct config *c, struct error *err)
{
	struct prefix_list special;
	int r = pools_of(c, &special);

	for (size_t k = 0; !r && k < c->n_bypass; k++)
		r = add_prefix(&special, c->bypass[k]);
	if (!r)
		r = route_copy_set_special(v->copy, special.of, special.n);
	free(special.of);
	return r ? error_set(err, r, "out of memory") : devices_six_take(v, c, err);
}

/* apply() with the tenants of a configuration, which stay the former ones if it fails. */
static int apply_with_tenants(struct devices *v, const struct config *c, struct interfaces *all, struct xdp_wish xdp,
			      struct prefix *prefixes, size_t n_prefixes, struct error *err)
{
	_cleanup_free_ struct tenant_vrf *before = malloc(sizeof(v->tenants));
	int r;

	if (!before)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(before, v->tenants, sizeof(v->tenants));
	devices_take_tenants(v, c);
	r = apply(v, all, xdp, prefixes, n_prefixes, err);
	if (!r)
		return 0;
	memcpy(v->tenants, before, sizeof(v->tenants));
	if (v->applied)
		devices_record(v, &v->interfaces);
	return r;
}

int devices_apply(struct devices *v, const struct config *c, struct error *err)
{
	struct own_programs own;
	struct interfaces all = { 0 };
	struct prefix *prefixes = NULL;
	int r = own_programs_read(v->pin_path, v->datapath, &own);
	size_t n_prefixes = 0, n_patterns = 0;
	_cleanup_free_ struct config_interface *patterns = devices_patterns_of(c, &n_patterns);
	struct xdp_wish xdp;

	if (r)
		return error_set(err, r, "the pinned programs cannot be read: %s", strerror(-r));
	own_programs_free(&v->own);
	v->own = own;
	if (!v->applied && !v->interfaces.list) {
		r = interfaces_remembered(v->netlink, v->datapath->pin_dir, &own, &v->interfaces);
		if (r)
			return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	}
	if (!patterns)
		return error_set(err, -ENOMEM, "out of memory");
	xdp = interfaces_wish(v->netlink, c->interfaces, c->n_interfaces, &v->interfaces, config_xdp(c));
	r = interfaces_plan(v->netlink, c->interfaces, c->n_interfaces, &v->interfaces, &own, xdp, &all, err);
	if (!r)
		r = prefixes_of(c, &prefixes, &n_prefixes, err);
	if (!r)
		r = apply_with_tenants(v, c, &all, xdp, prefixes, n_prefixes, err);
	if (r) {
		free(all.list);
		free(prefixes);
		return r;
	}
	free(v->prefixes);
	v->prefixes = prefixes;
	v->n_prefixes = n_prefixes;
	v->answers_arp = c->answer_arp;
	free(v->patterns);
	v->patterns = take_pointer(patterns);
	v->n_patterns = n_patterns;
	v->applied = true;
	devices_hold_copy(v);
	/* devices_sync() logs names that do not match their links. */
	devices_mark_all(v);
	devices_schedule_sync(v, 0);
	return 0;
}

static bool has_prefix(const struct prefix *list, size_t n, struct prefix p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_equal(list[i], p))
			return true;
	return false;
}

/* With more prefixes that differ, all routes are compared. */
#define FEW_PREFIXES 64U

/* Gives the pools the routes that differ from those of v's own pools. */
static int change_routes(struct devices *v, const struct prefix *prefixes, size_t n, struct error *err)
{
	struct prefix_stretch came = { prefixes, n }, went = { v->prefixes, v->n_prefixes };
	struct prefix gone[FEW_PREFIXES];
	struct blackholes to_add, to_delete;
	size_t n_gone = 0;

	prefix_stretches_leave_differences(&came, &went);
	if (!v->own_routes.known || came.n > FEW_PREFIXES || went.n > FEW_PREFIXES)
		return apply_routes(v, prefixes, n, err);
	/* Draining mappings may have the same addresses elsewhere in the list. */
	for (size_t i = 0; i < went.n; i++)
		if (!has_prefix(prefixes, n, went.prefix[i]))
			gone[n_gone++] = went.prefix[i];
	to_add = devices_blackholes(v, came.prefix, came.n);
	to_delete = devices_blackholes(v, gone, n_gone);
	return routes_change(v->netlink, &v->own_routes, &to_add, &to_delete, err);
}

int devices_change_pools(struct devices *v, const struct config *c, struct error *err)
{
	struct prefix *prefixes = NULL;
	size_t n = 0;
	int r = prefixes_of(c, &prefixes, &n, err);

	if (r)
		return r;
	r = change_routes(v, prefixes, n, err);
	if (r) {
		free(prefixes);
		apply_routes(v, v->prefixes, v->n_prefixes, NULL);
		return r;
	}
	free(v->prefixes);
	v->prefixes = prefixes;
	v->n_prefixes = n;
	v->answers_arp = c->answer_arp;
	devices_announce(v);
	return 0;
}

int devices_replan(struct devices *v, struct error *err)
{
	_cleanup_free_ struct config_interface *wanted =
		calloc(v->interfaces.count + v->n_patterns + 1, sizeof(*wanted));
	struct interfaces all = { 0 };
	size_t n = 0;
	int r;

	if (!wanted)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		if (i->hidden || i->pattern[0])
			continue;
		memcpy(wanted[n].name, i->name, sizeof(wanted[n].name));
		wanted[n].tenant = i->tenant;
		memcpy(wanted[n].vrf, i->vrf, sizeof(wanted[n].vrf));
		wanted[n].xdp_mode = (uint8_t)(1 + i->xdp.mode);
		wanted[n].xdp_dispatcher = (uint8_t)(1 + i->xdp.dispatcher);
		wanted[n].xdp_priority = (uint16_t)(1 + i->xdp.priority);
		wanted[n++].roles = i->roles;
	}
	for (size_t k = 0; k < v->n_patterns; k++)
		wanted[n++] = v->patterns[k];
	r = interfaces_plan(v->netlink, wanted, n, &v->interfaces, &v->own, v->xdp, &all, err);
	if (r)
		return r;
	if (!interfaces_same_plan(&all, &v->interfaces))
		r = apply(v, &all, v->xdp, NULL, v->n_prefixes, err);
	else
		free(take_pointer(all.list));
	if (r)
		free(all.list);
	return r;
}
