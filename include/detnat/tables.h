/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Values of the pinned maps, shared by the BPF programs and the agent.
 * A change of a layout here raises LAYOUT_VERSION, which is part of the pin path, so that a new agent never reads an
 * old table. Fields keep their names: an agent that takes another layout over finds and compares them by name.
 */
#ifndef DETNAT_TABLES_H
#define DETNAT_TABLES_H

#include "programs.h"
#include "session.h"

#define LAYOUT_VERSION 4

#define MAX_MAPPINGS 1024U
#define MAX_IFINDEX  65536U
#define MAX_BYPASS   256U

/*
 * Prefix index: 16-8-8 multibit trie.
 *
 * Maps `in_index` and `out_index`, ARRAYs of one struct index_table: a look-up walks three nodes, and calls the map
 * once. Nodes 0..255 are the root, one for each first octet, indexed by the second octet; further nodes are indexed by
 * the third or by the fourth octet.
 * An entry is 0 (no mapping), INDEX_LEAF | mapping number, or the number of the next node.
 */
#define INDEX_LEAF  0x8000U
#define INDEX_ROOTS 256U
/* A power of two, and enough for two nodes a mapping. */
#define INDEX_NODES 4096U
_Static_assert(INDEX_NODES >= INDEX_ROOTS + 2U * MAX_MAPPINGS, "every mapping has its nodes");

struct index_node {
	__u16 entry[256];
};

struct index_table {
	struct index_node node[INDEX_NODES];
};

/* Mappings: map `mappings`, ARRAY of one struct mapping_table. */

struct mapping {
	struct geometry geo;
	__u32 first_bucket;	/* of the mapping, in the space of all buckets */
	__u32 first_subscriber; /* in the space of all subscriber records */
	__u32 sessions_per_user;
	__u32 bucket_shift; /* log2 of the buckets of one subscriber */
	__u32 timeout_ticks[N_TIMEOUTS];
};
_Static_assert(sizeof(struct mapping) == 64, "a mapping is one cache line");

struct globals {
	__u32 epoch; /* the agent raises it at any change of routes, neighbours, links or mappings; never 0 */
	/* Tick up to which an agent takes fragments that come before their first; 0: none does. */
	__u32 fragments_until;
	__s64 overflow; /* sessions in the overflow map */
	/*
	 * Tick up to which an agent vouches for the sources of subscribers, see source.h, but for the gateway's own
	 * addresses: those whose bit is set, own_source_bit(), may be such. 0: for none.
	 */
	__u32 sources_until;
	__u32 pad;
	__u64 own_sources[4];
	__u64 pad2;
};
_Static_assert(sizeof(struct globals) == 64, "a line of its own");

/* The bit of an address in own_sources, 0..255. */
static inline __attribute__((always_inline)) __u32 own_source_bit(__u32 addr)
{
	return (addr * 0x9e3779b1U) >> 24;
}

/* What the cores have in common but write often: not in the line that every packet reads. */
struct shared_limits {
	__u64 icmp_due_ns;	  /* when the ICMP errors sent so far are due at their highest rate, see icmp_limit.h */
	__u64 reset_due_ns;	  /* the same of TCP resets */
	__s64 datagrams;	  /* entries of the map `fragments` */
	__u64 fragments_swept_ns; /* when the entries were last looked through for what can go */
	__u64 pad[4];
};
_Static_assert(sizeof(struct shared_limits) == 64, "a line of its own");

/* One value, as nearly every packet needs the first two parts: one look-up for both. */
struct mapping_table {
	struct mapping mapping[MAX_MAPPINGS];
	struct globals globals;
	struct shared_limits limits;
};

/*
 * Subscribers and buckets: ARRAY_OF_MAPS `subscribers` and `buckets` of mmapable ARRAYs ("chunks").
 *
 * Number >> shift picks the chunk, the rest the element. All chunks of a kind have one size.
 */
#define SUBSCRIBER_CHUNK_SHIFT 16U
#define SUBSCRIBER_CHUNK       (1U << SUBSCRIBER_CHUNK_SHIFT) /* records: 4 MB */
#define BUCKET_CHUNK_SHIFT     16U
#define BUCKET_CHUNK	       (1U << BUCKET_CHUNK_SHIFT) /* buckets: 8 MB */
#define MAX_SUBSCRIBER_CHUNKS  4096U
#define MAX_BUCKET_CHUNKS      16384U

/*
 * Count and lock of a subscriber, in one word so that an opener takes both at once. The lock is held where it is odd,
 * and never the same twice: where it is unchanged, no session was opened meanwhile.
 */
union opener {
	struct {
		__u32 sessions; /* live sessions not in time-wait, with expired ones that are not taken away yet */
		__u32 lock;	/* taken by the datapath alone */
	};
	__u64 word;
};

#define HOP_EPOCH 0x7fffffffU
/* Once it opened a session towards a pool address: only then can a pool address be its peer. */
#define SUBSCRIBER_HAIRPINS 0x80000000U

struct subscriber {
	union {
		struct {
			__u32 sessions; /* as in union opener, which see */
			__u32 lock;
		};
		union opener opener;
	};
	__u32 overflow; /* of the sessions, those in the map `overflow` */
	/* Low halves of ticks: at worst a search is left out for one tick that comes 65536 ticks after another. */
	__u16 recount_tick;	/* in which the datapath last looked in vain for sessions to take away */
	__u16 search_tick;	/* in which it last searched the slots, see search_limit.h */
	__u64 refused;		/* packets refused for quota, ports or overflow */
	__u32 icmp_next;	/* jiffies before which no further ICMP refusal is sent */
	__u32 quota_event_next; /* jiffies before which no further event is reported */
	__u32 ports_event_next;
	__u32 way_tick;	 /* when `way` was learned */
	__u64 way;	 /* next hop: MAC address 48 | interface index 16 */
	__u32 way_epoch; /* HOP_EPOCH: of the epoch in which `way` was learned, 0 for none; and SUBSCRIBER_HAIRPINS */
	/*
	 * A bit for each bucket, home_bit(), that is the first choice of a session which did not get its preferred slot
	 * there and its first choice of a port. Where it is not set, a flow's preferred slot is the only place where
	 * it, or another on its port, can be. Set under the lock.
	 */
	__u32 displaced;
	__u32 datagrams;   /* in the map `fragments`: from outside 16 | from inside 16 */
	__u16 exhausted;   /* hash of the external endpoint for which a search in search_tick found no port, or 0 */
	__u8 searched;	   /* work of the searches in search_tick, in units of SEARCH_UNIT slots */
	__u8 resolve_tick; /* in which the agent was last asked to resolve the next hop, see egress_check.h; 0: never */
};
_Static_assert(sizeof(struct subscriber) == 64, "a subscriber is one cache line");

/*
 * Overflow: LRU_HASH of sessions that found no slot, an entry per direction.
 *
 * The entry of OVERFLOW_IN2OUT holds the state word; the one of OVERFLOW_OUT2IN leads to it. Both come and go under the
 * subscriber's opener's lock. A session is admitted first (globals.overflow), so that the kernel never evicts.
 */
enum overflow_direction { OVERFLOW_IN2OUT = 0, OVERFLOW_OUT2IN = 1 };

struct overflow_key {
	__u32 addr; /* in_addr, or out_addr */
	__u32 ext_addr;
	__u16 port; /* in_port, or out_port */
	__u16 ext_port;
	__u8 proto;
	__u8 direction;
	__u16 pad;
};
_Static_assert(sizeof(struct overflow_key) == 16, "hashed as bytes");

struct overflow_session {
	__u64 truth; /* the state word, as in a slot; 0 in an OUT2IN entry */
	__u32 in_addr;
	__u16 in_port;
	__u16 pad;
};

/*
 * What the agent asks the program `overflow_removal` (a syscall program) to do: take away the session of an IN2OUT key
 * if its state word is still what the agent read; or, with a word of 0, the OUT2IN entry if it leads to no session.
 * Sessions enter and leave the map under the opener's lock alone, which the agent never takes: it could die holding it.
 */
struct overflow_removal {
	struct overflow_key in2out;
	struct overflow_key out2in;
	__u64 truth;
};
_Static_assert(sizeof(struct overflow_removal) == 40, "context of a program");

/* What the program returns. */
enum overflow_removed {
	OVERFLOW_REMOVED,
	OVERFLOW_CHANGED, /* another session by now, refreshed, or none */
	OVERFLOW_BUSY,	  /* the lock was held: try again */
};

/*
 * Entries of the map for a number of admitted sessions: two directions, a quarter again, and what the kernel's free
 * lists withhold: 128 a core, so this is for 512 cores. An LRU map that finds its list empty evicts, though others are
 * full.
 */
#define OVERFLOW_ENTRIES(sessions) ((sessions)*2U + (sessions) / 2U + 65536U)

/*
 * What one subscriber may hold of a table that all share, of which `free` entries are: a fraction of what is free that
 * shrinks with it, so that the first subscribers leave room for others: the first gets a `parts`th at most, and N that
 * take what they can leave 1/(1 + N / parts) of the table. Not 0 while anything is free.
 */
static inline __u64 table_share(__u64 entries, __u64 free, __u64 parts)
{
	return (free * free + entries * parts - 1) / (entries * parts);
}

#define OVERFLOW_SHARE 7U

/* A few sessions are given more readily: up to OVERFLOW_FEW, an eighth of what is free. */
#define OVERFLOW_FEW	  64U
#define OVERFLOW_FEW_PART 8U

/* What one subscriber may hold of an overflow of so many sessions, of which `free` are: alone, some 11 % of all. */
static inline __u64 overflow_share(__u64 sessions, __u64 free)
{
	__u64 few = (free + OVERFLOW_FEW_PART - 1) / OVERFLOW_FEW_PART;
	__u64 share = table_share(sessions, free, OVERFLOW_SHARE);

	if (few > OVERFLOW_FEW)
		few = OVERFLOW_FEW;
	return share > few ? share : few;
}

/* Devices: ARRAY of one struct device_table, by interface index. */

#define DEVICE_INSIDE  0x01
#define DEVICE_OUTSIDE 0x02

/* XDP can redirect to it. */
#define DEVICE_REDIRECT 0x01
/* XDP is attached natively. */
#define DEVICE_NATIVE 0x02
/* The clsact qdisc on it was made by the agent, which removes it when it detaches. */
#define DEVICE_CLSACT 0x04
/* Generic XDP on an interface that stands on others: it sees what GRO has merged there. */
#define DEVICE_MERGED 0x08
/* A VLAN interface: XDP can send to it by the interface below, with a tag. */
#define DEVICE_TAGGED 0x10
/* Redirected frames may be longer than one buffer. */
#define DEVICE_FRAGS 0x20

struct device {
	__u8 mac[6];
	__u8 roles; /* 0: not ours */
	__u8 flags;
	__u32 addr; /* the gateway's own address on it, host byte order; 0: none */
	__u32 mtu;  /* octets of an IP packet */
	/* Of a VLAN interface; else 0. */
	__u32 lower;	/* index of the interface below, where XDP sees its frames there; else 0 */
	__u16 tag_tpid; /* ETH_P_8021Q or ETH_P_8021AD */
	__u16 tag_id;	/* 1..4094 */
	/* Reverse-path filter of what comes in by it, as the kernel applies it: 0 off, 1 strict, 2 loose. */
	__u8 rp_filter;
	__u8 pad[3];
	/* Of a port of a bond that runs XDP natively: index of the bond, which frames count as received by; else 0. */
	__u32 master;
};
_Static_assert(sizeof(struct device) == 32, "no hidden padding");

struct device_table {
	struct device device[MAX_IFINDEX];
};

/* VLAN interfaces: HASH `vlans`, from the tag of a frame to the index of the interface whose it is. */

#define MAX_VLANS     16384U
#define MAX_VLAN_TAGS 2U /* of one frame */

struct vlan_key {
	__u32 lower; /* index of the interface that the frame came in by */
	__u16 tpid;
	__u16 id;
};
_Static_assert(sizeof(struct vlan_key) == 8, "hashed as octets");

/* Routes with an `mtu`: LPM_TRIE `route_mtus`, from a prefix to the least MTU of all such routes that cover it. */

#define MAX_ROUTE_MTUS 16384U

struct route_mtu_key {
	__u32 plen;
	__be32 addr;
};
_Static_assert(sizeof(struct route_mtu_key) == 8, "as an LPM_TRIE wants it");

/* Settings: read-only data of the programs, set before they are loaded. */

/* Value of tcp_mss_clamp: what the MTUs of both directions allow. */
#define MSS_CLAMP_MTU (~0U)

/*
 * Addresses first..last, both included. In settings.bypass they are disjoint and in order of address; those not in use
 * follow, with a `first` of ~0 and a `last` of 0.
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

/* Whether a packet from inside to outside whose source is in no mapping is dropped because of its source. */
static __always_inline int unmatched_drops(__u32 unmatched, __u32 src)
{
	return unmatched == UNMATCHED_DROP ||
	       ((unmatched == UNMATCHED_DROP_PRIVATE || unmatched == UNMATCHED_STRICT) && address_is_private(src));
}

/* How the sources of subscribers are compared with the routes back to them; see source.h. */
enum source_check {
	SOURCES_ROUTED,	    /* they have a route, by whatever interface */
	SOURCES_STRICT,	    /* by the interface that they came in by, where a session opens or is refreshed */
	SOURCES_STRICT_EACH /* the same for each packet, as there are several inside interfaces */
};

/* What becomes of TCP from outside that is of no session. */
enum unsolicited_tcp { UNSOLICITED_DROP, UNSOLICITED_ANSWER };

struct settings {
	__u32 hz; /* jiffies a second */
	__u32 overflow_sessions;
	/* What the fast path reads for each packet, in one word as each read of a setting costs one. */
	union {
		struct {
			__u8 redirect;	     /* forwarding: 1 redirect, 0 kernel */
			__u8 policy_routing; /* routing depends on more than the destination: cache next hops by source
					      */
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
	__u32 tcp_mss_clamp;	  /* 0: off; highest MSS; MSS_CLAMP_MTU */
	__u32 n_bypass;		  /* ranges in use */
	__u8 guard;		  /* what is not translated is judged at the egress, see bpf/guard_tc.h */
	__u8 route_mtus;	  /* the map route_mtus is to be asked */
	__u8 pad[2];
	struct address_range bypass[MAX_BYPASS];
};
_Static_assert(sizeof(struct settings) == 32 + MAX_BYPASS * sizeof(struct address_range), "read-only data");

/* Jiffies to a tick, the unit of last seen: 64 jiffies, 64..640 ms. */
#define TICK_SHIFT 6U

/* Timeout in ticks, rounded up: a session never lives shorter than asked for. */
static inline __u32 ticks_of_seconds(__u32 seconds, __u32 hz)
{
	return (__u32)(((__u64)seconds * hz + (1U << TICK_SHIFT) - 1) >> TICK_SHIFT);
}

/* Whole seconds in a number of ticks, rounded down. */
static inline __u32 seconds_of_ticks(__u32 ticks, __u32 hz)
{
	return (__u32)(((__u64)ticks << TICK_SHIFT) / hz);
}

/* Map names, as they are pinned. `counters` is a PERCPU_ARRAY of one struct counters, `events` a RINGBUF of struct
 * nat_event. */

#endif
