// SPDX-License-Identifier: BSD-2-Clause
/*
 * New clients, and who has to go for them where there are too many.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "control/control_private.h"
#include "base/log.h"

/* Connections accepted in one turn of the event loop. */
#define ACCEPT_BATCH 64
/* A client is not idle before it had time to ask. */
#define IDLE_MIN_US 50000

/* Whether a socket has something to be read, or a connection to be accepted. */
static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

enum eviction { EVICT_CLOSING, EVICT_IDLE, EVICT_LONG, EVICT_ANSWERED, EVICT_NOT };

/* Whom to close first where there are too many; not those that have asked and will be served within a moment. */
static enum eviction eviction(const struct client *c, uint64_t now)
{
	if (c->closing)
		return EVICT_CLOSING;
	if (c->request)
		return EVICT_ANSWERED;
	if (c->queue == QUEUE_LONG)
		return EVICT_LONG;
	return c->queue == QUEUE_NONE && now - c->progress_us >= IDLE_MIN_US ? EVICT_IDLE : EVICT_NOT;
}

/* Makes room: of those to close first the one idle longest goes. False where nobody can. */
static bool evict(struct control *control)
{
	struct client *c, *worst = NULL;
	enum eviction worst_eviction = EVICT_NOT;
	uint64_t now = monotonic_us();

	TAILQ_FOREACH(c, &control->all, all)
	{
		enum eviction e = eviction(c, now);

		if (e < worst_eviction || (worst && e == worst_eviction && c->progress_us < worst->progress_us)) {
			worst = c;
			worst_eviction = e;
		}
	}
	if (worst)
		client_free(worst);
	return worst;
}

/* A listener that is not served would be ready for ever, and the event loop would spin. */
static void pause_accept(struct control *control, unsigned ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_del(control->accept);
	evtimer_add(control->resume, &tv);
}

void clients_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	if (control->accept)
		event_add(control->accept, NULL);
}

void clients_accept(evutil_socket_t listener, short what, void *arg)
{
	struct control *control = arg;

	for (int i = 0; i < ACCEPT_BATCH && is_readable(listener); i++) {
		int fd;

		/* Where nobody can go the rest waits in the backlog until some that are there have been served. */
		if (control->n_clients >= CONTROL_MAX_CLIENTS && !evict(control)) {
			pause_accept(control, 2);
			return;
		}
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			client_new(control, fd);
		} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_warning("control socket: cannot accept a connection: %s", strerror(errno));
			evict(control);
			pause_accept(control, 1000);
			return;
		}
	}
}
