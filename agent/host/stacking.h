/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces stacked on others (VLAN, bond, bridge, …). The functions take all links of the namespace, as links_read()
 * returns them.
 */
#ifndef DETNAT_STACKING_H
#define DETNAT_STACKING_H

#include <stdbool.h>
#include <stdint.h>

#include "host/netlink.h"

struct link_list {
	const struct link *link;
	size_t count;
};

/* Whether the interface has lower interfaces, whose GRO merges packets before they reach it. */
bool link_is_stacked(const struct link *l);

bool link_is_vlan(const struct link *l);

/* Whether one interface is above another, directly or not: as its upper interface, or with it as a port. */
bool link_stands_on(const struct link_list *all, const struct link *upper, const struct link *lower);

/* The same, but only if the lower one sees the upper one's packets unchanged: neither tagged nor encrypted. */
bool link_shows_in(const struct link_list *all, const struct link *upper, const struct link *lower);

/* Number of layers below it; 0 for an interface without lower ones. */
unsigned link_height(const struct link_list *all, const struct link *l);

/* NULL if there is none with that index. */
const struct link *link_find(const struct link_list *all, uint32_t ifindex);

/*
 * The interface whose XDP program sees the frames of a VLAN interface, with their tags: the first below that is not a
 * VLAN interface. NULL if that is in another namespace, or if there are more tags than the datapath parses.
 */
const struct link *vlan_carrier(const struct link_list *all, const struct link *vlan);

/* Name of the offload with which drivers strip the outermost tag of a VLAN interface's frames. */
const char *vlan_offload(const struct link_list *all, const struct link *vlan);

/*
 * The first interface below that strips tags before XDP sees them, as drivers do when that offload is on: the carrier
 * itself, or a port of it. NULL: none does.
 */
const struct link *tags_taken_by(const struct link_list *all, const struct link *carrier, const char *offload);

/*
 * The first interface at the bottom of a stack whose GRO is on, so that generic XDP above it sees merged packets
 * without valid checksums. NULL: none.
 */
const struct link *merged_by(const struct link_list *all, const struct link *l);

/* A driver's name, offloads and receive queues, as ethtool shows them. */

#define OFFLOAD_GRO	     "rx-gro"
#define OFFLOAD_LRO	     "rx-lro"
#define OFFLOAD_GRO_HW	     "rx-gro-hw"
#define OFFLOAD_VLAN	     "rx-vlan-hw-parse"
#define OFFLOAD_SERVICE_VLAN "rx-vlan-stag-hw-parse"

/* Whether an offload is on; false also if the driver or the kernel does not know it. */
bool offload_is_on(const char *name, const char *offload);

#define DRIVER_NAME  32
#define DRIVER_PLACE 32

/* Name of the driver; false if there is none. */
bool driver_name(const char *name, char ret[static DRIVER_NAME]);

/* The same, and where its device is on its bus, such as 0000:00:03.0; "" if the driver does not tell. */
bool driver_and_place(const char *name, char ret[static DRIVER_NAME], char ret_place[static DRIVER_PLACE]);

/* Number of receive queues in use, and the driver's maximum. False if the driver does not report them. */
bool receive_queues(const char *name, uint32_t *ret_used, uint32_t *ret_most);

/* How a card distributes what it receives, and how it moderates its interrupts. 0: the driver does not report it. */
struct card {
	char driver[DRIVER_NAME]; /* "" if there is none */
	uint32_t queues;	  /* receive queues in use */
	uint32_t most_queues;
	uint32_t rss_queues; /* different queues in the indirection table of RSS */
	bool moderates;	     /* the next three are known */
	bool adaptive;
	uint32_t rx_usecs; /* microseconds from a frame to the interrupt */
	uint32_t rx_frames;
};

/* Reads all of it; a driver that does not report something leaves it 0. */
void card_read(const char *name, struct card *ret);

#endif
