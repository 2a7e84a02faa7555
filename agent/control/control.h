/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: reads requests, calls the handler of each verb, and writes the answers. It is a Unix stream
 * socket of mode 0660, of the group `detnat` if it exists. Every peer that can connect may read; verbs that change the
 * running state are for root, the agent's own user and members of `detnat-admin`, and are refused to others with status
 * 1.
 *
 * Protocol: the client sends one line of JSON, shorter than 64 KiB (1 MiB if it may change the running state, for
 * batches), and the agent answers with one line, any number of times. Lines sent without waiting are answered in order.
 * An object has the keys shown and no others.
 *
 * 	-> {"verb":"mapping add","args":{"in":"10.0.0.0/18","out":"1.1.1.0/30"}}
 * 	<- {"ok":true,"result":{...}}                  what detnatctl --json prints
 * 	<- {"ok":false,"status":1,"error":"..."}       the exit status of detnatctl: 1 refused, 2 malformed
 *
 * Verbs are the words of detnatctl's commands, and args have their names from proto/verbs.def: numbers and flags are
 * JSON numbers and booleans, all others strings as they are typed.
 *
 * Requests that edit the configuration can be sent as a batch, which is one change: all of them take effect, or none.
 * The result is an array of theirs. A refusal has the number of the refused request, from 1, unless each is valid and
 * only their combination is not:
 *
 * 	-> {"batch":[{"verb":"mapping add","args":{...}},{"verb":"portmap add","args":{...}}]}
 * 	<- {"ok":true,"result":[{...},{...}]}
 * 	<- {"ok":false,"status":1,"request":2,"error":"..."}
 *
 * Long listings (session list, top, trace show) are streamed, a line an element:
 *
 * 	<- {"ok":true,"stream":true}
 * 	<- {...}                                       an element
 * 	<- {"end":true}                                or {"end":false,"error":"..."} where the listing broke off
 *
 * The stream of monitor has no end: it lasts until the client closes the connection, or its sending half.
 *
 * While an answer takes long the agent sends an empty line every CONTROL_SIGN_S seconds to show that it is at work;
 * clients skip that line.
 *
 * A client that sends anything but requests gets an error and is closed. So is one that sends no whole line, or reads
 * nothing of its answer, for CONTROL_IDLE_S seconds; when CONTROL_MAX_CLIENTS are connected, the one idle longest is
 * closed for the next.
 */
#ifndef DETNAT_CONTROL_H
#define DETNAT_CONTROL_H

#include <event2/event.h>
#include <stdbool.h>

#include "base/base.h"
#include "config/parts.h"
#include "proto/defaults.h"

#define CONTROL_MAX_CLIENTS 256U
#define CONTROL_IDLE_S	    30
#define CONTROL_SIGN_S	    10

struct control;

/*
 * Listens at path. Replaces a socket left by a dead agent, but not one that answers (-EADDRINUSE). If it cannot listen,
 * and `wait` is true or the error may pass, it sets TROUBLE_CONTROL and tries again each second, as it does if the path
 * of its socket is removed. The parts must outlive the queue of changes, which may hold a request for longer than its
 * client or the socket exists.
 */
int control_new(struct event_base *base, const struct parts *parts, const char *path, bool wait, struct control **ret,
		struct error *err);
void control_free(struct control *c); /* closes all and removes the socket */

#endif
