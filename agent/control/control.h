/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: a Unix stream socket, mode 0660 (group `detnat` where there is one). Who can connect may read;
 * changes (verb_specs) are for root, the agent's own user and members of `detnat-admin`, and others are refused with
 * status 1.
 *
 * Protocol: the client sends one line of JSON, at most 8 KiB, and the agent answers with one line; any number of
 *times. Lines sent without waiting are answered in order. An object has the keys shown and no others.
 *
 *	-> {"verb":"mapping add","args":{"in":"10.0.0.0/18","out":"1.1.1.0/30"}}
 *	<- {"ok":true,"result":{…}}                     the JSON of the contract's table
 *	<- {"ok":false,"status":1,"error":"…"}          status: what detnatctl exits with (1 refused, 2 malformed)
 *
 * Long listings (session list, top) are streamed, a line an element, and never held in memory:
 *
 *	<- {"ok":true,"stream":true}
 *	<- {…}                                          an element
 *	<- {"end":true}                                 or {"end":false,"error":"…"} where it broke off
 *
 * An empty line from the agent is a sign of life, sent every CONTROL_SIGN_S seconds while an answer takes long; clients
 *skip it.
 *
 * Verbs are the words of detnatctl's commands; args are named after the words of its usage in lower case (proto/verbs.h
 *has what each value must look like):
 *
 *	mapping add             in, out, sessions_per_user, session_slots (numbers; both optional)
 *	mapping del             in, out                       mapping list
 *	forward                 addr                          reverse               endpoint ("ADDR:PORT")
 *	interface add|del       name, role                    interface list
 *	timeouts show           timeouts set   udp, tcp_established, tcp_transitory, icmp (numbers; any of them)
 *	timeouts reset          session list   addr, proto, all (true or false; all optional)
 *	session close           direction ("in"|"out"), endpoint, ext, proto (optional)
 *	user show               addr                          stats, status, reload
 *	top                     n (a number), by ("sessions"|"quota"), once (true or false; detnatctl's own); all
 *optional explain                 place ("ADDR" or "ADDR:PORT") trace start             in, out, ext ("ADDR" or
 *"ADDR:PORT"), proto, count (all optional) trace show (streamed), trace stop ipfix show|disable|flush ipfix set
 *collector, source, domain_id, path_mtu, template_interval (any of them)
 *
 * A client that sends junk is told so and cut off; one that sends no whole line for CONTROL_IDLE_S seconds, or does not
 *read its answer for as long, is closed; when CONTROL_MAX_CLIENTS are connected, the one idle longest makes room.
 */
#ifndef DETNAT_CONTROL_H
#define DETNAT_CONTROL_H

#include <event2/event.h>
#include <stdbool.h>
#include <time.h>

#include "base/base.h"

struct active_config;
struct change_queue;
struct datapath;
struct devices;
struct guard;
struct history_queue;
struct ipfix;
struct mappings;
struct trace;

#define CONTROL_MAX_LINE    (64U << 10)
#define CONTROL_MAX_CLIENTS 256U
#define CONTROL_IDLE_S	    30
#define CONTROL_SIGN_S	    10

struct control;

/* What verbs read and act on. */
struct control_context {
	const struct active_config *active;
	struct datapath *datapath;
	struct mappings *mappings;
	struct history_queue *history;
	struct guard *guard;
	struct devices *devices;
	struct ipfix *ipfix;
	struct trace *trace;
	struct change_queue *changes;
	struct timespec started; /* CLOCK_MONOTONIC */
};

/*
 * Listens; a socket left behind by a dead agent is replaced, one that answers is not (-EADDRINUSE). Where it cannot,
 * and `wait` is true or the error can pass, that is trouble (TROUBLE_CONTROL), and is tried again each second; so is a
 * socket whose path goes while it is listened at. The context must outlive the queue of changes, which may hold a
 * request for longer than its client or the socket is there.
 */
int control_new(struct event_base *base, const struct control_context *context, const char *path, bool wait,
		struct control **ret, struct error *err);
void control_free(struct control *c); /* closes all and removes the socket */

#endif
