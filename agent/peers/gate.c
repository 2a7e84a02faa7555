/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/log.h"

#define BACKLOG 32
/* In a turn of the event loop. */
#define ACCEPTED_PER_TURN 8U

struct visitor {
	struct gate *gate; /* NULL: the place is free */
	uint32_t from;
	struct endpoint listen; /* addr 0: not known yet */
	struct connection *connection;
	uint64_t number; /* in the order of arrival */
};

struct gate {
	const struct connection_setup *setup;
	const struct gate_ops *ops;
	void *arg;
	int fd;
	struct event *event;
	struct event *again; /* accepts again */
	struct visitor visitor[GATE_PLACES];
	uint64_t came;
};

static void leave(struct visitor *v)
{
	connection_free(v->connection);
	*v = (struct visitor){ 0 };
}

static void turn_away(struct visitor *v, const char *why)
{
	v->gate->ops->refused(v->gate->arg, v->from, v->listen, why);
	leave(v);
}

static int on_hello(void *arg, const struct hello *h, struct error *why)
{
	struct visitor *v = arg;
	int r = v->gate->ops->admit(v->gate->arg, v->from, h->listen, why);

	if (!r)
		v->listen = h->listen;
	return r;
}

static void on_ready(void *arg, const struct hello *h)
{
	struct visitor *v = arg, entered = *v;

	*v = (struct visitor){ 0 };
	entered.gate->ops->enter(entered.gate->arg, h->listen, entered.connection, h);
}

/* Does not happen: the new owner gets the frame after a proof. */
static int on_frame(void *arg, const struct frame *f, struct error *why)
{
	return -EPROTO;
}

static void on_room(void *arg)
{
}

static void on_ended(void *arg, const char *why)
{
	turn_away(arg, why);
}

static const struct connection_ops ops = {
	.hello = on_hello,
	.ready = on_ready,
	.frame = on_frame,
	.room = on_room,
	.ended = on_ended,
};

/* A free place, or that of the oldest connection. */
static struct visitor *place(struct gate *g)
{
	struct visitor *oldest = &g->visitor[0];

	for (size_t i = 0; i < GATE_PLACES; i++) {
		if (!g->visitor[i].gate)
			return &g->visitor[i];
		if (g->visitor[i].number < oldest->number)
			oldest = &g->visitor[i];
	}
	turn_away(oldest, "too many connections without proof of a peer");
	return oldest;
}

static void take(struct gate *g, int fd, uint32_t from)
{
	struct visitor *v;
	int r;

	if (!g->ops->known(g->arg, from)) {
		close(fd);
		g->ops->refused(g->arg, from, (struct endpoint){ 0 }, "the address does not belong to a peer");
		return;
	}
	v = place(g);
	*v = (struct visitor){ .gate = g, .from = from, .number = g->came++ };
	r = connection_accept(g->setup, fd, &ops, v, &v->connection);
	if (r) {
		v->connection = NULL;
		turn_away(v, "out of memory");
	}
}

/* A failure that recurs at once would recur a moment later. */
static void rest(struct gate *g, int error)
{
	static const struct timeval pause = { .tv_sec = 1 };

	if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
		return;
	log_warning("replication: cannot accept a connection: %s; trying again in a second", strerror(error));
	event_del(g->event);
	evtimer_add(g->again, &pause);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct gate *g = arg;

	event_add(g->event, NULL);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct gate *g = arg;

	for (unsigned i = 0; i < ACCEPTED_PER_TURN; i++) {
		struct sockaddr_in from = { 0 };
		socklen_t size = sizeof(from);
		int accepted = accept4(g->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (accepted < 0) {
			rest(g, errno);
			return;
		}
		take(g, accepted, ntohl(from.sin_addr.s_addr));
	}
}

int gate_socket(struct endpoint at)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const struct sockaddr_in sa = { .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(at.addr),
					.sin_port = htons(at.port) };
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) || listen(fd, BACKLOG))
		return -errno;
	return take_fd(fd);
}

int gate_open(const struct connection_setup *setup, int fd, const struct gate_ops *gate_ops, void *arg,
	      struct gate **ret)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (!g) {
		close(fd);
		return -ENOMEM;
	}
	*g = (struct gate){ .setup = setup, .ops = gate_ops, .arg = arg, .fd = fd };
	g->event = event_new(setup->base, fd, EV_READ | EV_PERSIST, on_connection, g);
	g->again = evtimer_new(setup->base, on_again, g);
	if (!g->event || !g->again || event_add(g->event, NULL)) {
		gate_close(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

int gate_socket_again(const struct gate *g)
{
	int fd = fcntl(g->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

void gate_close(struct gate *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < GATE_PLACES; i++)
		if (g->visitor[i].gate)
			leave(&g->visitor[i]);
	if (g->event)
		event_free(g->event);
	if (g->again)
		event_free(g->again);
	close(g->fd);
	free(g);
}
