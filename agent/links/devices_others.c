/* SPDX-License-Identifier: BSD-2-Clause */
/* Removes this datapath's programs from interfaces that should have none. */
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

#include "base/log.h"
#include "datapath/map_keys.h"
#include "links/devices_private.h"
#include "routing/routes.h"

/* devices_record_vrfs() maintains the records of VRFs. */
static bool is_recorded(const struct device *d)
{
	return (d->roles || d->lower) && !(d->flags & DEVICE_VRF);
}

/* Whether a record is that of a port whose bond is in the list; devices_record_ports() maintains those. */
static bool is_port_of_any(const struct interfaces *all, const struct device *d)
{
	return d->master && interfaces_find_index(all, d->master);
}

/* Whether a link carries anything of this datapath; other datapaths have their own pin paths and interfaces. */
static bool is_ours(struct netlink *n, const struct datapath *d, const struct own_programs *own, const struct link *l)
{
	if (d->device && l->ifindex < MAX_IFINDEX && is_recorded(&d->device[l->ifindex]))
		return true;
	return own_programs_share(own, l->ifindex) || link_carries(n, l, own) ||
	       tcx_program(own->pin_path, l->ifindex, TC_EGRESS);
}

struct standing {
	const struct link *link;
	unsigned height;
};

static int compare_height(const void *a, const void *b)
{
	const struct standing *x = a, *y = b;

	return (x->height < y->height) - (x->height > y->height);
}

/*
 * Finds the links that carry programs of this datapath and are not in the list (NULL: all links). Upper interfaces come
 * first, because the kernel refuses to change an XDP program below an interface that has one. The caller frees *ret. 0
 * or -ENOMEM.
 */
static int find_others(struct netlink *nl, const struct datapath *d, const struct own_programs *own,
		       const struct link_list *links, const struct interfaces *all, struct standing **ret,
		       size_t *ret_count)
{
	struct standing *list = calloc(links->count + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t k = 0; k < links->count; k++) {
		const struct link *l = &links->link[k];

		if (all && (interfaces_find_index(all, l->ifindex) ||
			    (l->ifindex < MAX_IFINDEX && is_port_of_any(all, &d->device[l->ifindex]))))
			continue;
		if (is_ours(nl, d, own, l))
			list[n++] = (struct standing){ .link = l, .height = link_height(links, l) };
	}
	qsort(list, n, sizeof(*list), compare_height);
	*ret = list;
	*ret_count = n;
	return 0;
}

/* Reads the kernel's links and finds the others among them. The caller frees *ret_read, which holds the links. */
static int read_others(const struct devices *v, const struct interfaces *all, struct link **ret_read,
		       struct link_list *ret_links, struct standing **ret, size_t *ret_count)
{
	int r = links_read(v->netlink, ret_read, &ret_links->count);

	ret_links->link = *ret_read;
	return r ? r : find_others(v->netlink, v->datapath, &v->own, ret_links, all, ret, ret_count);
}

int devices_check_others(struct devices *v, const struct interfaces *all, struct error *err)
{
	_cleanup_free_ struct link *read = NULL;
	_cleanup_free_ struct standing *others = NULL;
	struct link_list links = { 0 };
	size_t n = 0;
	int r = read_others(v, all, &read, &links, &others, &n);

	if (r)
		return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	for (size_t k = 0; k < n; k++)
		for (size_t u = 0; u < links.count; u++) {
			const struct link *upper = &links.link[u], *lower = others[k].link;

			if (lower->xdp.attached == XDP_ATTACHED_NONE || upper->xdp.attached == XDP_ATTACHED_NONE ||
			    !link_stands_on(&links, upper, lower) ||
			    (is_ours(v->netlink, v->datapath, &v->own, upper) &&
			     !interfaces_find_index(all, upper->ifindex)))
				continue;
			return error_set(
				err, -EBUSY,
				"%s: the kernel removes no program from it while %s, which is stacked on it, has one; "
				"detach that one first, 'detnatctl interface del %s' if it is detnat's",
				lower->name, upper->name, upper->name);
		}
	return 0;
}

static bool is_in_list(const void *ifindex, const void *all)
{
	return interfaces_find_index(all, *(const uint32_t *)ifindex);
}

static void tell_detached(const char *name)
{
	struct interface i = { 0 };

	log_info("%s: detached", name);
	snprintf(i.name, sizeof(i.name), "%s", name);
	devices_tell(&i, LOG_LEVEL_INFO, "interface-detached", "the programs were detached");
}

void devices_detach_others(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ struct link *read = NULL;
	_cleanup_free_ struct standing *others = NULL;
	struct link_list links = { 0 };
	struct error err = { 0 };
	size_t n = 0;
	int r = read_others(v, all, &read, &links, &others, &n);

	if (r)
		log_warning("former interfaces cannot be detached: %s", strerror(-r));
	for (size_t k = 0; k < n; k++) {
		const struct link *l = others[k].link;

		redirects_stop(v->redirects, l->ifindex);
		r = interface_detach(v->netlink, v->datapath, &v->own, l->ifindex, &err);
		if (r)
			log_warning("%s: cannot be detached: %s", l->name, err.text);
		else
			tell_detached(l->name);
	}
	/* Records left by an earlier agent, for interfaces that are gone. */
	for (uint32_t ifindex = 1; ifindex < MAX_IFINDEX; ifindex++)
		if (is_recorded(&v->datapath->device[ifindex]) && !interfaces_find_index(all, ifindex) &&
		    !is_port_of_any(all, &v->datapath->device[ifindex])) {
			redirects_stop(v->redirects, ifindex);
			interface_detach(v->netlink, v->datapath, &v->own, ifindex, NULL);
		}
	/* For interfaces without a record by an earlier agent. */
	map_keep(v->datapath->ports, sizeof(uint32_t), is_in_list, all);
	for (size_t k = 0; k < all->count; k++) {
		struct interface *i = &all->list[k];

		if (share_detach_former(v->datapath, i->link.ifindex, &v->own, &err))
			log_warning("%s: the component of a former version stays under libxdp's dispatcher: %s",
				    i->name, err.text);
		if (i->link.ifindex && devices_settle_tc(v, i, &err))
			log_warning("%s", err.text);
		if (!i->link.ifindex || interface_has_egress(i))
			continue;
		tc_detach(v->netlink, &v->own, i->link.ifindex, TC_INTO_VRF, false);
		tc_detach(v->netlink, &v->own, i->link.ifindex, TC_EGRESS,
			  devices_ends_clsact(v, i) && i->attachment != DEVICE_TC);
		i->made_clsact &= i->attachment == DEVICE_TC || v->own.by_links;
	}
}

int devices_detach_all(struct datapath *d, struct error *err)
{
	_cleanup_netlink_ struct netlink *n = NULL;
	__attribute__((cleanup(own_programs_free))) struct own_programs own = { 0 };
	_cleanup_free_ struct link *read = NULL;
	_cleanup_free_ struct standing *ours = NULL;
	_cleanup_free_ char *pin_path = strdup(d->pin_dir);
	struct link_list links = { 0 };
	struct error failures = { 0 }, why = { 0 };
	size_t count = 0;
	int r = pin_path ? netlink_new(&n) : -ENOMEM, failed = 0;

	if (!r) {
		*strrchr(pin_path, '/') = '\0';
		r = own_programs_read(pin_path, d, &own);
	}
	if (!r)
		r = links_read(n, &read, &links.count);
	links.link = read;
	if (!r)
		r = find_others(n, d, &own, &links, NULL, &ours, &count);
	if (r)
		return error_set(err, r, "the interfaces cannot be read: %s", strerror(-r));
	for (size_t k = 0; k < count; k++) {
		const struct link *l = ours[k].link;
		size_t length = strlen(failures.text);

		/* First, as a component that stays needs its record. */
		r = share_detach(d, l->ifindex, &own, &why);
		if (!r) {
			share_detach_stray(d, l, &own);
			r = interface_detach(n, d, &own, l->ifindex, &why);
		}
		if (!r)
			continue;
		failed = r;
		snprintf(failures.text + length, sizeof(failures.text) - length, "%s%s: cannot be detached: %.400s",
			 length ? "; " : "", ours[k].link->name, why.text);
	}
	r = routes_remove_all(n, failed ? NULL : err);
	return failed ? error_set(err, failed, "%s", failures.text) : r;
}
