/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Values of the pinned maps, shared by the BPF programs and the agent. A change of a layout here raises LAYOUT_VERSION,
 * which is part of the pin path, so a new agent never reads an old table as a new one. Fields keep their names, because
 * an agent that takes over another layout finds and compares fields by name.
 */
#ifndef DETNAT_TABLES_H
#define DETNAT_TABLES_H

#include "binding_layout.h"
#include "growth.h"
#include "limits.h"
#include "programs.h"
#include "session.h"

#define LAYOUT_VERSION 8

#define MAX_MAPPINGS 4096U
#define MAX_IFINDEX  65536U
#define MAX_BYPASS   256U

/*
 * Prefix index: 16-8-8 multibit trie.
 *
 * The maps `in_index` and `out_index` are ARRAYs of one struct index_table: a lookup visits three nodes with one map
 * lookup. Nodes 0..255 are the root, one per first octet, indexed by the second octet; other nodes are indexed by the
 * third or the fourth octet. An entry is 0 (no mapping), INDEX_LEAF | mapping number, or the number of the next node.
 *
 * In `in_index` an entry may also be INDEX_LEAF | INDEX_SHARED | number of a node: several tenants have the address.
 * The entries of that node are indexed by the tenant's number: 0, or INDEX_LEAF | mapping number.
 */
#define INDEX_LEAF   0x8000U
#define INDEX_SHARED 0x4000U
#define INDEX_ROOTS  256U
/* A power of two with room for two nodes per mapping. */
#define INDEX_NODES 16384U
_Static_assert(INDEX_NODES >= INDEX_ROOTS + 2U * MAX_MAPPINGS, "every mapping has its nodes");
_Static_assert(INDEX_NODES <= INDEX_SHARED && MAX_MAPPINGS <= INDEX_SHARED, "numbers beside the flags");

struct index_node {
	__u16 entry[256];
};

struct index_table {
	struct index_node node[INDEX_NODES];
};

/* Mappings: map `mappings`, ARRAY of one struct mapping_table. */

/* Value of first_bucket for a mapping without slots: no chunk has such a number. */
#define NO_BUCKETS 0x80000000U

struct mapping {
	struct geometry geo;
	__u32 first_bucket;	/* the mapping's first, numbered across all mappings */
	__u32 first_subscriber; /* the mapping's first, numbered across all mappings */
	__u32 bucket_shift;	/* log2 of the number of buckets per subscriber */
	__u32 sessions_per_user;
	__u32 timeout_ticks[N_TIMEOUTS];
	struct binding_layout bindings; /* read at openings, and for packets of no session */
	struct growth_layout growth;	/* likewise */
	__u8 kind;			/* enum mapping_kind of <detnat/prefix6.h> */
	__u8 tenant;			/* number of the tenant of its subscribers; 0: there are no tenants */
	__u8 limited;			/* 1: it has limits, and its subscribers have lines */
	__u8 host_shift;		/* log2 of the lines of a subscriber's hosts, <detnat/prefix6.h> */
	struct limit_layout limit;	/* read at openings and endings */
	__u32 record6;			/* number of its second record, if its subscribers are IPv6 prefixes */
};
_Static_assert(sizeof(struct mapping) == 128, "a mapping is two cache lines");
_Static_assert(__builtin_offsetof(struct mapping, timeout_ticks) == 64, "the first line is what translates");

struct globals {
	__u32 epoch; /* raised by the agent at any change of routes, neighbours, links or mappings; never 0 */
	/* Last tick at which an agent accepts fragments that come before their first one; 0: never. */
	__u32 fragments_until;
	__s64 beyond; /* while a build runs that has a hash for them: its sessions */
	/*
	 * Last tick at which an agent vouches for the sources of subscribers (see source.h), except those whose bit
	 * own_source_bit() is set in own_sources, which may be the gateway's own addresses. It is in the past while no
	 * agent vouches for them.
	 */
	__u32 sources_until;
	__u32 fib_until; /* the same for the copy of the routes, <detnat/fib.h> */
	__u64 own_sources[4];
	/* All outside prefixes lie within pool_first..pool_last (host byte order), which may contain other addresses.
	 */
	__u32 pool_first;
	__u32 pool_last;
};
_Static_assert(sizeof(struct globals) == 64, "a line of its own");

/* Bit of an address (host byte order) in own_sources, 0..255. */
static inline __attribute__((always_inline)) __u32 own_source_bit(__u32 addr)
{
	return (addr * 0x9e3779b1U) >> 24;
}

/* State that all cores share and often write: kept out of the cache line that every packet reads. */
struct shared_limits {
	__u64 icmp_due_ns;	  /* theoretical send time of the next ICMP error, CLOCK_MONOTONIC, see icmp_limit.h */
	__u64 reset_due_ns;	  /* the same for TCP resets */
	__s64 datagrams;	  /* entries of the map `fragments` */
	__u64 fragments_swept_ns; /* when they were last swept, CLOCK_MONOTONIC */
	__u32 growth_until;	  /* last tick at which an agent grants blocks, <detnat/growth.h> */
	__u32 grants_epoch;	  /* raised by the agent after a block has ceased to be a subscriber's */
	/*
	 * Last tick at which XDP may have handled what comes to a program at tc that sends by itself: while the one
	 * takes the place of the other, here or at the start of another release, see handled.h.
	 */
	__u32 handled_until;
	__u32 pad[5];
};
_Static_assert(sizeof(struct shared_limits) == 64, "a line of its own");

/* A single value, because nearly every packet needs the first two parts: one lookup gets both. */
struct mapping_table {
	struct mapping mapping[MAX_MAPPINGS];
	struct globals globals;
	struct shared_limits limits;
};

/*
 * Subscribers and buckets: the ARRAY_OF_MAPS `subscribers` and `buckets`, whose inner maps are mmapable ARRAYs
 * ("chunks").
 *
 * Number >> shift selects the chunk, the remaining bits the element. All chunks of one kind have the same size.
 */
#define SUBSCRIBER_CHUNK_SHIFT 16U
#define SUBSCRIBER_CHUNK       (1U << SUBSCRIBER_CHUNK_SHIFT) /* records: 4 MB */
#define BUCKET_CHUNK_SHIFT     16U
#define BUCKET_CHUNK	       (1U << BUCKET_CHUNK_SHIFT) /* buckets: 8 MB */
#define MAX_SUBSCRIBER_CHUNKS  4096U
#define MAX_BUCKET_CHUNKS      16384U

/*
 * Session count and lock of a subscriber, in one word so that an opener can change both at once. The lock is held while
 * it is odd. Its values do not repeat: if it is unchanged, no session was opened meanwhile.
 */
union opener {
	struct {
		__u32 sessions; /* live sessions not in time-wait, including expired ones not removed yet */
		__u32 lock;	/* taken only by the datapath */
	};
	__u64 word;
};

/* Values of subscriber.quota_pass besides rank 8 | bucket 8, at which the search for sessions of that rank goes on. */
#define QUOTA_NOT_BEGUN 0U
#define QUOTA_IN_VAIN	0xffffU /* no session can give way */

/* In subscriber.growth_vain the low bits of a tick begin here. */
#define GROWTH_MARK_TICK  22U
#define GROWTH_MARK_TICKS 0x3ffU

struct subscriber {
	union {
		struct {
			__u32 sessions; /* see union opener */
			__u32 lock;
		};
		union opener opener;
	};
	/*
	 * SUBSCRIBER_FLAGS. The other bits count sessions that an earlier version has beyond the slots, or gets there
	 * by an offer of this one, agent/datapath/hand_back.h; else they are 0.
	 */
	__u32 beyond;
	__u16 quota_pass; /* progress in search_tick of the search for sessions that can give way, see quota.h */
	/*
	 * Low half of the tick of the last search of the slots, see search_limit.h. At worst a search 65536 ticks after
	 * another waits one tick.
	 */
	__u16 search_tick;
	__u64 refused;		/* packets refused for quota, ports or room beyond the slots */
	__u32 icmp_next;	/* jiffy before which no further ICMP refusal is sent */
	__u32 quota_event_next; /* jiffy before which no further event is reported */
	__u32 ports_event_next;
	/*
	 * Ports of the subscriber's portmaps, inside and outside: portmap_bit() of each is set. The agent sets them
	 * before a portmap is in the tables, so a clear bit says that no lookup is needed.
	 */
	__u16 portmap_in;
	__u16 portmap_out;
	__u32 growth_asked; /* when the agent is asked for a block again, and what it was asked, see open_grant.h */
	__u32 growth_vain;  /* tick 10 | grants 6 | mark 16: a search of the granted blocks found no port */
	/*
	 * HAIRPINS_SEEN once the subscriber has opened a session towards a pool address: only then can one be its peer.
	 * Above it the place of its extent, <detnat/extents.h>.
	 */
	__u32 hairpins;
	/*
	 * One bit per bucket, home_bit(). The opener sets it under the lock if the bucket is the first one of a session
	 * that did not get both its preferred slot and its first-choice port. While it is clear, only a flow's
	 * preferred slot can hold its session, or another session on its port.
	 */
	__u32 displaced;
	__u32 datagrams;   /* entries in the map `fragments`: from outside 16 | from inside 16 */
	__u16 exhausted;   /* hash of the external endpoint for which a search in search_tick found no port; 0: none */
	__u8 searched;	   /* work of the searches in search_tick, in units of SEARCH_UNIT slots */
	__u8 resolve_tick; /* tick of the last request to resolve the next hop, see egress_check.h; 0: none */
};
_Static_assert(sizeof(struct subscriber) == 64, "a subscriber is one cache line");

#define HAIRPINS_SEEN 1U

/*
 * Flags in subscriber.beyond, set and cleared by the agent. The fast path notices them without a test of their own,
 * as it tests this word for sessions of an earlier version anyway: see fast_open().
 */
#define SUBSCRIBER_PORTMAPS 0x80000000U /* has portmaps, <detnat/portmaps.h> */
#define SUBSCRIBER_FLAGS    0xc0000000U

/*
 * The most entries that one subscriber may hold of a shared table, of which `free` entries are free. The share shrinks
 * with the free entries, so that the first subscribers leave room for others: the first gets at most 1/`parts`, and N
 * subscribers that take all they can leave 1/(1 + N / parts) of the table. It is never 0 while an entry is free.
 */
static inline __u64 table_share(__u64 entries, __u64 free, __u64 parts)
{
	return (free * free + entries * parts - 1) / (entries * parts);
}

#define EXTENT_SHARE 7U

/* Up to EXTENT_FEW slots, a subscriber may have an eighth of the free ones. */
#define EXTENT_FEW	64U
#define EXTENT_FEW_PART 8U

/* The most slots of one subscriber in extents, with `free` of `slots` free: alone, about 11 % of all. */
static inline __u64 extent_share(__u64 slots, __u64 free)
{
	__u64 few = (free + EXTENT_FEW_PART - 1) / EXTENT_FEW_PART;
	__u64 share = table_share(slots, free, EXTENT_SHARE);

	if (few > EXTENT_FEW)
		few = EXTENT_FEW;
	return share > few ? share : few;
}

/* Devices: ARRAY of one struct device_table, by interface index. */

#define DEVICE_INSIDE  0x01
#define DEVICE_OUTSIDE 0x02

/* XDP can redirect frames to it. */
#define DEVICE_REDIRECT 0x01
/* XDP is attached natively. */
#define DEVICE_NATIVE 0x02
/* The agent created its clsact qdisc, and removes it when it detaches. */
#define DEVICE_CLSACT 0x04
/* Generic XDP on an interface stacked on others: it sees frames that GRO has merged there. */
#define DEVICE_MERGED 0x08
/* A VLAN interface: XDP can send through the interface below, with a tag. */
#define DEVICE_TAGGED 0x10
/* It takes redirected frames of more than one buffer. */
#define DEVICE_FRAGS 0x20
/* Its packets have no Ethernet header (PPP, WireGuard, tunnels). */
#define DEVICE_BARE 0x40
/*
 * A VRF. The kernel gives its index to what comes in through its interfaces, so it has the roles of those that are
 * configured. It carries no program, and XDP sends nothing through it.
 */
#define DEVICE_VRF 0x80

struct device {
	__u8 mac[6];
	__u8 roles; /* 0: not ours */
	__u8 flags;
	__u32 addr; /* the gateway's address on it, host byte order; 0: none */
	__u32 mtu;  /* octets of an IP packet */
	/* VLAN interfaces only; else 0. */
	__u32 lower;	/* index of the interface below, if XDP sees its frames there; else 0 */
	__u16 tag_tpid; /* ETH_P_8021Q or ETH_P_8021AD */
	__u16 tag_id;	/* 1..4094 */
	/* Reverse-path filter for packets received on it, as the kernel applies it: 0 off, 1 strict, 2 loose. */
	__u8 rp_filter;
	__u8 tenant; /* number of the tenant that it is an inside interface of; 0: none */
	__u16 vrf;   /* index of the VRF that it is in; 0: none */
	/* Ports of a bond that runs XDP natively: index of the bond, on which frames count as received; else 0. */
	__u32 master;
};
_Static_assert(sizeof(struct device) == 32, "no hidden padding");

/* Values of device_table.way besides the index of a VRF. */
#define WAY_NONE 0U    /* there is no such tenant, or its VRF does not exist: nothing is sent to its subscribers */
#define WAY_MAIN (~0U) /* the tenant has no VRF */

#define MAX_TENANT_NUMBERS 256U

struct device_table {
	struct device device[MAX_IFINDEX];
	/* By number of the tenant: the VRF by whose table packets to its subscribers are routed. */
	__u32 way[MAX_TENANT_NUMBERS];
};

/*
 * What XDP leaves in front of a translated frame that the kernel has to route by the table of a VRF, for the program
 * `tc_into_vrf` at tc ingress. The frame is addressed to the VRF, so the kernel drops it where that program is missing.
 */
struct vrf_note {
	__u32 mark; /* VRF_NOTE */
	__u32 vrf;  /* its index */
};
#define VRF_NOTE 0xde7a4bf1U

/* VLAN interfaces: the HASH `vlans`, from a frame's tag to the index of the VLAN interface. */

#define MAX_VLANS     16384U
#define MAX_VLAN_TAGS 2U /* per frame */

struct vlan_key {
	__u32 lower; /* index of the interface that received the frame */
	__u16 tpid;
	__u16 id;
};
_Static_assert(sizeof(struct vlan_key) == 8, "hashed as octets");

struct prefix_key {
	__u32 plen;
	__be32 addr;
};
_Static_assert(sizeof(struct prefix_key) == 8, "as an LPM_TRIE wants it");

/* An inside prefix of a tenant. */
struct tenant_prefix_key {
	__u32 plen;    /* TENANT_BITS and the length of the prefix */
	__be32 tenant; /* number; 0: there are no tenants */
	__be32 addr;
};
_Static_assert(sizeof(struct tenant_prefix_key) == 12, "as an LPM_TRIE wants it");

#define TENANT_BITS 32U

/* Routes with an `mtu`: the LPM_TRIE `route_mtus`, from a prefix to the lowest MTU of all such routes that cover it. */

#define MAX_ROUTE_MTUS 16384U

/*
 * Mappings without an outside prefix: the LPM_TRIE `untranslated`, by tenant and prefix, whose values mean nothing. The
 * index has no entry for them, so the datapath looks here only before it drops a packet because no mapping covers its
 * source.
 */

/* Settings: read-only data of the programs, set before loading. */

#define TC_ALONE     1 /* an interface runs without XDP */
#define TC_BARE	     2 /* an outside interface has no Ethernet header */
#define TC_REDIRECTS 4 /* an interface runs without XDP, and tc sends packets itself */

/* Value of tcp_mss_clamp: as much as the MTUs of both directions allow. */
#define MSS_CLAMP_MTU (~0U)

/*
 * Addresses first..last, both included, in host byte order. In settings the ranges of a kind are disjoint and sorted;
 * unused ones come last, with a `first` of ~0 and a `last` of 0.
 */
struct address_range {
	__u32 first;
	__u32 last;
};

enum unmatched { UNMATCHED_DROP_PRIVATE, UNMATCHED_ROUTE, UNMATCHED_DROP, UNMATCHED_STRICT };

/* 10/8, 172.16/12, 192.168/16 (RFC 1918) and 100.64/10 (RFC 6598); host byte order. */
static __always_inline int address_is_private(__u32 addr)
{
	return addr >> 24 == 10 || addr >> 20 == (172 << 4 | 1) || addr >> 16 == (192 << 8 | 168) ||
	       addr >> 22 == (100 << 2 | 1);
}

/* Returns 1 if a packet from inside to outside with a source in no mapping is dropped because of its source. */
static __always_inline int unmatched_drops(__u32 unmatched, __u32 src)
{
	return unmatched == UNMATCHED_DROP ||
	       ((unmatched == UNMATCHED_DROP_PRIVATE || unmatched == UNMATCHED_STRICT) && address_is_private(src));
}

/* The check of a subscriber's source address against the route back to it; see source.h. */
enum source_check {
	SOURCES_ROUTED,	    /* a route must exist, through any interface */
	SOURCES_STRICT,	    /* through the ingress interface; checked when a session opens or is refreshed */
	SOURCES_STRICT_EACH /* the same for every packet, as there are several inside interfaces */
};

/* What routing depends on besides destinations; then next hops are cached rather than copied. */
enum policy_routing {
	POLICY_NONE,
	POLICY_SOURCES,	   /* on sources and interfaces: all are part of the question that a cached next hop answers */
	POLICY_INTERFACES, /* on ingress interfaces alone: rules about these, and VRFs */
};

/*
 * Interfaces without a role that packets with a mapped source may come from, to be translated at the outside interface
 * that the kernel routes them to.
 */
enum inside_from {
	INSIDE_NAMED,  /* none */
	INSIDE_BEYOND, /* those with an index beyond the records; a pattern may match their names */
	INSIDE_ANY,    /* all: "inside": ["*"] */
};

/* The treatment of TCP segments from outside that belong to no session. */
enum unsolicited_tcp { UNSOLICITED_DROP, UNSOLICITED_ANSWER };

struct settings {
	__u32 hz;	      /* jiffies per second */
	__u32 extent_buckets; /* of all extents together, <detnat/extents.h>; 0: there are none */
	/* Read by the fast path for each packet; in one word, so that one load gets them all. */
	union {
		struct {
			__u8 redirect;	     /* forwarding: 1 redirect, 0 kernel */
			__u8 policy_routing; /* enum policy_routing */
			__u8 source_check;   /* enum source_check */
			__u8 outside_strict; /* several outside interfaces, one with a strict reverse-path filter */
		};
		__u32 each_packet;
	};
	__u8 unmatched;
	__u8 answer_arp;
	__u8 hairpin;
	__u8 quota_icmp_code;
	__u8 session_events;	  /* report sessions opened and closed */
	__u8 udp_inbound_refresh; /* packets from outside refresh UDP sessions, too (RFC 4787 REQ-6) */
	__u8 unsolicited_tcp;	  /* enum unsolicited_tcp */
	__u8 trace;		  /* the tracing build, see <detnat/trace.h>; the programs themselves do not read it */
	__u32 tcp_mss_clamp;	  /* 0: off; highest MSS; or MSS_CLAMP_MTU */
	__u32 n_bypass;		  /* ranges in use */
	__u8 guard;		  /* the guard checks untranslated packets at egress, see bpf/slow/guard_tc.h */
	__u8 route_mtus;	  /* 1: the map route_mtus has entries */
	__u8 stages;		  /* 2: the programs with stages, <detnat/stages.h>; the programs do not read it */
	__u8 portmaps;		  /* there may be portmaps, <detnat/portmaps.h> */
	__u8 bindings;		  /* some mapping has endpoint-independent mapping, <detnat/binding.h>, or drains */
	__u8 filtering;		  /* some has endpoint-independent filtering, too */
	__u8 tc;	  /* TC_…: the tc programs loaded besides that at egress; the programs do not read it */
	__u8 inside_from; /* enum inside_from */
	/* Openings are not the common ones; in one word, so that one load gets all. */
	union {
		struct {
			union {
				struct {
					__u8 drains;	/* some mapping drains, <detnat/drains.h> */
					__u8 port_zero; /* some has first_port 0 */
				};
				__u16 openings_slow; /* the slow path may have to choose the port */
			};
			__u8 limits; /* some mapping has limits, <detnat/limits.h> */
			__u8 openings_pad;
		};
		__u32 openings;
	};
	__u8 open_mappings;  /* some mapping has inbound "open" */
	__u8 outside_filter; /* an outside interface has a strict reverse-path filter */
	__u8 growth;	     /* some mapping has blocks that grow, <detnat/growth.h> */
	__u8 vrf;	     /* an interface is in a VRF */
	__u8 attack;	     /* packets of strangers are counted: STRANGERS_… of <detnat/strangers.h> */
	__u8 tenants;	     /* there are tenants */
	__u8 six;	     /* some mapping's subscribers are IPv6 prefixes, <detnat/prefix6.h> */
	__u8 pad;
	struct address_range bypass[MAX_BYPASS];
};
_Static_assert(sizeof(struct settings) == 48 + MAX_BYPASS * sizeof(struct address_range), "read-only data");

/* log2 of the jiffies per tick, the unit of last seen: a tick is 64 jiffies, 64..640 ms. */
#define TICK_SHIFT 6U

/* Timeout in ticks, rounded up: no session lives shorter than configured. */
static inline __u32 ticks_of_seconds(__u32 seconds, __u32 hz)
{
	return (__u32)(((__u64)seconds * hz + (1U << TICK_SHIFT) - 1) >> TICK_SHIFT);
}

/* Whole seconds in a number of ticks, rounded down. */
static inline __u32 seconds_of_ticks(__u32 ticks, __u32 hz)
{
	return (__u32)(((__u64)ticks << TICK_SHIFT) / hz);
}

/*
 * Of the other pinned maps, `counters` is a PERCPU_ARRAY of one struct counters, `events` a RINGBUF of struct
 * nat_event.
 */

#endif
