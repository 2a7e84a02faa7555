/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Next hops: numbered, reference-counted, and written to the records that the datapath reads. A record whose address
 * changes has its flags cleared at once; the new address is written only when no program can still be reading the old
 * one (fib_hops_settle_end()).
 */
#ifndef DETNAT_FIB_HOPS_H
#define DETNAT_FIB_HOPS_H

#include <detnat/fib.h>
#include <detnat/tables.h>

#include "fib/link_mtu6.h"
#include "fib/neighbour_table.h"

enum fib_way_kind {
	FIB_WAY_VIA,	 /* through an interface */
	FIB_WAY_DISCARD, /* blackhole, unreachable or prohibit */
	FIB_WAY_KERNEL,	 /* left to the kernel */
};

/* Identifies a next hop. Unused members are zero. */
struct fib_way {
	uint32_t ifindex;
	uint32_t object; /* id of the kernel's nexthop object, if the route refers to one, else 0 */
	uint32_t mtu;	 /* of the route; 0: none */
	uint8_t kind;	 /* enum fib_way_kind */
	uint8_t family;	 /* of the gateway; 0: on-link */
	uint8_t growth;	 /* octets by which a packet grows before it is sent: the record's MTU is less */
	uint8_t pad;
	uint8_t addr[16]; /* of the gateway, as in struct fib_neighbour */
};

struct fib_hop_state {
	struct fib_way way;
	uint32_t refs;
	uint8_t state;	/* enum hop_state */
	bool exposed;	/* programs may be reading the address */
	bool leaf;	/* one of the references is a neighbour's leaf */
	bool retired;	/* its interface has been down since: not used for new routes */
	bool left_late; /* released while it was waiting for something else */
};

/* Bits of fib_hops.link. */
#define FIB_LINK_UP	0x01 /* by the administrator */
#define FIB_LINK_RUNS	0x02 /* and has a carrier */
#define FIB_LINK_NO_ARP 0x04
#define FIB_LINK_SEEN	0x08 /* by the present reading */
#define FIB_LINK_TOLD	0x10 /* by a notification since the reading began */

struct fib_hops {
	struct fib *fib;
	const struct device *device; /* MAX_IFINDEX of them */
	const struct fib_neighbours *neighbours;
	uint8_t *link;		/* MAX_IFINDEX of them: FIB_LINK_... */
	struct link_mtus *mtus; /* of them */
	struct fib_hop_state *list;
	struct hash_index by_gateway; /* numbers */
	uint16_t *free;		      /* numbers */
	uint16_t *waiting;	      /* for programs to end: settling ones first */
	size_t n_free, n_waiting, n_settling;
	uint32_t end;	      /* all numbers in use are below */
	uint32_t default_hop; /* the next hop of the default route */
	size_t too_many;      /* number of times that no number was left */
};

/* 0 or -ENOMEM. */
int fib_hops_init(struct fib_hops *h, struct fib *fib, const struct device *device,
		  const struct fib_neighbours *neighbours);
void fib_hops_free(struct fib_hops *h);

/* The number of a next hop, made if needed, with one more reference; FIB_HOP_KERNEL if no number is left. */
uint32_t fib_hops_take(struct fib_hops *h, const struct fib_way *way);
void fib_hops_drop(struct fib_hops *h, uint32_t number);

/* Makes next hop 0 a copy of this one. */
void fib_hops_set_default(struct fib_hops *h, uint32_t number);

const struct fib_way *fib_hops_way(const struct fib_hops *h, uint32_t number);

/* Whether packets to the neighbours on an interface use this next hop, as it has no gateway. */
bool fib_hops_is_on_link(const struct fib_hops *h, uint32_t number);

/* Rewrite the records that may have changed: of an interface, of one neighbour on it. */
void fib_hops_of_interface(struct fib_hops *h, uint32_t ifindex);
void fib_hops_of_neighbour(struct fib_hops *h, const struct fib_neighbour *n);

/* The next one with this gateway, of those in use; *step begins as 0. 0: no more. */
uint32_t fib_hops_next(const struct fib_hops *h, uint32_t ifindex, uint8_t family, const uint8_t addr[static 16],
		       uint32_t *step);

/* A nexthop object leads elsewhere: its next hops take everything except `object`, `mtu` and `growth` from way. */
void fib_hops_of_object(struct fib_hops *h, uint32_t object, const struct fib_way *way);

/*
 * The routes through an interface (or with a nexthop object) are gone: their next hops get no flags any more, and new
 * routes get other ones. Returns whether there were any. objects: including those with nexthop objects.
 */
bool fib_hops_retire_interface(struct fib_hops *h, uint32_t ifindex, bool objects);
bool fib_hops_retire_object(struct fib_hops *h, uint32_t object);

bool fib_hops_is_retired(const struct fib_hops *h, uint32_t number);

/* As fib_trie_settle_begin() and its end. */
void fib_hops_settle_begin(struct fib_hops *h);
void fib_hops_settle_end(struct fib_hops *h);

/* Next hops in use, without the fixed ones. */
size_t fib_hops_count(const struct fib_hops *h);

#endif
