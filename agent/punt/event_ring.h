/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the datapath's events from the ring buffer `events` and turns them into IPFIX records, log lines about refused
 * subscribers, notices, and requests to resolve neighbours. Its one-second timer also drives the IPFIX exporter.
 */
#ifndef DETNAT_EVENT_RING_H
#define DETNAT_EVENT_RING_H

#include <event2/event.h>

#include <detnat/events.h>

#include "config/active.h"
#include "datapath/datapath.h"
#include "ipfix/ipfix.h"
#include "sessions/sessions.h"
#include "tables/grant_table.h"
#include "tables/portmap_table.h"

struct events;

/* Events taken in one turn of the event loop. */
#define EVENTS_PER_TURN 1000U

/* Neighbours resolved per second, each at most once; routers, of which there are few, come on top. */
#define EVENTS_RESOLVES 256U

/*
 * Log lines per minute about refused subscribers. A subscriber gets one line an hour for each kind of refusal;
 * EVENTS_TOLD of them are remembered (a power of two).
 */
#define EVENTS_LINES 20U
#define EVENTS_TOLD  4096U

/* addr: an address of that family, in network byte order; router: a route's next hop. */
typedef void (*events_resolve)(void *arg, int family, const void *addr, uint32_t ifindex, bool router);

/*
 * Reads d->events until events_free(). base, d, active, x and arg must outlive the result; active may be NULL, and
 * notices then lack the names of mappings.
 */
int events_new(struct event_base *base, const struct datapath *d, const struct active_config *active, struct ipfix *x,
	       events_resolve resolve, void *arg, struct events **ret, struct error *err);

/*
 * Called for a subscriber, by inside_place() of base/inside_runs.h, without a free port who may get a block of the
 * shared range; at: CLOCK_MONOTONIC.
 */
typedef void (*events_growth)(void *arg, uint64_t place, uint64_t time_ns);
void events_on_growth(struct events *v, events_growth ask, void *arg);

/* Takes a last turn; events that are left stay in the ring buffer for the next agent. */
void events_free(struct events *v);

/* Call it when the clock was set: earlier events have the earlier time. arg: struct events *. */
void events_clock_set(void *arg);

/* Reports an event that the agent itself detected: to the log and to the collectors. */
void events_report(struct events *v, const struct nat_event *e);

/*
 * A session_visit: reports a session that the agent closed (sweep, close), or that has ended with its mapping, to the
 * collectors and in a notice. arg: struct ipfix *. Returns 0.
 */
int events_session_closed(const struct session *s, void *arg);

/* A portmap_visit: reports a portmap to the collectors. arg: struct ipfix *. */
void events_portmap_changed(void *arg, const struct portmap *m, bool made);

/* A grant_visit: reports a granted block to the collectors, and in a notice. arg: struct ipfix *. */
void events_grant_changed(void *arg, const struct grant *grant, bool made);

#endif
