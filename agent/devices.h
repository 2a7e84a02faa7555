/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces: attach and detach XDP and tc, follow them as they come and go, and keep the datapath's device records,
 * the blackhole routes of pool addresses and the epoch true to the kernel (rtnetlink).
 */
#ifndef DETNAT_DEVICES_H
#define DETNAT_DEVICES_H

#include <event2/event.h>

#include "datapath.h"
#include "netlink.h"

struct devices;

enum device_attachment { DEVICE_ABSENT, DEVICE_XDP_NATIVE, DEVICE_XDP_SKB };

int devices_new(struct event_base *base, struct datapath *d, struct devices **ret, struct error *err);
void devices_free(struct devices *v); /* leaves everything attached */

/*
 * Makes what is attached equal to the interfaces of the configuration, and the blackhole routes equal to its outside
 * prefixes. What is right already is left alone. On failure what was changed is changed back.
 */
int devices_apply(struct devices *v, const struct config *c, struct error *err);

enum device_attachment devices_attachment(const struct devices *v, const char *name);
bool devices_shared(const struct devices *v, const char *name); /* under libxdp's dispatcher */

/* Asks the kernel to resolve the neighbour of an address on an interface (EVENT_RESOLVE). */
void devices_resolve(struct devices *v, uint32_t addr, uint32_t ifindex);

/* What routes depend on. By more than XDP can ask of, the kernel has to forward all. */
enum routing devices_routing(const struct devices *v);

/* Has a function called, from the event loop, whenever devices_routing() begins to say otherwise. */
typedef void (*devices_notify)(void *arg);
void devices_on_routing_change(struct devices *v, devices_notify changed, void *arg);

/*
 * Refuses interfaces that XDP cannot or must not be attached to (no Ethernet, somebody else's program, an index beyond
 * the tables); those that do not exist are passed over. Changes nothing. For -t, and called by devices_apply() for
 * itself.
 */
int devices_check(const struct config *c, struct error *err);

/* Whether the kernel does not forward what comes in by an interface of that name. */
bool forwarding_is_off(const char *name);

/* Warns of interfaces by which the kernel does not forward what comes in, as an attachment does. For -t. */
void devices_check_forwarding(const struct config *c);

/* Detaches everything that belongs to the datapath pinned in d, blackhole routes included; for --detach. */
int devices_detach_all(struct datapath *d, struct error *err);

#endif
