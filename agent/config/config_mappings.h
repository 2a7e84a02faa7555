/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mappings and portmaps of a configuration, and what former mappings have left: drains and rests.
 */
#ifndef DETNAT_CONFIG_MAPPINGS_H
#define DETNAT_CONFIG_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

#include <detnat/growth.h>
#include <detnat/limits.h>
#include <detnat/portmaps.h>
#include <detnat/prefix6.h>
#include <detnat/tables.h>

#include "base/address.h"
#include "base/virtual6.h"
#include "proto/label.h"

/* Prefixes of `spare`, of one mapping. */
#define CONFIG_MAX_SPARE 16U

/* session_slots of a mapping that says "auto", regardless of the configuration's. */
#define CONFIG_SLOTS_AUTO UINT32_MAX

/* Endpoint-independent mapping and filtering, of a mapping or of all. Protocols are BINDING_…, or-ed. */
struct config_independence {
	bool given;
	uint8_t mapping;
	uint8_t filtering;	   /* a subset */
	uint32_t inbound_sessions; /* percent of the quota; 0: as for all mappings, or the default */
};
#define CONFIG_INBOUND_SESSIONS 25U

/* Blocks that grow, <detnat/growth.h>; the figures are 0 where they are not given, see config_mapping_growth(). */
struct config_growth {
	bool given;
	uint32_t block;
	uint32_t max_blocks;
	uint32_t idle; /* seconds */
	uint32_t rest;
};

/* Limits of each subscriber, <detnat/limits.h>; 0: none. */
struct config_limits {
	bool given;
	uint32_t tcp; /* sessions */
	uint32_t udp;
	uint32_t icmp;
	uint32_t new_per_second;
	uint32_t new_burst; /* 0: not given, new_per_second */
};

/* Subscribers that are IPv6 prefixes, whose `in` is virtual (base/virtual6.h); all 0: it is an IPv4 mapping. */
struct config_six {
	uint32_t subscriber_plen;
	uint32_t nat64_plen; /* 0: not given */
	struct address6 nat64;
	uint32_t hosts;	     /* 0: not given */
	uint32_t lowest_mtu; /* 0: not given */
};

/* The longest drain, in seconds: a week. */
#define CONFIG_MAX_DRAIN 604800U

/*
 * How the ports of an outside address are shared out; 0: not given. All zero: R = inside / outside addresses, and so
 * on, see <detnat/mapping.h>.
 */
#define PORTS_FROM_0 UINT32_MAX
struct config_ports {
	uint32_t subscribers_per_address; /* R */
	uint32_t ports_per_host;	  /* P */
	uint32_t first_port;		  /* F; PORTS_FROM_0: 0 */
	uint32_t block_pitch;		  /* S */
	uint8_t order;			  /* of block_order_words */
};

/*
 * A mapping, or a part of one whose lists of addresses were cut into ranges. The parts follow each other, in the order
 * of their addresses, and have all but the ranges and the texts of the file in common.
 */
struct config_mapping {
	struct prefix in;  /* a prefix or a range */
	struct prefix out; /* PREFIX_NONE: no translation */
	struct config_six six;
	struct config_ports ports;
	unsigned part;		     /* number of the part, from 0 */
	struct config_ports figures; /* of a part, all filled in; subscribers_per_address 0: `ports` are its own */
	char *lists;	 /* of the first part: JSON of `in`, `out` and `exclude` as written; NULL: none is a list */
	uint8_t inbound; /* enum inbound */
	char name[LABEL_TEXT];			 /* "": none; unique among mappings */
	char tenant[LABEL_TEXT];		 /* "": there are no tenants */
	char comment[COMMENT_TEXT];		 /* "": none */
	uint32_t sessions_per_user;		 /* 0: the configuration's */
	uint32_t session_slots;			 /* 0: the configuration's; CONFIG_SLOTS_AUTO: "auto" */
	struct config_independence independence; /* not given: the configuration's */
	struct config_growth growth;
	struct config_limits limits;
	uint32_t drain;			       /* seconds, see struct change_options; a reload uses it */
	struct prefix spare[CONFIG_MAX_SPARE]; /* outside addresses that `pool drain` uses first */
	uint32_t n_spare;
	int64_t until; /* end of the mapping, seconds since 1970; 0: it stays */
	unsigned line; /* lines of the mapping and of its prefixes in the file; 0: not from a file */
	unsigned in_line;
	unsigned out_line;
	unsigned name_line;
	unsigned independence_line;
	unsigned growth_line;
	unsigned limits_line;
	unsigned spare_line;
	unsigned subscriber_line;
	unsigned nat64_line;
};

static inline bool config_is_ipv6(const struct config_mapping *m)
{
	return m->six.subscriber_plen;
}

/* A former mapping whose sessions continue. */
struct config_drain {
	struct prefix in;
	struct prefix out;
	struct config_six six;	 /* of IPv6 subscribers: the NAT64 prefix and the length of theirs; else all 0 */
	char tenant[LABEL_TEXT]; /* of the mapping; "": none */
};

/* A mapping that has drained: no other subscriber gets its ports before that time (RFC 6888 REQ-8). */
#define CONFIG_REST_S 120U
struct config_rest {
	struct prefix in;
	struct prefix out;
	char tenant[LABEL_TEXT]; /* "": none, or not known */
	uint64_t until_us;	 /* monotonic_us() */
	struct geometry geo;	 /* without ports_per_host: that of the prefixes alone */
};

struct config_portmap {
	char name[LABEL_TEXT]; /* "": none; not unique */
	uint8_t protos;	       /* enum portmap_protos */
	struct port_span in;
	struct port_span out;	 /* addr 0: for each port the first choice of its sessions */
	char tenant[LABEL_TEXT]; /* of the subscriber; "": the one that has the addresses */
	unsigned line;		 /* lines of the portmap and of its endpoints in the file; 0: not from a file */
	unsigned in_line;
	unsigned out_line;
};

#endif
