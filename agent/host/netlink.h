/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests to the kernel by rtnetlink, and what is read that way of links and addresses. */
#ifndef DETNAT_NETLINK_H
#define DETNAT_NETLINK_H

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* ---- requests ----------------------------------------------------------------------------------------------- */

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
 * A request under construction, in a buffer of n's own, valid until the next call. type: RTM_…, flags: NLM_F_… beside
 * NLM_F_REQUEST. A fixed header of the given size is appended, zeroed.
 */
struct nlmsghdr *netlink_request(struct netlink *n, uint16_t type, uint16_t flags, size_t header_size);

/* Called for each message of an answer. It cannot break off: what it fails in, it notes in arg. */
typedef void (*netlink_visit)(const struct nlmsghdr *h, void *arg);

/*
 * Sends what netlink_request() began and reads the whole answer. visit may be NULL. Returns 0, or -errno, the kernel's
 * if it refused. -EINTR: a dump changed under way and what was visited may be incomplete.
 */
int netlink_call(struct netlink *n, netlink_visit visit, void *arg);

/* The same for a dump that is to be started anew, a few times, where it changed under way; reset empties arg. */
int netlink_dump(struct netlink *n, netlink_visit visit, void (*reset)(void *arg), void *arg);

/* Puts the attributes in a table of pointers by type; those of higher types are left out. */
void netlink_attributes(const struct nlmsghdr *h, size_t header_size, const struct nlattr **table, size_t n);

/* What the kernel does not send it need not be trusted to: the number of an attribute, 0 where it is missing or short.
 */
uint32_t netlink_u32(const struct nlattr *attr);
/* Whether an attribute is a text, and begins with one; not where it is missing or not ended. */
bool netlink_is(const struct nlattr *attr, const char *text);
bool netlink_begins(const struct nlattr *attr, const char *text);

/* ---- links ---------------------------------------------------------------------------------------------------- */

/* What carries an XDP program, as IFLA_XDP_ATTACHED says. */
struct link_xdp {
	uint8_t attached; /* XDP_ATTACHED_… */
	uint32_t prog_id; /* 0 where there is none, or several */
};

struct link {
	uint32_t ifindex; /* 0: there is none */
	char name[IFNAMSIZ];
	uint16_t type;	/* ARPHRD_… */
	uint32_t flags; /* IFF_… */
	uint32_t mtu;
	uint8_t mac[6];
	char kind[16];	    /* "veth", "vlan", … or empty */
	char port_kind[16]; /* "bridge", "bond", … where it is a port of one */
	uint32_t lower; /* the interface that it stands on, of a VLAN, macvlan or the like; 0: none in this namespace */
	uint32_t master;    /* the bridge, bond, … whose port it is; 0: none */
	uint16_t vlan_tpid; /* of a VLAN interface: ETH_P_8021Q or ETH_P_8021AD; else 0 */
	uint16_t vlan_id;
	struct link_xdp xdp;
};

/* Reads an RTM_NEWLINK. */
void link_parse(const struct nlmsghdr *h, struct link *ret);

/* 0, -ENODEV where there is no such link, or -errno. */
int link_by_name(struct netlink *n, const char *name, struct link *ret);
int link_by_index(struct netlink *n, uint32_t ifindex, struct link *ret);

/* All links of the namespace; the caller frees *ret. */
int links_read(struct netlink *n, struct link **ret, size_t *ret_count);

/* ---- addresses ------------------------------------------------------------------------------------------------ */

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
 * The gateway's own address on an interface, as the kernel chooses the source of its ICMP errors: the first primary one
 * of the widest scope; where the interface has none, the first primary global one of any interface. 0: none.
 */
uint32_t addresses_primary(const struct address *a, size_t count, uint32_t ifindex);

/* ---- policy routing -------------------------------------------------------------------------------------------- */

/* What routes depend on, by the rules beside the three that every namespace starts with. */
enum routing {
	ROUTING_BY_DESTINATION, /* no such rules */
	ROUTING_BY_ADDRESSES,	/* and on the source or the interface: XDP can ask for that */
	ROUTING_BY_MORE,	/* on marks, ports, TOS or the like, of which XDP cannot ask */
};

int rules_read(struct netlink *n, enum routing *ret_routing);

#endif
