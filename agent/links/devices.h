/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's interfaces and routing as they change: attaches and detaches XDP and tc, follows interfaces as they
 * come and go, and keeps the datapath's device records, the blackhole routes for pool addresses and the epoch up to
 * date (rtnetlink).
 */
#ifndef DETNAT_DEVICES_H
#define DETNAT_DEVICES_H

#include <event2/event.h>

#include "attach/attach.h"
#include "attach/share.h"
#include "datapath/datapath.h"
#include "fib/route_copy.h"
#include "guard/guard.h"
#include "host/netlink.h"
#include "routing/sources.h"

struct devices;

/* guard: learns which interfaces carry their programs, before one is detached and after one is attached. */
int devices_new(struct event_base *base, struct datapath *d, struct guard *guard, struct devices **ret,
		struct error *err);
void devices_free(struct devices *v); /* keeps everything attached */

/*
 * Keeps the datapath's copy of the routes from forwarding to destinations that a configuration does not translate
 * (`bypass`) and to its pools. Call it before either takes effect. 0 or -ENOMEM.
 */
int devices_exclude(struct devices *v, const struct config *c, struct error *err);

/*
 * Makes the attached programs match the interfaces of the configuration, and the blackhole routes its outside prefixes.
 * Leaves correct ones alone. On failure undoes every change.
 */
int devices_apply(struct devices *v, const struct config *c, struct error *err);

/* The same where nothing but mappings has changed, for the routes alone: of few pools that differ, theirs. */
int devices_change_pools(struct devices *v, const struct config *c, struct error *err);

/*
 * In these, `name` is the one in the configuration. An interface is followed by its index, so its link may have been
 * renamed.
 */
enum device_attachment devices_attachment(const struct devices *v, const char *name);
bool devices_tc_sends(const struct devices *v, const char *name); /* DEVICE_TC: and tc sends, not the kernel */
const char *devices_without_xdp(const struct devices *v, const char *name); /* reason for DEVICE_TC; else NULL */
const char *devices_link_name(const struct devices *v, const char *name);   /* its present name; NULL: absent */

/* A copy of a configuration with the present names of its interfaces; NULL: out of memory. */
struct config *devices_present(const struct devices *v, const struct config *c);

/*
 * The interfaces that `interface list` shows: those of the configuration, patterns included, then those that match
 * patterns, which are written to *place. NULL: no more.
 */
const struct config_interface *devices_listed(const struct devices *v, const struct config *c, size_t n,
					      struct config_interface *place);
const char *devices_pattern(const struct devices *v, const char *name); /* that matches it, or NULL */
size_t devices_matches(const struct devices *v, const char *pattern);	/* number of interfaces that match it */

/*
 * What runs under libxdp's dispatcher on an interface with that name, as last seen: NULL if it is not shared. To show
 * only.
 */
const struct share_answer *devices_share(const struct devices *v, const char *name);

/* A problem of an interface for the operator, or NULL. *ret_grave: whether it prevents translation of packets. */
const char *devices_problem(const struct devices *v, const char *name, bool *ret_grave);

/* Whether an interface exists and is down, or has no carrier. */
bool devices_is_down(const struct devices *v, const char *name);

/*
 * Why the kernel forwards packets that leave through an interface, in a few words; NULL: XDP redirects them. name NULL:
 * through any of them; NULL if XDP redirects to some interface, or none is attached.
 */
const char *devices_kernel_forwards(const struct devices *v, const struct config *c, const char *name);

/* The configured name of the interface that has this name now, or NULL. */
const char *devices_configured_name(const struct devices *v, const char *link_name);

/* Refuses a configuration that names a link twice: by the name it had when attached, and by its new one. */
int devices_check_names(const struct devices *v, const struct config *c, struct error *err);

/*
 * Compares the attached programs, the datapath's records of interfaces and the blackhole routes with their intended
 * state, and adds differences to the findings. repair: also repairs them. 1 if changes are still being processed, so
 * call it again; 0; or -errno.
 */
struct findings;
int devices_audit(struct devices *v, bool repair, struct findings *findings, size_t *ret_interfaces,
		  size_t *ret_routes);

/* Asks the kernel to resolve the neighbour of an address on an interface (EVENT_RESOLVE). */
void devices_resolve(struct devices *v, int family, const void *addr, uint32_t ifindex, bool router);

/* The criteria of routing decisions. If XDP cannot look up all of them, the kernel must forward everything. */
enum routing devices_routing(const struct devices *v);

/* The datapath's copy of the kernel's routes; the caller only reads it. */
const struct route_copy *devices_routes(const struct devices *v);

/* Whether routes have an `mtu`; the datapath then finds it in the map route_mtus. */
bool devices_route_mtus(const struct devices *v);

/*
 * Writes the reason why two stages cannot handle the traffic of a configuration's interfaces, or an empty text. For an
 * interface not yet attached it assumes its future mode.
 */
void devices_stages_obstacle(const struct devices *v, const struct config *c, char *text, size_t size);

/* The tc programs that a configuration's interfaces need besides the one at the egress, TC_…, as far as is known. */
uint8_t devices_tc(const struct devices *v, const struct config *c);

/* The present reverse-path filters of a configuration's interfaces. */
struct rp_summary devices_rp_filters(const struct devices *v, const struct config *c);

/* Calls a function from the event loop whenever one of these differs from its value when the programs were loaded. */
typedef void (*devices_notify)(void *arg);
void devices_on_routing_change(struct devices *v, devices_notify changed, void *arg);

/*
 * Refuses interfaces that XDP cannot or must not be attached to (not Ethernet, another program, an index beyond the
 * tables); skips missing interfaces. Changes nothing. For -t; devices_apply() checks by itself.
 */
int devices_check(const struct config *c, struct error *err);

/* Detaches everything that belongs to the datapath pinned in d, including blackhole routes; for --detach. */
int devices_detach_all(struct datapath *d, struct error *err);

#endif
