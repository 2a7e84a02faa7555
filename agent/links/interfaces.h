/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What links/devices.c, links/devices_apply.c and links/devices_sync.c share: the interfaces of the configuration and
 * what becomes of each.
 */
#ifndef DETNAT_INTERFACES_H
#define DETNAT_INTERFACES_H

#include "links/attach.h"
#include "links/devices.h"
#include "guard/guard.h"
#include "links/monitor.h"
#include "links/neighbours.h"
#include "links/redirects.h"
#include "links/route_limits.h"
#include "links/sources.h"
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

/* Gives the ports of bonds that run XDP natively the records of their bonds. Whether any record changed. */
bool interfaces_record_ports(struct devices *v, const struct interfaces *all);

/* Makes the attachment of VLAN interfaces that of their carriers. */
void interfaces_carry(struct interfaces *all);

/* Tells the datapath whose frames with which tags are. 0 or -errno. */
int interfaces_tell_vlans(const struct interfaces *all, int vlans);

/* ---- names (links/interfaces_names.c)
 * --------------------------------------------------------------------------------- */

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

struct devices {
	struct datapath *datapath;
	char *pin_path;
	struct netlink *netlink;
	struct monitor *monitor;
	struct neighbours *neighbours;
	struct redirects *redirects; /* NULL: not to be had on this kernel */
	struct own_programs own;
	struct interfaces interfaces;
	int names; /* pinned map: names by index */
	enum xdp_mode mode;
	uint32_t *ports; /* of bonds, by their indexes, that have records */
	size_t n_ports;
	struct prefix *prefixes; /* that have blackhole routes */
	size_t n_prefixes;
	struct guard *guard;
	bool applied;		   /* the members above are those of a configuration */
	enum routing routing;	   /* by the rules */
	enum routing routing_told; /* as it was last told of */
	struct rp_summary filters; /* of the interfaces, as last recorded */
	struct own_sources own_sources;
	struct route_limits limits;
	bool own_sources_known;
	devices_notify routing_changed;
	void *routing_changed_arg;
	devices_notify attachments_changed;
	void *attachments_changed_arg;
	bool tell_attachments; /* they have changed since that was called */
	struct event *sync;
	struct event *second;
	unsigned seconds;
	bool routes_dirty;
	char plan_problem[sizeof(((struct error *)0)->text)]; /* as last logged */
	bool rules_dirty;
};

uint64_t monotonic_s(void);

/*
 * Stores a record under the eyes of the datapath. MAC address, roles and flags are one word, address and MTU another,
 * what VLAN it is a third, the reverse-path filter and whose port it is a fourth, so no packet sees half of any.
 * Whether anything changed.
 */
bool device_store(struct device *place, const struct device *record);

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

/*
 * Has the guard leave open the interfaces of the list that have a role and carry their programs, and shut all others.
 */
void interfaces_open(struct devices *v, const struct interfaces *all);

/*
 * Has the guard shut what has no role in the list, or has had another one until now: to be called before that changes.
 */
void interfaces_shut(struct devices *v, const struct interfaces *all);

/* Brings addresses and the datapath's records in line with the interfaces; raises the epoch if any record changed. */
void interfaces_record(struct devices *v, struct interfaces *all);

/* The record that the datapath should have of an interface that is attached as the list says. */
struct device interface_record(const struct interfaces *all, const struct interface *i);

/* Whether the link carries what it should. */
bool interface_is_attached(const struct devices *v, const struct interface *i, const struct link *l);

struct interface *interfaces_find(const struct interfaces *all, const char *name);
struct interface *interfaces_find_index(const struct interfaces *all, uint32_t ifindex);

/* Has devices_sync() called after so many milliseconds, or earlier where that was asked for already. */
void devices_schedule_sync(struct devices *v, unsigned ms);

/* Plans anew, and changes what carries programs where the plan is another by now. 0 or -errno, with nothing changed. */
int devices_replan(struct devices *v, struct error *err);

/*
 * Vouches for the sources of subscribers for the next seconds, where nothing but the gateway's own addresses is
 * refused; see bpf/source.h.
 */
void devices_vouch(struct devices *v);

/* Marks every interface as dirty. */
void devices_mark_all(struct devices *v);

/* Reads the interfaces that are marked as dirty anew, and repairs what is not as it should be. */
void devices_sync(struct devices *v);

#endif
