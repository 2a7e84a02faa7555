/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the control socket's server share: control/control.c, control/client.c, control/accept.c. */
#ifndef DETNAT_CONTROL_PRIVATE_H
#define DETNAT_CONTROL_PRIVATE_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/queue.h>

#include "control/control.h"
#include "control/listener.h"
#include "control/handlers.h"

enum queue { QUEUE_SHORT, QUEUE_LONG, QUEUE_JOBS, QUEUE_STREAMS, N_QUEUES, QUEUE_NONE };

struct client {
	TAILQ_ENTRY(client) all;
	TAILQ_ENTRY(client) next;
	enum queue queue;
	struct control *control;
	struct peer peer;
	struct bufferevent *bev;
	struct request *request; /* being answered */
	uint64_t progress_us;	 /* last whole line, or last octet of an answer read by the client */
	uint64_t sent_us;	 /* last time that anything was put into the output */
	bool eof;		 /* sends nothing more; may still read */
	bool closing;		 /* closed as soon as the output is empty */
};

TAILQ_HEAD(clients, client);

struct control {
	struct event_base *base;
	const struct control_context *context;
	char *path;
	struct control_socket socket; /* fd -1: none, for the time being */
	struct event *accept;
	struct event *resume;
	struct event *pump;
	struct event *tick;
	struct clients all;
	struct clients queues[N_QUEUES];
	unsigned n_clients;
};

static inline struct evbuffer *client_output(const struct client *c)
{
	return bufferevent_get_output(c->bev);
}

/* Takes a connected socket, and closes it where memory is short. */
void client_new(struct control *control, int fd);
void client_free(struct client *c);

/* A turn's work for those who wait. */
void clients_serve(evutil_socket_t fd, short what, void *control);

/* Accepts those who wait at the listener, and makes room for them. */
void clients_accept(evutil_socket_t listener, short what, void *control);
void clients_accept_again(evutil_socket_t fd, short what, void *control);

#endif
