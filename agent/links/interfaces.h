/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of the configuration: for each its link, name, VLAN and carrier, and its record in the datapath. */
#ifndef DETNAT_INTERFACES_H
#define DETNAT_INTERFACES_H

#include "attach/attach.h"
#include "attach/redirects.h"
#include "host/stacking.h"

struct interface {
	char name[IFNAMSIZ]; /* as configured; the link may be renamed, see links/interfaces_names.c */
	/* The name with `*` in the configuration that it matches; `name` is then the link's. "": it is named itself. */
	char pattern[IFNAMSIZ];
	uint8_t roles;
	uint8_t tenant;	     /* number of the tenant that it is an inside interface of; 0: none */
	char vrf[IFNAMSIZ];  /* the VRF of its tenant; "": none */
	bool misplaced;	     /* it is not in that VRF, so it has no record */
	struct xdp_wish xdp; /* as configured for it */
	struct link link;    /* as last read; ifindex 0: absent */
	enum device_attachment attachment;
	/*
	 * For a VLAN interface: index of the interface whose XDP sees its frames, with tags; 0: it sees them itself,
	 * untagged.
	 */
	uint32_t carrier;
	bool hidden;   /* not configured, but below a configured VLAN interface */
	bool carrying; /* the carrier of a VLAN interface */
	bool made_clsact;
	bool dirty;	     /* devices_sync() must read it again */
	bool shut;	     /* its programs were detached and are not back yet, or not for long enough */
	bool forwarding_off; /* and that was logged */
	bool no_port;	     /* it is missing in the map `ports`, and that was logged */
	uint32_t addr;
	uint8_t rp_filter;    /* as the kernel applies it: 0 off, 1 strict, 2 loose */
	uint64_t attached_s;  /* last attached, or tried to; CLOCK_MONOTONIC */
	uint8_t displaced;    /* how many times in a row others displaced its programs at tc, see devices_displaced() */
	uint64_t displaced_s; /* the last time; CLOCK_MONOTONIC */
	char displaced_note[384]; /* what they did, for the operator; "": nothing of late */
	struct redirect_health health;
	bool gives_way;					 /* with XDP_MODE_AUTO: XDP, to tc that sends */
	bool xdp_failed;				 /* XDP was tried and refused; the next member has the reason */
	char without_xdp[192];				 /* reason why it runs no XDP; "": it runs XDP, or tries to */
	char problem[sizeof(((struct error *)0)->text)]; /* reason why it is not attached, as last logged */
	char name_note[256];				 /* oddity of its name, as last logged */
};

struct interfaces {
	struct interface *list;
	size_t count;
};

/* Whether tc runs at the egress of an interface of these roles: to translate, or to keep other tenants out. */
static inline bool wants_egress(uint8_t roles, uint8_t tenant)
{
	return roles & DEVICE_OUTSIDE || tenant;
}

static inline bool interface_has_egress(const struct interface *i)
{
	return wants_egress(i->roles, i->tenant);
}

static inline bool interface_has_xdp(const struct interface *i)
{
	return i->attachment == DEVICE_XDP_NATIVE || i->attachment == DEVICE_XDP_SKB;
}

/* Whether it is to run no XDP, but a program at tc ingress that routes and sends. */
static inline bool interface_wants_tc(const struct interface *i)
{
	return i->xdp.mode == XDP_MODE_TC || i->gives_way;
}

/* Whether it does. */
static inline bool interface_sends(const struct interface *i)
{
	return i->attachment == DEVICE_TC && interface_wants_tc(i);
}

/* Whether XDP may redirect frames to it in two stages: a packet without an Ethernet header has no place for a mark. */
static inline bool interface_is_port(const struct interface *i)
{
	return !link_is_bare(&i->link);
}

/*
 * Plans the interfaces for a configuration: those it names, those that match its patterns, and those below them that
 * VLAN interfaces need. Reads links again; reuses known data about them. Refuses impossible plans, and changes nothing.
 * `known` may be empty; own distinguishes detnat's XDP programs from others; xdp applies to interfaces without keys
 * of their own. The caller frees ret->list.
 */
int interfaces_plan(struct netlink *n, const struct config_interface *wanted, size_t n_wanted,
		    const struct interfaces *known, const struct own_programs *own, struct xdp_wish xdp,
		    struct interfaces *ret, struct error *err);

/*
 * What is wished of interfaces that do not say it themselves. Where there are IPv6 subscribers and XDP gives way to tc
 * at one of them, it does at all: packets that XDP translates cannot leave by an interface where tc sends.
 */
struct xdp_wish interfaces_wish(struct netlink *n, const struct config_interface *wanted, size_t n_wanted,
				const struct interfaces *known, struct xdp_wish xdp);

/* The same with links that have been read: all of the namespace. */
int interfaces_plan_on(const struct config_interface *wanted, size_t n_wanted, struct link_list links,
		       const struct interfaces *known, const struct own_programs *own, struct xdp_wish xdp,
		       struct interfaces *ret, struct error *err);

/*
 * Fills in a new interface that matches a pattern, if it requires no plan: one that is stacked on no other. Its link is
 * still to be attached. False: plan again.
 */
bool interface_of_pattern(const struct config_interface *pattern, const struct link *l, const struct own_programs *own,
			  struct xdp_wish xdp, struct interface *ret);

/* Why XDP is impossible on a link; NULL: no reason is known. With libxdp's dispatcher, others may run there, too. */
const char *why_no_xdp(const struct own_programs *own, const struct link *l, enum xdp_dispatcher dispatcher);

/* Decides whether an interface does without XDP, why, and whether tc sends there; a bond's ports are in the list. */
void interface_without_xdp(const struct own_programs *own, const struct link_list *all, struct interface *i);

/* Whether two lists have the same interfaces below VLAN interfaces, and the same VLANs on them. */
bool interfaces_same_plan(const struct interfaces *a, const struct interfaces *b);

/* Sets the attachment of VLAN interfaces to that of their carriers. */
void interfaces_carry(struct interfaces *all);

/* Updates the datapath's map of VLAN tags. 0 or -errno. */
int interfaces_tell_vlans(const struct interfaces *all, int vlans);

/* The link that an interface of this name is known to be, whatever the link's present name. NULL if unknown or gone. */
const struct link *interfaces_followed(const struct interfaces *known, const struct link_list *links, const char *name);

/*
 * Finds the link of each interface of a configuration: the one already followed, else the one with that name, unless it
 * is known as another interface of the configuration. NULL if there is none.
 */
void interfaces_choose(const struct config_interface *wanted, size_t n, const struct interfaces *known,
		       const struct link_list *links, const struct link **ret_found);

/* Opens the pinned map of names, creating it if necessary. A descriptor or -errno. */
int interfaces_names_open(const char *pin_dir);

/* Writes the list to that map. 0 or -errno. */
int interfaces_remember(const struct interfaces *all, int map);

/*
 * Reads which links an earlier agent attached to, and their configured names, except links that are gone or have lost
 * its programs. Only name and link are filled in. 0 or -errno; the caller frees ret->list.
 */
int interfaces_remembered(struct netlink *n, const char *pin_dir, const struct own_programs *own,
			  struct interfaces *ret);

/* Logs once if name and link do not match. other: another link with the configured name, or NULL. */
void interface_tell_name(const struct interfaces *all, struct interface *i, const struct link *other);

/*
 * Stores the record of an interface, below MAX_IFINDEX, while the datapath may read it. MAC address, roles and flags
 * are one word, address and MTU the second, the VLAN the third, the reverse-path filter and the bond the fourth, so no
 * packet sees part of one. True if anything changed.
 */
bool device_store(const struct datapath *d, uint32_t ifindex, const struct device *record);

/*
 * Whether an inside interface of a tenant is in the tenant's VRF, or in none if the tenant has none: 0; -ENODEV: the
 * VRF does not exist; -EXDEV: it is elsewhere. err says which.
 */
int interface_check_vrf(struct netlink *n, const struct interface *i, struct error *err);

/*
 * Refuses an existing interface that cannot carry its program, or that another datapath translates: 0, or -errno with
 * err naming it and the remedy.
 */
int interface_check(struct netlink *n, const struct interface *i, const struct own_programs *own, struct error *err);

/* Descriptor of the XDP program for the interface's roles, and of the program at tc ingress, which sends or does not.
 */
int interface_program(const struct datapath *d, const struct interface *i);
int interface_tc_program(const struct datapath *d, const struct interface *i);
enum entry interface_entry(const struct interface *i);

/* The same of the program at tc egress, of an outside interface. */
int interface_egress_program(const struct datapath *d, const struct interface *i);

/* Detaches all detnat programs from a link and clears its record; the link may be gone. 0, or the first -errno with
 * err. */
int interface_detach(struct netlink *n, struct datapath *d, struct own_programs *own, uint32_t ifindex,
		     struct error *err);

/* Logs once that the kernel does not forward packets received by the interface. */
void interface_check_forwarding(struct interface *i);

/*
 * Why XDP redirects nothing to an attached interface, so that the kernel forwards packets that leave through it; NULL:
 * it redirects there, if the programs redirect at all.
 */
const char *interface_unable(const struct interfaces *all, const struct interface *i);

/* The record of an interface with these flags. */
struct device interface_record_with(const struct interface *i, uint8_t flags);

/* The correct record of an interface attached as in the list. */
struct device interface_record(const struct interfaces *all, const struct interface *i);

struct interface *interfaces_find(const struct interfaces *all, const char *name);
struct interface *interfaces_find_index(const struct interfaces *all, uint32_t ifindex);

#endif
