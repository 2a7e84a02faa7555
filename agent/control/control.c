// SPDX-License-Identifier: BSD-2-Clause
/* The control socket's server as a whole: made, kept in order every second, ended. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "control/control_private.h"
#include "base/log.h"
#include "base/trouble.h"

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
	control->accept = event_new(control->base, control->socket.fd, EV_READ | EV_PERSIST, clients_accept, control);
	if (control->accept && !event_add(control->accept, NULL))
		return 0;
	stop_listening(control);
	return error_set(err, -ENOMEM, "out of memory");
}

static void tell_trouble(const struct error *err)
{
	trouble_set(TROUBLE_CONTROL, "control socket: %s; tried again every second", err->text);
}

/* Clients that are connected stay so, whatever becomes of the path. */
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
	struct client *c, *next;
	uint64_t now = monotonic_us();

	look_after_socket(control);
	for (c = TAILQ_FIRST(&control->all); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->request && !evbuffer_get_length(client_output(c))) {
			if (now - c->sent_us >= CONTROL_SIGN_S * 1000000ULL)
				evbuffer_add(client_output(c), "\n", 1);
		} else if (now - c->progress_us >= CONTROL_IDLE_S * 1000000ULL) {
			client_free(c);
		}
	}
}

int control_new(struct event_base *base, const struct control_context *context, const char *path, bool wait,
		struct control **ret, struct error *err)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct control *control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return error_set(err, -ENOMEM, "out of memory");
	TAILQ_INIT(&control->all);
	for (int i = 0; i < N_QUEUES; i++)
		TAILQ_INIT(&control->queues[i]);
	control->base = base;
	control->context = context;
	control->socket.fd = -1;
	control->path = strdup(path);
	/* A client that has gone is found by the failing write. */
	signal(SIGPIPE, SIG_IGN);
	control->resume = evtimer_new(base, clients_accept_again, control);
	control->pump = evtimer_new(base, clients_serve, control);
	control->tick = event_new(base, -1, EV_PERSIST, on_tick, control);
	if (!control->path || !control->resume || !control->pump || !control->tick ||
	    event_add(control->tick, &second)) {
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
	struct client *c;

	if (!control)
		return;
	while ((c = TAILQ_FIRST(&control->all)))
		client_free(c);
	struct event *events[] = { control->accept, control->resume, control->pump, control->tick };

	for (unsigned i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	control_socket_close(&control->socket);
	free(control->path);
	free(control);
}
