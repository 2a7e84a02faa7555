// SPDX-License-Identifier: BSD-2-Clause
/* The control socket's server as a whole: made, kept in order every second, ended. */
#include <errno.h>
#include <signal.h>

#include "control_private.h"

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	struct client *c, *next;
	uint64_t now = monotonic_us();

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

int control_new(struct agent *a, const char *path, struct control **ret, struct error *err)
{
	static const struct timeval second = { .tv_sec = 1 };
	struct control *control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return error_set(err, -ENOMEM, "out of memory");
	TAILQ_INIT(&control->all);
	for (int i = 0; i < N_QUEUES; i++)
		TAILQ_INIT(&control->queues[i]);
	control->agent = a;
	r = control_socket_open(path, &control->socket, err);
	if (r) {
		free(control);
		return r;
	}
	/* A client that has gone is found by the failing write. */
	signal(SIGPIPE, SIG_IGN);
	control->accept = event_new(a->base, control->socket.fd, EV_READ | EV_PERSIST, clients_accept, control);
	control->resume = evtimer_new(a->base, clients_accept_again, control);
	control->pump = evtimer_new(a->base, clients_serve, control);
	control->tick = event_new(a->base, -1, EV_PERSIST, on_tick, control);
	if (!control->accept || !control->resume || !control->pump || !control->tick ||
	    event_add(control->accept, NULL) || event_add(control->tick, &second)) {
		control_free(control);
		return error_set(err, -ENOMEM, "out of memory");
	}
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
	free(control);
}
