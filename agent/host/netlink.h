/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the kernel through rtnetlink, and the links, addresses and routing rules read with them. */
#ifndef DETNAT_NETLINK_H
#define DETNAT_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct netlink;

int netlink_new(struct netlink **ret);
int netlink_new_netfilter(struct netlink **ret); /* for requests to nfnetlink */
void netlink_free(struct netlink *n);

static inline void netlink_free_pointer(struct netlink **n)
{
	netlink_free(*n);
}

#define _cleanup_netlink_ __attribute__((cleanup(netlink_free_pointer)))

/*
 * Starts a request in a buffer of n, valid until the next call. type: RTM_…, flags: NLM_F_… in addition to
 * NLM_F_REQUEST. Appends a fixed header of the given size, zeroed.
 */
struct nlmsghdr *netlink_request(struct netlink *n, uint16_t type, uint16_t flags, size_t header_size);

/* Called for each message of an answer. It cannot stop the answer; it notes failures in arg. */
typedef void (*netlink_visit)(const struct nlmsghdr *h, void *arg);

/*
 * Sends the request that netlink_request() began and reads the whole answer. visit may be NULL. 0 or -errno, that of
 * the kernel if it refused. -EINTR: a dump was interrupted by a change and may be incomplete.
 */
int netlink_call(struct netlink *n, netlink_visit visit, void *arg);

/* The same for a dump, which is repeated a few times if a change interrupted it; reset empties arg. */
int netlink_dump(struct netlink *n, netlink_visit visit, void (*reset)(void *arg), void *arg);

/* Fills a table of pointers to attributes by type; higher types are ignored. */
void netlink_attributes(const struct nlmsghdr *h, size_t header_size, const struct nlattr **table, size_t n);

/* The attribute of a type in another one; NULL: there is none, or the other one is missing. */
const struct nlattr *netlink_nested(const struct nlattr *in, uint16_t type);

/* Reads the number of an attribute; 0 if it is missing or too short. */
uint32_t netlink_u32(const struct nlattr *attr);
/* Compare an attribute with a text, or with the beginning of one; false if it is missing or not terminated. */
bool netlink_is(const struct nlattr *attr, const char *text);
bool netlink_begins(const struct nlattr *attr, const char *text);

/* XDP program of a link, from IFLA_XDP. */
struct link_xdp {
	uint8_t attached; /* XDP_ATTACHED_… */
	uint32_t prog_id; /* 0: none, or several */
};

struct link {
	uint32_t ifindex; /* 0: none */
	char name[IFNAMSIZ];
	uint16_t type;	/* ARPHRD_… */
	uint32_t flags; /* IFF_… */
	uint32_t mtu;
	uint8_t mac[6];
	char kind[16];	    /* "veth", "vlan", … or empty */
	char port_kind[16]; /* "bridge", "bond", … if it is a port of one, else empty */
	uint32_t lower;	    /* the lower interface of a VLAN, macvlan or the like; 0: none in this namespace */
	uint32_t master;    /* the bridge, bond, … that it is a port of; 0: none */
	uint16_t vlan_tpid; /* of a VLAN interface: ETH_P_8021Q or ETH_P_8021AD; else 0 */
	uint16_t vlan_id;
	uint32_t vrf_table; /* of a VRF: its routing table; else 0 */
	struct link_xdp xdp;
};

/* Index of the VRF that a link is in; 0: none. */
uint32_t link_vrf(const struct link *l);

bool link_is_vrf(const struct link *l);

/* Whether its packets have no Ethernet header, as those of PPP and tunnels. */
bool link_is_bare(const struct link *l);

/* The reason why nothing crosses a link, and the remedy, to follow its name and a colon; NULL: it is up. */
const char *link_down_reason(const struct link *l);

/* Reads an RTM_NEWLINK. */
void link_parse(const struct nlmsghdr *h, struct link *ret);

/* 0, -ENODEV if there is no such link, or another -errno. */
int link_by_name(struct netlink *n, const char *name, struct link *ret);
int link_by_index(struct netlink *n, uint32_t ifindex, struct link *ret);

/* All links of the namespace; the caller frees *ret. */
int links_read(struct netlink *n, struct link **ret, size_t *ret_count);

struct address {
	uint32_t ifindex;
	uint32_t addr; /* host byte order */
	uint8_t scope; /* RT_SCOPE_… */
	bool secondary;
	uint8_t plen; /* of its network */
};

/* All IPv4 addresses of the namespace, in the kernel's order; the caller frees *ret. */
int addresses_read(struct netlink *n, struct address **ret, size_t *ret_count);

/*
 * The gateway's own address on an interface, chosen as the kernel chooses the source of its ICMP errors: the first
 * primary address of the widest scope; on an interface without addresses, the first global primary one of any
 * interface. 0: none.
 */
uint32_t addresses_primary(const struct address *a, size_t count, uint32_t ifindex);

/* The criteria of routing, according to the rules other than the three that every namespace starts with. */
enum routing {
	ROUTING_BY_DESTINATION, /* no other rules */
	ROUTING_BY_INTERFACE,	/* also on the interface, VRFs included, which XDP can look up */
	ROUTING_BY_ADDRESSES,	/* also on the source, likewise */
	ROUTING_BY_MORE,	/* also on marks, ports, TOS or the like, which XDP cannot look up */
};

int rules_read(struct netlink *n, uint8_t family, enum routing *ret_routing);

#endif
