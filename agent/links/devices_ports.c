/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of bonds. If a bond runs XDP natively, its ports run the program, which then sees frames as received by the
 * port. So each port has the record of its bond, including the bond's index, which the kernel uses for routing.
 */
#include <string.h>

#include "links/devices_private.h"

/* The bond in the list that the frames of a link belong to, or NULL. */
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
