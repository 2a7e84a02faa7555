/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records of 1.0.0 (layouts 5 and 6), for its agent to take over: see agent/datapath/hand_back.h. An object of nothing
 * but types has them under their own names (FORMER(name) is the name), by which that agent compares them; the agent of
 * this version calls them former_…
 */
#ifndef DETNAT_FORMER_H
#define DETNAT_FORMER_H

#include "binding_layout.h"

#ifndef FORMER
#define FORMER(name) former_##name
#endif

#define FORMER_MAPPINGS	       1024U
#define FORMER_NODES	       4096U
#define FORMER_IFINDEX	       65536U
#define FORMER_TIMEOUTS	       4U
#define FORMER_CHUNK	       65536U
#define FORMER_SLOTS	       8U
#define FORMER_FILTERS	       8U
#define FORMER_DRAIN_DEPTH     4U
#define FORMER_MAX_RATIO_SHIFT 15U

struct FORMER(index_node) {
	__u16 entry[256];
};

struct FORMER(index_table) {
	struct FORMER(index_node) node[FORMER_NODES];
};

struct FORMER(geometry) {
	__u32 in_base;
	__u32 out_base;
	__u8 in_plen;
	__u8 out_plen;
	__u8 ratio_shift;
	__u8 flags;
	__u32 ports_per_host;
	__u64 ports_inverse;
};

struct FORMER(mapping) {
	struct FORMER(geometry) geo;
	struct binding_layout bindings;
	__u32 first_bucket;
	__u32 first_subscriber;
	__u32 sessions_per_user;
	__u32 bucket_shift;
	__u32 timeout_ticks[FORMER_TIMEOUTS];
};
_Static_assert(sizeof(struct FORMER(mapping)) == 64, "as 1.0.0 has it");

struct FORMER(globals) {
	__u32 epoch;
	__u32 fragments_until;
	__s64 overflow;
	__u32 sources_until;
	__u32 fib_until;
	__u64 own_sources[4];
	__u32 pool_first;
	__u32 pool_last;
};
_Static_assert(sizeof(struct FORMER(globals)) == 64, "as 1.0.0 has it");

struct FORMER(mapping_table) {
	struct FORMER(mapping) mapping[FORMER_MAPPINGS];
	struct FORMER(globals) globals;
	/* Of its limits 1.0.0 takes nothing over. */
	__u64 due[2];
	__s64 datagrams; /* entries of its map `fragments` */
	__u64 limits[5];
};

struct FORMER(overflow_key) {
	__u32 in_addr;
	__u32 out_addr;
	__u32 ext_addr;
	__u16 port;
	__u16 ext_port;
	__u8 proto;
	__u8 direction;
	__u8 ratio_shift;
	__u8 pad;
};
_Static_assert(sizeof(struct FORMER(overflow_key)) == 20, "as 1.0.0 has it");

/* Directions of the entries of a session. */
#define FORMER_IN2OUT 0U
#define FORMER_OUT2IN 1U

struct FORMER(overflow_session) {
	__u64 truth;
	__u16 in_port;
	__u16 mark;
	__u32 pad;
};
_Static_assert(sizeof(struct FORMER(overflow_session)) == 16, "as 1.0.0 has it");

struct FORMER(device) {
	__u8 mac[6];
	__u8 roles;
	__u8 flags;
	__u32 addr;
	__u32 mtu;
	__u32 lower;
	__u16 tag_tpid;
	__u16 tag_id;
	__u8 rp_filter;
	__u8 pad[3];
	__u32 master;
};
_Static_assert(sizeof(struct FORMER(device)) == 32, "as 1.0.0 has it");

struct FORMER(device_table) {
	struct FORMER(device) device[FORMER_IFINDEX];
};

#endif
