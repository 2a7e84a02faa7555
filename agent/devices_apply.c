/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the machine's interfaces equal to the configuration, whole or not at all. */
#include <errno.h>
#include <string.h>

#include "interfaces.h"
#include "log.h"
#include "routes.h"

static const char *roles_name(uint8_t roles)
{
	return roles == DEVICE_INSIDE ? "inside" : roles == DEVICE_OUTSIDE ? "outside" : "inside and outside";
}

/* ---- preparation: nothing is touched ---------------------------------------------------------------------------- */

static int prefixes_of(const struct config *c, struct prefix **ret, struct error *err)
{
	struct prefix *prefixes = calloc(c->n_mappings + 1, sizeof(*prefixes));

	if (!prefixes)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t k = 0; k < c->n_mappings; k++)
		prefixes[k] = c->mappings[k].out;
	*ret = prefixes;
	return 0;
}

static int check_all(const struct interfaces *all, const struct own_programs *own, struct error *err)
{
	int r = 0;

	for (size_t k = 0; !r && k < all->count; k++)
		if (all->list[k].link.ifindex)
			r = xdp_check(&all->list[k].link, own, err);
	return r;
}

static void release_netlink(struct netlink **n)
{
	netlink_free(*n);
}

int devices_check(const struct config *c, struct error *err)
{
	__attribute__((cleanup(release_netlink))) struct netlink *n = NULL;
	__attribute__((cleanup(own_programs_free))) struct own_programs own = { 0 };
	static const struct interfaces none;
	struct interfaces all = { 0 };
	int r = netlink_new(&n);

	if (!r)
		r = own_programs_read(c->pin_path, NULL, &own);
	if (r)
		return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	r = interfaces_plan(n, c->interfaces, c->n_interfaces, &none, c->xdp_mode, &all, err);
	if (!r)
		r = check_all(&all, &own, err);
	free(all.list);
	return r;
}

/* ---- attach, and back -----------------------------------------------------------------------------------------------
 */

typedef int (*attach_step)(struct devices *v, struct interface *i, enum xdp_mode mode, struct error *err);

static int step_begin(struct devices *v, struct interface *i, enum xdp_mode mode, struct error *err)
{
	interface_record_begin(v, i);
	return 0;
}

static int step_tc(struct devices *v, struct interface *i, enum xdp_mode mode, struct error *err)
{
	return interface_attach_tc(v, i, err);
}

static int step_xdp(struct devices *v, struct interface *i, enum xdp_mode mode, struct error *err)
{
	return interface_attach_xdp(v, i, mode, err);
}

/*
 * All records first, then tc, then XDP: what XDP hands up to be translated at the egress must find somebody there. An
 * interface that vanishes under way is absent, which is no failure.
 */
static int attach_all(struct devices *v, struct interfaces *all, enum xdp_mode mode, struct error *err)
{
	static const attach_step steps[] = { step_begin, step_tc, step_xdp };

	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		for (size_t k = 0; k < all->count; k++) {
			struct interface *i = &all->list[k];
			int r = i->link.ifindex ? steps[s](v, i, mode, err) : 0;

			if (r == -ENODEV)
				interface_lost(v, i);
			else if (r)
				return r;
		}
	}
	interfaces_carry(all);
	return 0;
}

static int note_all(struct devices *v, const struct interfaces *all, struct attach_before *before, struct error *err)
{
	int r = 0;

	for (size_t k = 0; !r && k < all->count; k++)
		if (all->list[k].link.ifindex)
			r = attach_note(&all->list[k].link, v->datapath, &v->own, &before[k]);
	return r ? error_set(err, r, "what the interfaces carry cannot be read: %s", strerror(-r)) : 0;
}

static void restore_all(struct devices *v, const struct interfaces *all, const struct attach_before *before)
{
	for (size_t k = 0; k < all->count; k++)
		attach_restore(v->netlink, v->datapath, &before[k], &v->own, all->list[k].made_clsact);
	if (v->applied)
		routes_apply(v->netlink, v->prefixes, v->n_prefixes, NULL);
	monitor_raise_epoch(v->monitor);
}

static int change(struct devices *v, struct interfaces *all, enum xdp_mode mode, const struct prefix *prefixes,
		  size_t n_prefixes, struct error *err)
{
	_cleanup_free_ struct attach_before *before = calloc(all->count + 1, sizeof(*before));
	int r;

	if (!before)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t k = 0; k < all->count; k++)
		before[k].xdp = before[k].tc = -1;
	r = note_all(v, all, before, err);
	if (!r) {
		r = attach_all(v, all, mode, err);
		if (!r)
			r = routes_apply(v->netlink, prefixes, n_prefixes, err);
		if (r)
			restore_all(v, all, before);
	}
	for (size_t k = 0; k < all->count; k++)
		attach_forget(&before[k]);
	return r;
}

/* ---- what is no longer wanted -------------------------------------------------------------------------------------
 */

static bool is_recorded(const struct device *d)
{
	return d->roles || d->lower;
}

/* Whether a link carries something of this datapath: there may be others, with a pin path and interfaces of their own.
 */
static bool is_ours(const struct datapath *d, const struct own_programs *own, const struct link *l)
{
	if (d->device && l->ifindex < MAX_IFINDEX && is_recorded(&d->device[l->ifindex]))
		return true;
	return l->xdp.prog_id && own_programs_has(own, l->xdp.prog_id);
}

/* The new configuration runs already, so failures here are told but change nothing. */
static void detach_others(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ struct link *links = NULL;
	size_t n_links = 0;
	int r = links_read(v->netlink, &links, &n_links);

	for (size_t k = 0; k < n_links; k++) {
		const struct link *l = &links[k];
		if (!is_ours(v->datapath, &v->own, l) || interfaces_find_index(all, l->ifindex))
			continue;
		redirects_stop(v->redirects, l->ifindex);
		r = interface_detach(v->netlink, v->datapath, &v->own, l->ifindex);
		if (r)
			log_warning("%s: cannot be detached: %s", l->name, strerror(-r));
		else
			log_info("%s: detached", l->name);
	}
	/* Records of interfaces that are gone, of an earlier agent's time. */
	for (uint32_t ifindex = 1; ifindex < MAX_IFINDEX; ifindex++)
		if (is_recorded(&v->datapath->device[ifindex]) && !interfaces_find_index(all, ifindex)) {
			redirects_stop(v->redirects, ifindex);
			interface_detach(v->netlink, v->datapath, &v->own, ifindex);
		}
	for (size_t k = 0; k < all->count; k++) {
		struct interface *i = &all->list[k];

		if (!i->link.ifindex || i->roles & DEVICE_OUTSIDE)
			continue;
		tc_detach(v->netlink, i->link.ifindex, v->datapath->device[i->link.ifindex].flags & DEVICE_CLSACT);
		i->made_clsact = false;
	}
}

static void say_attached(const struct interfaces *all, const struct interface *i)
{
	const struct interface *carrier = i->carrier ? interfaces_find_index(all, i->carrier) : NULL;
	const char *xdp = i->attachment == DEVICE_XDP_NATIVE ? "native" : "generic";

	if (i->hidden)
		log_info("%s: %s XDP, for the VLAN interfaces on it", i->name, xdp);
	else if (carrier)
		log_info("%s: %s, %s XDP on %s", i->name, roles_name(i->roles), xdp, carrier->name);
	else
		log_info("%s: %s, %s XDP", i->name, roles_name(i->roles), xdp);
}

static void start(struct devices *v, struct interfaces *all)
{
	for (size_t k = 0; k < all->count; k++) {
		struct interface *i = &all->list[k];
		const struct interface *known = interfaces_find(&v->interfaces, i->name);
		bool native = i->attachment == DEVICE_XDP_NATIVE;

		if (!i->link.ifindex || (i->hidden && i->carrier))
			continue;
		if (known && known->attachment == i->attachment && known->roles == i->roles &&
		    known->carrier == i->carrier)
			continue;
		say_attached(all, i);
		if (i->carrier) {
			interface_check_forwarding(i);
			continue;
		}
		if (i->link.port_kind[0] && strcmp(i->link.port_kind, "vrf"))
			log_warning("%s: is a port of a %s, to which routes point; most likely that one is meant",
				    i->name, i->link.port_kind);
		if (!i->hidden)
			interface_check_forwarding(i);
		redirects_start(v->redirects, &i->link, native, &i->health);
	}
}

/* Makes the interfaces those of the list, which becomes v's; prefixes NULL: those that v has. */
static int apply(struct devices *v, struct interfaces *all, enum xdp_mode mode, struct prefix *prefixes,
		 size_t n_prefixes, struct error *err)
{
	int r = check_all(all, &v->own, err);

	if (!r)
		r = change(v, all, mode, prefixes ? prefixes : v->prefixes, n_prefixes, err);
	if (r)
		return r;
	start(v, all);
	detach_others(v, all);
	interfaces_record(v, all);
	free(v->interfaces.list);
	v->interfaces = *all;
	v->mode = mode;
	return 0;
}

int devices_apply(struct devices *v, const struct config *c, struct error *err)
{
	struct own_programs own;
	struct interfaces all = { 0 };
	struct prefix *prefixes = NULL;
	int r = own_programs_read(v->pin_path, v->datapath, &own);

	if (r)
		return error_set(err, r, "the pinned programs cannot be read: %s", strerror(-r));
	own_programs_free(&v->own);
	v->own = own;
	r = interfaces_plan(v->netlink, c->interfaces, c->n_interfaces, &v->interfaces, c->xdp_mode, &all, err);
	if (!r)
		r = prefixes_of(c, &prefixes, err);
	if (!r)
		r = apply(v, &all, c->xdp_mode, prefixes, c->n_mappings, err);
	if (r) {
		free(all.list);
		free(prefixes);
		return r;
	}
	free(v->prefixes);
	v->prefixes = prefixes;
	v->n_prefixes = c->n_mappings;
	v->applied = true;
	return 0;
}

int devices_replan(struct devices *v, struct error *err)
{
	_cleanup_free_ struct config_interface *wanted = calloc(v->interfaces.count + 1, sizeof(*wanted));
	struct interfaces all = { 0 };
	size_t n = 0;
	int r;

	if (!wanted)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t k = 0; k < v->interfaces.count; k++) {
		const struct interface *i = &v->interfaces.list[k];

		if (i->hidden)
			continue;
		memcpy(wanted[n].name, i->name, sizeof(wanted[n].name));
		wanted[n++].roles = i->roles;
	}
	r = interfaces_plan(v->netlink, wanted, n, &v->interfaces, v->mode, &all, err);
	if (r)
		return r;
	if (!interfaces_same_plan(&all, &v->interfaces))
		r = apply(v, &all, v->mode, NULL, v->n_prefixes, err);
	else
		free(take_pointer(all.list));
	if (r)
		free(all.list);
	return r;
}

int devices_detach_all(struct datapath *d, struct error *err)
{
	__attribute__((cleanup(release_netlink))) struct netlink *n = NULL;
	__attribute__((cleanup(own_programs_free))) struct own_programs own = { 0 };
	_cleanup_free_ struct link *links = NULL;
	_cleanup_free_ char *pin_path = strdup(d->pin_dir);
	size_t n_links = 0;
	int r = pin_path ? netlink_new(&n) : -ENOMEM, failed = 0;

	if (!r) {
		*strrchr(pin_path, '/') = '\0';
		r = own_programs_read(pin_path, d, &own);
	}
	if (!r)
		r = links_read(n, &links, &n_links);
	if (r)
		return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	for (size_t k = 0; k < n_links; k++) {
		r = is_ours(d, &own, &links[k]) ? interface_detach(n, d, &own, links[k].ifindex) : 0;
		if (r)
			failed = error_set(err, r, "%s: cannot be detached: %s", links[k].name, strerror(-r));
	}
	r = routes_remove_all(n, failed ? NULL : err);
	return failed ? failed : r;
}
