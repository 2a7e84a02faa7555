// SPDX-License-Identifier: BSD-2-Clause
/* The listening socket: accepts clients, and is recreated if its path disappears. */
#include "control/control.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/trouble.h"
#include "control/clients.h"
#include "control/listener.h"
#include "host/timer.h"

/* Connections accepted in one turn of the event loop. */
#define ACCEPT_BATCH 64

struct control {
	struct event_base *base;
	struct clients *clients;
	char *path;
	struct control_socket socket; /* fd -1: none at present */
	struct event *accept;
	struct event *resume; /* accepting, after a pause */
	struct event *tick;
};

/* Whether a socket has something to be read, or a connection to be accepted. */
static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* Without this the event loop would spin, as the listener stays readable while it is not served. */
static void pause_accept(struct control *control, unsigned ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L };

	event_del(control->accept);
	evtimer_add(control->resume, &tv);
}

static void accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	if (control->accept)
		event_add(control->accept, NULL);
}

static void accept_clients(evutil_socket_t listener, short what, void *arg)
{
	struct control *control = arg;

	for (int i = 0; i < ACCEPT_BATCH && is_readable(listener); i++) {
		int fd;

		/* If no client can be closed, new ones wait in the backlog until some have been served. */
		if (!clients_make_room(control->clients)) {
			pause_accept(control, 2);
			return;
		}
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			clients_add(control->clients, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_warning("control socket: cannot accept a connection: %s", strerror(errno));
			clients_evict(control->clients);
			pause_accept(control, 1000);
			return;
		}
	}
}

static void stop_listening(struct control *control)
{
	if (control->accept)
		event_free(take_pointer(control->accept));
	evtimer_del(control->resume);
	control_socket_close(&control->socket);
}

/* -errno with err; there is no socket then. */
static int start_listening(struct control *control, struct error *err)
{
	int r = control_socket_open(control->path, &control->socket, err);

	if (r) {
		control->socket = (struct control_socket){ .fd = -1 };
		return r;
	}
	control->accept = event_new(control->base, control->socket.fd, EV_READ | EV_PERSIST, accept_clients, control);
	if (control->accept && !event_add(control->accept, NULL))
		return 0;
	stop_listening(control);
	return error_set(err, -ENOMEM, "out of memory");
}

static void tell_trouble(const struct error *err)
{
	trouble_set(TROUBLE_CONTROL, "control socket: %s; tried again every second", err->text);
}

/* Recreates the socket if its path was removed; connected clients stay. */
static void look_after_socket(struct control *control)
{
	struct error err = { 0 };

	if (control->socket.fd >= 0) {
		if (control_socket_is_there(&control->socket))
			return;
		log_warning("control socket: %s was removed; it is made again", control->path);
		stop_listening(control);
	}
	if (start_listening(control, &err))
		tell_trouble(&err);
	else
		trouble_clear(TROUBLE_CONTROL);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	look_after_socket(control);
	clients_tick(control->clients);
}

int control_new(struct event_base *base, const struct parts *context, const char *path, bool wait, struct control **ret,
		struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return error_set(err, -ENOMEM, "out of memory");
	control->base = base;
	control->socket.fd = -1;
	control->path = strdup(path);
	/* A client that has gone is noticed when writing to it fails. */
	signal(SIGPIPE, SIG_IGN);
	control->resume = evtimer_new(base, accept_again, control);
	control->tick = timer_each_second(base, on_tick, control);
	if (!control->path || !control->resume || !control->tick || clients_new(base, context, &control->clients)) {
		control_free(control);
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = start_listening(control, err);
	if (r && !wait && !error_passes(r)) {
		control_free(control);
		return r;
	}
	if (r)
		tell_trouble(err);
	*ret = control;
	return 0;
}

void control_free(struct control *control)
{
	if (!control)
		return;
	clients_free(control->clients);
	struct event *events[] = { control->accept, control->resume, control->tick };

	for (unsigned i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	control_socket_close(&control->socket);
	free(control->path);
	free(control);
}
