/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces that stand on others. The functions look at all links of the namespace, as links_read() returns them.
 */
#ifndef DETNAT_STACKING_H
#define DETNAT_STACKING_H

#include "host/netlink.h"

struct link_list {
	const struct link *link;
	size_t count;
};

/* Whether the interface stands on others: their GRO merges packets before it sees them. */
bool link_is_stacked(const struct link *l);

bool link_is_vlan(const struct link *l);

/* Whether one interface stands on another, be it by others in between: as its port, or on top of it. */
bool link_stands_on(const struct link_list *all, const struct link *upper, const struct link *lower);

/* The same where the lower one sees the upper one's packets as its own: not where they are tagged or encrypted there.
 */
bool link_shows_in(const struct link_list *all, const struct link *upper, const struct link *lower);

/* How many interfaces stand below it, one on another; 0 for one that stands on none. */
unsigned link_height(const struct link_list *all, const struct link *l);

/* NULL where there is none of that index. */
const struct link *link_find(const struct link_list *all, uint32_t ifindex);

/*
 * The interface whose XDP program sees the frames of a VLAN interface, with their tags: the first below that is no VLAN
 * interface itself. NULL where it is in another namespace or there are more tags than the datapath looks at.
 */
const struct link *vlan_carrier(const struct link_list *all, const struct link *vlan);

/* Name of the offload by which drivers take the outermost tag of a VLAN interface's frames off. */
const char *vlan_offload(const struct link_list *all, const struct link *vlan);

/*
 * The first interface below that takes tags off before XDP can see them, as drivers do when that offload is on: the
 * carrier itself, or a port of it. NULL: none does.
 */
const struct link *tags_taken_by(const struct link_list *all, const struct link *carrier, const char *offload);

/*
 * The first interface at the bottom of a stack whose GRO is on, so that generic XDP above sees packets merged, with
 * checksums that are none. NULL: there is none.
 */
const struct link *merged_by(const struct link_list *all, const struct link *l);

#endif
