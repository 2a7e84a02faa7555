/* SPDX-License-Identifier: BSD-2-Clause */
#include "stacking.h"

#include <linux/if_ether.h>
#include <string.h>

#include <detnat/tables.h>

#include "offloads.h"

/* Deeper than anybody stacks; the kernel's own limit is 8. */
#define MAX_DEPTH 8

static bool is_one_of(const char *kind, const char *const *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

bool link_is_stacked(const struct link *l)
{
	static const char *const kinds[] = { "vlan", "bridge", "bond", "team", "macvlan", "macsec", "ipvlan", "hsr" };

	return is_one_of(l->kind, kinds, ARRAY_SIZE(kinds));
}

bool link_is_vlan(const struct link *l)
{
	return !strcmp(l->kind, "vlan");
}

const struct link *link_find(const struct link_list *all, uint32_t ifindex)
{
	for (size_t i = 0; ifindex && i < all->count; i++)
		if (all->link[i].ifindex == ifindex)
			return &all->link[i];
	return NULL;
}

const struct link *vlan_carrier(const struct link_list *all, const struct link *vlan)
{
	const struct link *l = vlan;

	for (unsigned tags = 0; l && link_is_vlan(l); tags++) {
		if (tags == MAX_VLAN_TAGS)
			return NULL;
		l = link_find(all, l->lower);
	}
	return l;
}

/* The first interface at the bottom whose offload is on. */
static const struct link *search(const struct link_list *all, const struct link *l, int depth, const char *offload)
{
	/* A veth names its peer as the interface below. */
	const struct link *lower = link_is_stacked(l) ? link_find(all, l->lower) : NULL, *below;
	bool bottom = !lower;

	if (depth == MAX_DEPTH)
		return NULL;
	if (lower) {
		below = search(all, lower, depth + 1, offload);
		if (below)
			return below;
	}
	for (size_t i = 0; i < all->count; i++) {
		if (all->link[i].master != l->ifindex || all->link[i].ifindex == l->ifindex)
			continue;
		bottom = false;
		below = search(all, &all->link[i], depth + 1, offload);
		if (below)
			return below;
	}
	return bottom && offload_is_on(l->name, offload) ? l : NULL;
}

const char *vlan_offload(const struct link_list *all, const struct link *vlan)
{
	const struct link *l = vlan, *lower;

	for (unsigned tags = 0; tags < MAX_VLAN_TAGS; tags++, l = lower) {
		lower = link_find(all, l->lower);
		if (!lower || !link_is_vlan(lower))
			break;
	}
	return l->vlan_tpid == ETH_P_8021AD ? OFFLOAD_SERVICE_VLAN : OFFLOAD_VLAN;
}

const struct link *tags_taken_by(const struct link_list *all, const struct link *carrier, const char *offload)
{
	return search(all, carrier, 0, offload);
}

const struct link *merged_by(const struct link_list *all, const struct link *l)
{
	const struct link *by = link_is_stacked(l) ? search(all, l, 0, OFFLOAD_GRO) : NULL;

	return by && by->ifindex != l->ifindex ? by : NULL;
}
