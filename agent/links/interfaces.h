/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of the configuration: the link and the carrier of each, its VLAN, its record in the datapath, its
 * name. */
#ifndef DETNAT_INTERFACES_H
#define DETNAT_INTERFACES_H

#include "links/attach.h"
#include "links/redirects.h"
#include "host/stacking.h"

struct interface {
	char name[IFNAMSIZ]; /* as the configuration has it; the link may have another by now, see
				links/interfaces_names.c */
	uint8_t roles;
	struct link link; /* as last read; ifindex 0: absent */
	enum device_attachment attachment;
	/* Of a VLAN interface: index of the interface whose XDP sees its frames, with tags; 0: its own does, without.
	 */
	uint32_t carrier;
	bool hidden;   /* not of the configuration, but below a VLAN interface that is */
	bool carrying; /* a VLAN interface's carrier */
	bool made_clsact;
	bool dirty;	     /* to be read anew by devices_sync() */
	bool shut;	     /* its programs were taken off, and are not back yet */
	bool forwarding_off; /* and that was said */
	uint32_t addr;
	uint8_t rp_filter;   /* as the kernel applies it: 0 off, 1 strict, 2 loose */
	uint64_t attached_s; /* when it was last attached, or tried; CLOCK_MONOTONIC */
	struct redirect_health health;
	char problem[sizeof(((struct error *)0)->text)]; /* why it is not attached, as last logged */
	char name_note[256];				 /* what is odd about its name, as last logged */
};

struct interfaces {
	struct interface *list;
	size_t count;
};

/*
 * The list for a configuration: its interfaces, and those below that its VLAN interfaces need. What is known of them
 * already is taken over, and links are read anew. Refuses what cannot work; nothing is touched. known may be empty; the
 * caller frees ret->list.
 */
int interfaces_plan(struct netlink *n, const struct config_interface *wanted, size_t n_wanted,
		    const struct interfaces *known, enum xdp_mode mode, struct interfaces *ret, struct error *err);

/* The same, of links that have been read: all of the namespace. */
int interfaces_plan_on(const struct config_interface *wanted, size_t n_wanted, struct link_list links,
		       const struct interfaces *known, enum xdp_mode mode, struct interfaces *ret, struct error *err);

/* Whether two lists have the same interfaces below VLAN interfaces, and the same VLANs on them. */
bool interfaces_same_plan(const struct interfaces *a, const struct interfaces *b);

/* Whether the plan may be another by now: there are, or were, VLAN interfaces. */
bool interfaces_have_vlans(const struct interfaces *all);

/* Makes the attachment of VLAN interfaces that of their carriers. */
void interfaces_carry(struct interfaces *all);

/* Tells the datapath whose frames with which tags are. 0 or -errno. */
int interfaces_tell_vlans(const struct interfaces *all, int vlans);

/* The link that an interface of this name is known to be, whatever it is called now. NULL: it is not known, or gone. */
const struct link *interfaces_followed(const struct interfaces *known, const struct link_list *links, const char *name);

/*
 * Finds the link of each interface of a configuration: the one that is followed, else the one of that name, unless
 * another of the configuration is known to be that one. NULL where there is none.
 */
void interfaces_choose(const struct config_interface *wanted, size_t n, const struct interfaces *known,
		       const struct link_list *links, const struct link **ret_found);

/* A descriptor of the pinned map of names, which is made where it is not there. -errno. */
int interfaces_names_open(const char *pin_dir);

/* Makes that map equal to the list. 0 or -errno. */
int interfaces_remember(const struct interfaces *all, int map);

/*
 * Reads which links an earlier agent attached to and by which names, without those that are gone or lost its programs;
 * of each but name and link nothing is known. 0 or -errno; the caller frees ret->list.
 */
int interfaces_remembered(struct netlink *n, const char *pin_dir, const struct own_programs *own,
			  struct interfaces *ret);

/* Whether the link is called otherwise than in the configuration. */
bool interface_is_renamed(const struct interface *i);

/* Tells once where name and link do not fit. other: a link of the configured name that is not i's, or NULL. */
void interface_tell_name(const struct interfaces *all, struct interface *i, const struct link *other);

/*
 * Stores a record under the eyes of the datapath. MAC address, roles and flags are one word, address and MTU another,
 * what VLAN it is a third, the reverse-path filter and whose port it is a fourth, so no packet sees half of any.
 * Whether anything changed.
 */
bool device_store(struct device *place, const struct device *record);

/* Descriptor of the XDP program for an interface of these roles. */
int interface_program(const struct datapath *d, const struct interface *i);

/* Takes everything of ours off a link and clears its record; the link may be gone already. 0, or -errno of the first
 * failure. */
int interface_detach(struct netlink *n, struct datapath *d, const struct own_programs *own, uint32_t ifindex);

/* Tells once that the kernel does not forward what comes in by the interface. */
void interface_check_forwarding(struct interface *i);

/* The record of an interface with these flags. */
struct device interface_record_with(const struct interface *i, uint8_t flags);

/* The record that the datapath should have of an interface that is attached as the list says. */
struct device interface_record(const struct interfaces *all, const struct interface *i);

struct interface *interfaces_find(const struct interfaces *all, const char *name);
struct interface *interfaces_find_index(const struct interfaces *all, uint32_t ifindex);

#endif
