/* SPDX-License-Identifier: BSD-2-Clause */
/* Maintains the map `vlans`, by which the datapath finds VLAN interfaces by tag. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "links/interfaces.h"

/* The key for an interface's frames; false if it receives none. */
static bool key_of(const struct interface *i, struct vlan_key *ret)
{
	if (!i->carrier || !(i->link.flags & IFF_UP) || i->link.ifindex >= MAX_IFINDEX)
		return false;
	*ret = (struct vlan_key){ .lower = i->link.lower, .tpid = i->link.vlan_tpid, .id = i->link.vlan_id };
	return true;
}

static bool is_wanted(const struct interfaces *all, const struct vlan_key *key, uint32_t ifindex)
{
	const struct interface *i = interfaces_find_index(all, ifindex);
	struct vlan_key wanted;

	return i && key_of(i, &wanted) && !memcmp(key, &wanted, sizeof(wanted));
}

int interfaces_tell_vlans(const struct interfaces *all, int vlans)
{
	struct vlan_key key, next;
	bool more = !bpf_map_get_next_key(vlans, NULL, &next);
	uint32_t ifindex;
	int failed = 0;

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(vlans, &key, &next);
		if (!bpf_map_lookup_elem(vlans, &key, &ifindex) && !is_wanted(all, &key, ifindex))
			bpf_map_delete_elem(vlans, &key);
	}
	for (size_t k = 0; k < all->count; k++) {
		if (!key_of(&all->list[k], &key) ||
		    (!bpf_map_lookup_elem(vlans, &key, &ifindex) && ifindex == all->list[k].link.ifindex))
			continue;
		if (bpf_map_update_elem(vlans, &key, &all->list[k].link.ifindex, BPF_ANY))
			failed = -errno;
	}
	return failed;
}
