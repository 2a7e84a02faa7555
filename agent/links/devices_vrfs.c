/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VRFs that interfaces of the configuration are in. The kernel gives a VRF's index to what comes in through its
 * interfaces before tc sees it at an egress, and before the guard sees it for the second time. So each VRF has a record
 * with the roles of its interfaces, and is open in the guard while one of them is. Its table needs blackhole routes,
 * too.
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
	take_tables(v, list, n);
	return changed;
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
