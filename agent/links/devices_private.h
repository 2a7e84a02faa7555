/* SPDX-License-Identifier: BSD-2-Clause */
/* The state behind links/devices.h, shared by its files. */
#ifndef DETNAT_DEVICES_PRIVATE_H
#define DETNAT_DEVICES_PRIVATE_H

#include "attach/redirects.h"
#include "attach/share.h"
#include "base/log.h"
#include "fib/route_copy.h"
#include "guard/guard.h"
#include "links/devices.h"
#include "links/interfaces.h"
#include "routing/announce.h"
#include "routing/monitor.h"
#include "routing/neighbours.h"
#include "routing/route_limits.h"
#include "routing/routes.h"
#include "routing/routes6.h"
#include "routing/sources.h"

/* What was last seen under libxdp's dispatcher on an interface. */
struct share_seen {
	uint32_t ifindex;
	bool told_unpinned;
	struct share_answer answer;
};

/* A tenant of the configuration. */
struct tenant_vrf {
	bool exists;
	char vrf[IFNAMSIZ]; /* "": none */
};

struct devices {
	struct datapath *datapath;
	char *pin_path;
	struct netlink *netlink;
	struct monitor *monitor;
	struct route_copy *copy;
	struct neighbours *neighbours;
	struct redirects *redirects; /* NULL: not supported by this kernel */
	struct own_programs own;
	struct share_seen *seen;
	size_t n_seen;
	struct interfaces interfaces;
	int names;			   /* pinned map: configured names by index */
	struct config_interface *patterns; /* the names with `*` */
	size_t n_patterns;
	bool plan_due;	     /* an interface that matches a pattern requires a plan */
	struct xdp_wish xdp; /* for interfaces without keys of their own */
	uint32_t *ports;     /* indexes of ports of bonds that have records */
	size_t n_ports;
	struct prefix *prefixes; /* with blackhole routes */
	size_t n_prefixes;
	bool answers_arp; /* for their addresses */
	struct announcer *announcer;
	uint32_t *vrf_tables; /* the tables that have them besides `main`, in order */
	size_t n_vrf_tables;
	size_t n_vrfs;				       /* with records */
	struct tenant_vrf tenants[MAX_TENANT_NUMBERS]; /* by number */
	bool vrfs_read;				       /* the records of an earlier agent's VRFs have been seen */
	struct guard *guard;
	bool applied;		   /* the members above are those of a configuration */
	enum routing routing;	   /* according to the rules */
	enum routing routing_told; /* as last reported */
	struct rp_summary filters; /* of the interfaces, as last recorded */
	struct own_sources own_sources;
	struct route_limits limits;
	struct own_routes own_routes;
	bool own_sources_known;
	devices_notify routing_changed;
	void *routing_changed_arg;
	struct event *sync;
	struct event *second;
	struct event *look;
	unsigned seconds;
	size_t links_seen; /* on_look() is at this one, modulo the number of interfaces */
	bool routes_dirty;
	char plan_problem[sizeof(((struct error *)0)->text)]; /* as last logged */
	bool rules_dirty;
	/* Of mappings of IPv6 subscribers, links/devices_six.c. */
	bool hears_ipv6;	      /* the kernel tells of IPv6, too */
	struct virtual_range *ranges; /* of inside prefixes */
	size_t n_ranges;
	struct prefix6 *nat64; /* prefixes, with blackhole routes */
	size_t n_nat64;
	bool nat64_applied;    /* there are none, and no routes of before either */
	enum routing routing6; /* as `routing` */
	bool rules6_dirty;
	bool addresses6_dirty;
};

/* Announces pools that became on-link. */
static inline void devices_announce(const struct devices *v)
{
	announcer_update(v->announcer, v->prefixes, v->answers_arp ? v->n_prefixes : 0);
}

static inline uint64_t monotonic_s(void)
{
	return monotonic_us() / 1000000;
}

/* Whether the qdisc goes with the last program of an interface that stays. Links leave it, see tc_make_clsact(). */
static inline bool devices_ends_clsact(const struct devices *v, const struct interface *i)
{
	return i->made_clsact && !v->own.by_links;
}

/*
 * Enters in the datapath's record everything needed before the interface is attached: all but the flags, of which those
 * go by which XDP would send to an outside interface that is to run none.
 */
void devices_record_begin(struct devices *v, const struct interface *i);

/*
 * Attaches tc at the egress, if the interface is an outside one or a tenant's, with the program for VRFs if it needs
 * that, and XDP or tc at the ingress; leaves correct ones alone. The link must have just been read. -ENODEV if it has
 * vanished.
 */
int devices_attach_egress(struct devices *v, struct interface *i, struct error *err);
int devices_attach_ingress(struct devices *v, struct interface *i, struct error *err);

/* The same of tc at the ingress alone, of an interface from which XDP is about to go. */
int devices_attach_tc(struct devices *v, struct interface *i, struct error *err);

/* Removes filters of a former version behind the tcx links that these have made; see tc_settle(). 0, or -errno with
 * err. */
int devices_settle_tc(const struct devices *v, const struct interface *i, struct error *err);

/* The interface with that name; for a pattern, one that matches; or NULL. */
const struct interface *devices_example(const struct devices *v, const char *name);

/* devices_problem() of one in the list. */
const char *devices_problem_of(const struct devices *v, const struct interface *i, bool *ret_grave);

/* Reports the fate of an interface to listeners (base/notice.h). */
void devices_tell(const struct interface *i, enum log_level level, const char *event, const char *what);

/* Marks an interface as absent. */
void devices_lost(struct devices *v, struct interface *i);

/* Makes the guard open the interfaces of the list that have a role and carry their programs, and shut all others. */
void devices_open_guard(struct devices *v, const struct interfaces *all);

/* Makes the guard shut interfaces whose role is gone or changes in the list; call it before the change. */
void devices_shut_guard(struct devices *v, const struct interfaces *all);

/* Updates addresses and the datapath's records of the interfaces; raises the epoch if a record changed. */
void devices_record(struct devices *v, struct interfaces *all);

/* The patterns of a configuration, which the caller frees; NULL: out of memory. */
struct config_interface *devices_patterns_of(const struct config *c, size_t *ret_n);

/* Adds the interface of an RTM_NEWLINK if it matches a pattern. */
void devices_match(struct devices *v, const struct nlmsghdr *h);

/* Whether a pattern still matches the link of its interface, which takes over the link's name. */
bool devices_still_matches(struct devices *v, struct interface *i, const struct link *l);

/* Removes from the list interfaces that matched patterns and are gone. */
void devices_forget_matches(struct devices *v);

/* Whether an interface carries its tc programs; whether the link carries all of them. */
bool devices_has_tc(const struct devices *v, const struct interface *i);
bool devices_is_attached(const struct devices *v, const struct interface *i, const struct link *l);

/*
 * Others at tcx, see links/devices_displaced.c. Logs that the programs of an interface are missing and, if others
 * displaced those at tc, counts it, before they are put back; the same only if a program is in front of them; whether
 * the guard stays shut although they are in place; a remark about it all, or NULL; and an operator's word that it is
 * over.
 */
void devices_displaced(struct devices *v, struct interface *i);
void devices_look_for_front(struct devices *v, struct interface *i);
bool devices_is_resting(const struct devices *v, const struct interface *i);
const char *devices_displaced_note(struct interface *i);
void devices_forgive(struct devices *v);

/*
 * Interfaces shared through libxdp's dispatcher, see attach/share.h. Whether an interface is to be shared; whether its
 * component is still there after the dispatcher was replaced; another look at all of them, and another try of those
 * that do without XDP, as the dispatcher refused.
 */
bool devices_is_shared(const struct interface *i);
bool devices_share_stays(struct devices *v, const struct interface *i, const struct link *l);
void devices_see_shares(struct devices *v, bool again);
void devices_retry_shares(struct devices *v);

/* Whether tc translates on an interface until libxdp's dispatcher takes detnat's program there. */
static inline bool devices_awaits_share(const struct interface *i)
{
	return i->xdp.dispatcher == DISPATCHER_LIBXDP && i->xdp_failed && !i->carrier;
}

/* devices_share() of one in the list; i may be NULL. */
const struct share_answer *devices_share_of(const struct devices *v, const struct interface *i);

/* Whether the way in which XDP runs on an interface is about to change, with a moment without any program. */
bool devices_changes_share(const struct devices *v, const struct interface *i);

/* Takes detnat's XDP program off an interface, alone or under a dispatcher. 0, or -errno with err. */
int devices_xdp_off(struct devices *v, const struct interface *i, struct error *err);

/*
 * Of mappings of IPv6 subscribers. Takes over what a configuration has of them, before it takes effect: 0, or -errno
 * with err. Makes the blackhole routes of NAT64 prefixes what they should be: likewise. Notes in the tables an inside
 * interface of the list, and the gateway's addresses. Reads again what may have changed. Frees all.
 */
int devices_six_take(struct devices *v, const struct config *c, struct error *err);
int devices_six_routes(struct devices *v, struct error *err);
void devices_six_record(struct devices *v, const struct interfaces *all);
void devices_six_sync(struct devices *v);
void devices_six_forget(struct devices *v);

/* Schedules devices_sync() in that many milliseconds, unless it is due earlier. */
void devices_schedule_sync(struct devices *v, unsigned ms);

/* Plans again, and switches programs if the plan has changed. 0, or -errno with nothing changed. */
int devices_replan(struct devices *v, struct error *err);

/* Refuses to remove an interface that would keep its program because an upper one keeps its own. */
int devices_check_others(struct devices *v, const struct interfaces *all, struct error *err);

/*
 * Detaches everything that is not in the list. The new configuration is already running, so failures are only logged.
 */
void devices_detach_others(struct devices *v, const struct interfaces *all);

/*
 * Vouches for the sources of subscribers for the next seconds, if only the gateway's own addresses are refused as
 * sources; see bpf/egress/source.h.
 */
void devices_vouch(struct devices *v);

/* Informs the copy of the routes whether its gaps matter. */
void devices_hold_copy(struct devices *v);

/* Around a change of what is attached, and at the agent's end: whether XDP may come before the programs at tc. */
void devices_change_begins(struct devices *v);
void devices_change_ends(struct devices *v);
void devices_leave(struct devices *v);

/* Marks every interface as dirty. */
void devices_mark_all(struct devices *v);

/* Reads the dirty interfaces again, and repairs deviations. */
void devices_sync(struct devices *v);

/* Gives the ports of bonds that run XDP natively the records of their bonds. True if a record changed. */
bool devices_record_ports(struct devices *v, const struct interfaces *all);

/*
 * Gives the VRFs of the interfaces records, and has their tables get blackhole routes. True if a record changed. The
 * next appends the VRF of an interface to a list without repetitions, and returns its length.
 */
bool devices_record_vrfs(struct devices *v, const struct interfaces *all);
size_t devices_add_vrf(const struct interface *i, uint32_t *open, size_t n);

/* Takes the tenants of a configuration over, for devices_record_vrfs(). */
void devices_take_tenants(struct devices *v, const struct config *c);

/*
 * Whether an interface has the program that hands over to VRFs what XDP has translated: an outside one with XDP, where
 * a tenant has a VRF. Attaches it there, and takes it off elsewhere: 0, or -errno with err.
 */
bool devices_wants_into_vrf(const struct devices *v, const struct interface *i);
int devices_attach_into_vrf(struct devices *v, struct interface *i, struct error *err);

/* The blackhole routes for prefixes: in `main` and in the tables of VRFs. */
struct blackholes devices_blackholes(const struct devices *v, const struct prefix *prefix, size_t count);

#endif
