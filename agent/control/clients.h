/* SPDX-License-Identifier: BSD-2-Clause */
/* The connected clients of the control socket: their requests are served in turns, and the idle ones are closed. */
#ifndef DETNAT_CLIENTS_H
#define DETNAT_CLIENTS_H

#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include "control/control.h"

struct clients;

/* 0, or -ENOMEM. */
int clients_new(struct event_base *base, const struct parts *context, struct clients **ret);
void clients_free(struct clients *l); /* closes all; NULL is allowed */

/* Takes a connected socket; closes it if out of memory. */
void clients_add(struct clients *l, int fd);

/* Closes a client if the limit is reached. Returns false if all of them are about to be served. */
bool clients_make_room(struct clients *l);

/* Closes a client if one can be spared, whatever their number. */
bool clients_evict(struct clients *l);

/* Every second: closes clients that were idle for too long, and shows those that wait that the agent is at work. */
void clients_tick(struct clients *l);

/* The lines that the agent answers with (control/control.h). */

/* {"ok":true,"result":…}; takes the result, NULL meaning out of memory. */
void reply_result(struct evbuffer *out, cJSON *result);

/* {"ok":false,"status":…,"error":"…"}; with "request":…, the request's number in a batch, unless that is 0. */
void reply_error(struct evbuffer *out, int status, unsigned request, const char *text);

/* {"end":true}, or {"end":false,"error":"…"} where text is not NULL. */
void reply_end(struct evbuffer *out, const char *text);

#endif
