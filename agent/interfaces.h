/* SPDX-License-Identifier: BSD-2-Clause */
/* What devices.c, devices_apply.c and devices_sync.c share: the interfaces of the configuration and what becomes of
 * each. */
#ifndef DETNAT_INTERFACES_H
#define DETNAT_INTERFACES_H

#include "attach.h"
#include "devices.h"
#include "monitor.h"
#include "neighbours.h"
#include "redirects.h"
#include "stacking.h"

struct interface {
	char name[IFNAMSIZ];
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
	bool forwarding_off; /* and that was said */
	uint32_t addr;
	uint64_t attached_s; /* when it was last attached, or tried; CLOCK_MONOTONIC */
	struct redirect_health health;
	char problem[sizeof(((struct error *)0)->text)]; /* why it is not attached, as last logged */
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

/*
 * The same, of links that have been read: found[k] is that of wanted[k], with ifindex 0 where there is none. links: all
 * of the namespace.
 */
int interfaces_plan_on(const struct config_interface *wanted, const struct link *found, size_t n_wanted,
		       struct link_list links, const struct interfaces *known, enum xdp_mode mode,
		       struct interfaces *ret, struct error *err);

/* Whether two lists have the same interfaces below VLAN interfaces, and the same VLANs on them. */
bool interfaces_same_plan(const struct interfaces *a, const struct interfaces *b);

/* Whether the plan may be another by now: there are, or were, VLAN interfaces. */
bool interfaces_have_vlans(const struct interfaces *all);

/* Makes the attachment of VLAN interfaces that of their carriers. */
void interfaces_carry(struct interfaces *all);

/* Tells the datapath whose frames with which tags are. 0 or -errno. */
int interfaces_tell_vlans(const struct interfaces *all, int vlans);

struct devices {
	struct datapath *datapath;
	char *pin_path;
	struct netlink *netlink;
	struct monitor *monitor;
	struct neighbours *neighbours;
	struct redirects *redirects; /* NULL: not to be had on this kernel */
	struct own_programs own;
	struct interfaces interfaces;
	enum xdp_mode mode;
	struct prefix *prefixes; /* that have blackhole routes */
	size_t n_prefixes;
	bool applied; /* the members above are those of a configuration */
	enum routing routing;
	devices_notify routing_changed;
	void *routing_changed_arg;
	struct event *sync;
	struct event *second;
	unsigned seconds;
	bool routes_dirty;
	char plan_problem[sizeof(((struct error *)0)->text)]; /* as last logged */
	bool rules_dirty;
};

uint64_t monotonic_s(void);

/* Enters into the datapath's record what must be there before the interface is attached: all but the flags. */
void interface_record_begin(struct devices *v, const struct interface *i);

/* Descriptor of the XDP program for an interface of these roles. */
int interface_program(const struct datapath *d, const struct interface *i);

/*
 * Attaches tc where the interface is an outside one, and XDP; what is right already is left alone. The link is as just
 * read. -ENODEV where it vanished meanwhile.
 */
int interface_attach_tc(struct devices *v, struct interface *i, struct error *err);
int interface_attach_xdp(struct devices *v, struct interface *i, enum xdp_mode mode, struct error *err);

/* Takes everything of ours off a link and clears its record; the link may be gone already. 0, or -errno of the first
 * failure. */
int interface_detach(struct netlink *n, struct datapath *d, const struct own_programs *own, uint32_t ifindex);

/* Forgets the link: the interface is absent. */
void interface_lost(struct devices *v, struct interface *i);

/* Tells once that the kernel does not forward what comes in by the interface. */
void interface_check_forwarding(struct interface *i);

/* Brings addresses and the datapath's records in line with the interfaces; raises the epoch if any record changed. */
void interfaces_record(struct devices *v, struct interfaces *all);

struct interface *interfaces_find(const struct interfaces *all, const char *name);
struct interface *interfaces_find_index(const struct interfaces *all, uint32_t ifindex);

/* Has devices_sync() called after so many milliseconds, or earlier where that was asked for already. */
void devices_schedule_sync(struct devices *v, unsigned ms);

/* Plans anew, and changes what carries programs where the plan is another by now. 0 or -errno, with nothing changed. */
int devices_replan(struct devices *v, struct error *err);

/* Marks every interface as dirty. */
void devices_mark_all(struct devices *v);

/* Reads the interfaces that are marked as dirty anew, and repairs what is not as it should be. */
void devices_sync(struct devices *v);

#endif
