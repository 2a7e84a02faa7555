/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces: attach and detach XDP and tc, follow them as they come and go, and keep the datapath's device records,
 * the blackhole routes of pool addresses and the epoch true to the kernel (rtnetlink).
 */
#ifndef DETNAT_DEVICES_H
#define DETNAT_DEVICES_H

#include <event2/event.h>

#include "datapath/datapath.h"
#include "guard/guard.h"
#include "host/netlink.h"
#include "links/attach.h"
#include "links/sources.h"

struct devices;

/* guard: is told which interfaces carry their programs, before any goes off and after it is on. */
int devices_new(struct event_base *base, struct datapath *d, struct guard *guard, struct devices **ret,
		struct error *err);
void devices_free(struct devices *v); /* leaves everything attached */

/*
 * Makes what is attached equal to the interfaces of the configuration, and the blackhole routes equal to its outside
 * prefixes. What is right already is left alone. On failure what was changed is changed back.
 */
int devices_apply(struct devices *v, const struct config *c, struct error *err);

/* In these, name is that of the configuration. An interface is followed by its index, so its link may have another. */
enum device_attachment devices_attachment(const struct devices *v, const char *name);
bool devices_shared(const struct devices *v, const char *name);		  /* under libxdp's dispatcher */
const char *devices_link_name(const struct devices *v, const char *name); /* as it is called now; NULL: absent */

/* What an operator should know of it, NULL: nothing; and whether that keeps packets from being translated. */
const char *devices_problem(const struct devices *v, const char *name, bool *ret_grave);

/* The name in the configuration of an interface that is called so now, or NULL. */
const char *devices_configured_name(const struct devices *v, const char *link_name);

/* Refuses a configuration that names a link twice: by the name that it had when it was attached, and by its new one. */
int devices_check_names(const struct devices *v, const struct config *c, struct error *err);

/*
 * Compares what is attached, the datapath's records of interfaces, and the blackhole routes with what should be there,
 * and adds what differs to the findings (base/findings.h). repair: has it mended first. 1: changes have not been taken
 * notice of yet, ask again; 0, or -errno.
 */
struct findings;
int devices_audit(struct devices *v, bool repair, struct findings *findings, size_t *ret_interfaces,
		  size_t *ret_routes);

/* Asks the kernel to resolve the neighbour of an address on an interface (EVENT_RESOLVE). */
void devices_resolve(struct devices *v, int family, const void *addr, uint32_t ifindex);

/* An interface with a role whose link is there, as long as nothing changes. */
struct device_view {
	const char *name;
	const char *link_name;
	uint32_t ifindex;
	uint8_t roles; /* DEVICE_INSIDE | DEVICE_OUTSIDE */
	enum device_attachment attachment;
};

/* The next of them; *position begins at 0. False: there are no more. */
bool devices_next(const struct devices *v, size_t *position, struct device_view *ret);

/* What routes depend on. By more than XDP can ask of, the kernel has to forward all. */
enum routing devices_routing(const struct devices *v);

/* Whether routes have an `mtu`, which the datapath then finds in the map route_mtus. */
bool devices_route_mtus(const struct devices *v);

/* The reverse-path filters of a configuration's interfaces, as they are now. */
struct rp_summary devices_rp_filters(const struct devices *v, const struct config *c);

/*
 * Has a function called, from the event loop, whenever one of these three says other than what the programs were
 * loaded for.
 */
typedef void (*devices_notify)(void *arg);
void devices_on_routing_change(struct devices *v, devices_notify changed, void *arg);

/* The same whenever what devices_next() tells may have changed, as soon as it has. */
void devices_on_attachment_change(struct devices *v, devices_notify changed, void *arg);

/*
 * Refuses interfaces that XDP cannot or must not be attached to (no Ethernet, somebody else's program, an index beyond
 * the tables); those that do not exist are passed over. Changes nothing. For -t, and called by devices_apply() for
 * itself.
 */
int devices_check(const struct config *c, struct error *err);

/* Detaches everything that belongs to the datapath pinned in d, blackhole routes included; for --detach. */
int devices_detach_all(struct datapath *d, struct error *err);

#endif
