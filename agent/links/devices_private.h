/* SPDX-License-Identifier: BSD-2-Clause */
/* The state behind links/devices.h, and what its files share. */
#ifndef DETNAT_DEVICES_PRIVATE_H
#define DETNAT_DEVICES_PRIVATE_H

#include "guard/guard.h"
#include "links/devices.h"
#include "links/interfaces.h"
#include "links/monitor.h"
#include "links/neighbours.h"
#include "links/redirects.h"
#include "links/route_limits.h"
#include "links/sources.h"

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

static inline uint64_t monotonic_s(void)
{
	return monotonic_us() / 1000000;
}

/* Enters into the datapath's record what must be there before the interface is attached: all but the flags. */
void devices_record_begin(struct devices *v, const struct interface *i);

/*
 * Attaches tc where the interface is an outside one, and XDP; what is right already is left alone. The link is as just
 * read. -ENODEV where it vanished meanwhile.
 */
int devices_attach_tc(struct devices *v, struct interface *i, struct error *err);
int devices_attach_xdp(struct devices *v, struct interface *i, enum xdp_mode mode, struct error *err);

/* Forgets the link: the interface is absent. */
void devices_lost(struct devices *v, struct interface *i);

/*
 * Has the guard leave open the interfaces of the list that have a role and carry their programs, and shut all others.
 */
void devices_open_guard(struct devices *v, const struct interfaces *all);

/*
 * Has the guard shut what has no role in the list, or has had another one until now: to be called before that changes.
 */
void devices_shut_guard(struct devices *v, const struct interfaces *all);

/* Brings addresses and the datapath's records in line with the interfaces; raises the epoch if any record changed. */
void devices_record(struct devices *v, struct interfaces *all);

/* Whether the link carries what it should. */
bool devices_is_attached(const struct devices *v, const struct interface *i, const struct link *l);

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

/* Gives the ports of bonds that run XDP natively the records of their bonds. Whether any record changed. */
bool devices_record_ports(struct devices *v, const struct interfaces *all);

#endif
