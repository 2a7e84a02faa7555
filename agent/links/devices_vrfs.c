/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VRFs that interfaces of the configuration are in. The kernel gives a VRF's index to what comes in through its
 * interfaces before tc sees it at an egress, and before the guard sees it for the second time. So each VRF has a record
 * with the roles of its interfaces, and is open in the guard while one of them is. Its table needs blackhole routes,
 * too. Packets to subscribers of a tenant in a VRF are routed by it, whichever interface they came in by.
 */
#include <string.h>

#include "links/devices_private.h"

/* What is known of a VRF. */
struct vrf {
	struct link link;
	struct device record;
};

static struct vrf *find(struct vrf *list, size_t n, uint32_t ifindex)
{
	for (size_t k = 0; k < n; k++)
		if (list[k].link.ifindex == ifindex)
			return &list[k];
	return NULL;
}

/* Adds the VRF of an interface to a list that has room. One that has just vanished is passed over. */
static size_t add(struct devices *v, struct vrf *list, size_t n, const struct interface *i)
{
	uint32_t ifindex = link_vrf(&i->link);
	struct vrf *of = find(list, n, ifindex);

	if (!ifindex || ifindex >= MAX_IFINDEX || !i->roles || i->misplaced)
		return n;
	if (!of) {
		of = &list[n];
		*of = (struct vrf){ 0 };
		if (link_by_index(v->netlink, ifindex, &of->link))
			return n;
		of->record = (struct device){ .flags = DEVICE_VRF, .mtu = of->link.mtu };
		memcpy(of->record.mac, of->link.mac, sizeof(of->record.mac));
		n++;
	}
	of->record.roles |= i->roles;
	if (i->tenant)
		of->record.tenant = i->tenant;
	/* The source of ICMP errors: an address towards subscribers, if there is one. */
	if (i->addr && (!of->record.addr || i->roles & DEVICE_INSIDE))
		of->record.addr = i->addr;
	return n;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Takes over the tables; without memory the former ones stay. */
static void take_tables(struct devices *v, const struct vrf *list, size_t n)
{
	_cleanup_free_ uint32_t *tables = calloc(n + 1, sizeof(*tables));
	size_t n_tables = 0;

	if (!tables)
		return;
	for (size_t k = 0; k < n; k++)
		if (list[k].link.vrf_table && list[k].link.vrf_table != RT_TABLE_MAIN)
			tables[n_tables++] = list[k].link.vrf_table;
	qsort(tables, n_tables, sizeof(*tables), compare_numbers);
	if (n_tables == v->n_vrf_tables && (!n_tables || !memcmp(tables, v->vrf_tables, n_tables * sizeof(*tables))))
		return;
	free(v->vrf_tables);
	v->vrf_tables = take_pointer(tables);
	v->n_vrf_tables = n_tables;
	v->routes_dirty = true;
}

/* Clears the records of other VRFs, an earlier agent's, too. */
static bool forget_others(struct devices *v, struct vrf *list, size_t n)
{
	static const struct device none;
	bool changed = false;

	for (uint32_t ifindex = 1; ifindex < MAX_IFINDEX; ifindex++)
		if (v->datapath->device[ifindex].flags & DEVICE_VRF && !find(list, n, ifindex))
			changed |= device_store(v->datapath, ifindex, &none);
	return changed;
}

/* The way to a tenant's subscribers: none while no interface of the configuration is in its VRF. */
static uint32_t way_to(const struct tenant_vrf *t, const struct vrf *list, size_t n)
{
	if (!t->exists)
		return WAY_NONE;
	if (!*t->vrf)
		return WAY_MAIN;
	for (size_t k = 0; k < n; k++)
		if (!strcmp(list[k].link.name, t->vrf))
			return list[k].link.ifindex;
	return WAY_NONE;
}

static bool store_ways(struct devices *v, const struct vrf *list, size_t n)
{
	bool changed = false;

	for (size_t k = 0; k < MAX_TENANT_NUMBERS; k++) {
		uint32_t way = way_to(&v->tenants[k], list, n);

		changed |= v->datapath->way[k] != way;
		__atomic_store_n(&v->datapath->way[k], way, __ATOMIC_RELAXED);
	}
	return changed;
}

bool devices_record_vrfs(struct devices *v, const struct interfaces *all)
{
	_cleanup_free_ struct vrf *list = calloc(all->count + 1, sizeof(*list));
	bool changed = false;
	size_t n = 0;

	if (!list)
		return false;
	for (size_t k = 0; k < all->count; k++)
		n = add(v, list, n, &all->list[k]);
	if (n || v->n_vrfs || !v->vrfs_read)
		changed = forget_others(v, list, n);
	v->vrfs_read = true;
	v->n_vrfs = n;
	for (size_t k = 0; k < n; k++)
		changed |= device_store(v->datapath, list[k].link.ifindex, &list[k].record);
	changed |= store_ways(v, list, n);
	take_tables(v, list, n);
	return changed;
}

void devices_take_tenants(struct devices *v, const struct config *c)
{
	memset(v->tenants, 0, sizeof(v->tenants));
	for (size_t k = 0; k < c->n_tenants; k++) {
		struct tenant_vrf *t = &v->tenants[c->tenants[k].id];

		t->exists = true;
		memcpy(t->vrf, c->tenants[k].vrf, sizeof(t->vrf));
	}
}

bool devices_wants_into_vrf(const struct devices *v, const struct interface *i)
{
	bool any = false;

	for (size_t k = 0; !any && k < MAX_TENANT_NUMBERS; k++)
		any = *v->tenants[k].vrf;
	return any && i->roles & DEVICE_OUTSIDE && !i->without_xdp[0] && !link_is_bare(&i->link);
}

int devices_attach_into_vrf(struct devices *v, struct interface *i, struct error *err)
{
	int r;

	if (devices_wants_into_vrf(v, i))
		return tc_attach(v->netlink, &v->own, &i->link, TC_INTO_VRF, v->datapath->tc_into_vrf, &i->made_clsact,
				 err);
	r = tc_detach(v->netlink, &v->own, i->link.ifindex, TC_INTO_VRF, false);
	return r ? error_set(err, r, "%s: the tc program for VRFs cannot be detached: %s", i->name, strerror(-r)) : 0;
}

size_t devices_add_vrf(const struct interface *i, uint32_t *open, size_t n)
{
	uint32_t vrf = link_vrf(&i->link);

	for (size_t k = 0; k < n; k++)
		if (open[k] == vrf)
			return n;
	if (vrf)
		open[n++] = vrf;
	return n;
}

struct blackholes devices_blackholes(const struct devices *v, const struct prefix *prefix, size_t count)
{
	return (struct blackholes){ prefix, count, v->vrf_tables, v->n_vrf_tables };
}
