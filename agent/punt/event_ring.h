/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes the datapath's events off the ring buffer: IPFIX records, a line of log where a subscriber was refused
 * something, requests to resolve neighbours. Also the exporter's clock: it ticks every second.
 */
#ifndef DETNAT_EVENT_RING_H
#define DETNAT_EVENT_RING_H

#include <event2/event.h>

#include <detnat/events.h>

#include "datapath/datapath.h"
#include "ipfix/ipfix.h"
#include "sessions/sessions.h"

struct events;

/* Events taken in one turn of the loop; the rest waits for the next. */
#define EVENTS_PER_TURN 1000U

/* Neighbours asked for in a second, each at most once. */
#define EVENTS_RESOLVES 256U

/*
 * Lines of log about subscribers in a minute. Of each one there is a line an hour for each kind of refusal; so many are
 * remembered (a power of two).
 */
#define EVENTS_LINES 20U
#define EVENTS_TOLD  4096U

/* addr: of that family, network byte order. */
typedef void (*events_resolve)(void *arg, int family, const void *addr, uint32_t ifindex);

/* Listens to d->events. The base, d, x and arg must outlive the result. */
int events_new(struct event_base *base, const struct datapath *d, struct ipfix *x, events_resolve resolve, void *arg,
	       struct events **ret, struct error *err);

/* Takes one last turn: what is left waits for the next agent. What the exporter has gathered stays with it. */
void events_free(struct events *v);

/* Reports an event of the agent's own as those of the datapath are: to the log and to the collectors. */
void events_report(struct events *v, const struct nat_event *e);

/* A session_visit: reports a session that the agent closed by itself (sweep, close). arg: struct ipfix *. Returns 0. */
int events_session_closed(const struct session *s, void *arg);

#endif
