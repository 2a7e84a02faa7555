// SPDX-License-Identifier: BSD-2-Clause
/*
 * The control socket's server. Clients wait in three queues: those that sent a short request, those that sent a lot,
 * and those whose answer is being made in slices. One turn of the event loop serves short requests and then long ones
 * for a slice's time, at least one of each, and then one slice of one answer; so neither two hundred listings nor as
 * many clients that send megabytes hold up anybody who asks a question.
 */
#include "control.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "control_reply.h"
#include "control_socket.h"
#include "log.h"
#include "verbs.h"

/* A client with more output than this is given nothing more until it has read most of it. */
#define OUTPUT_HIGH (64U << 10)
#define OUTPUT_LOW  (16U << 10)
/* A client with more input than this sends a lot. */
#define INPUT_SHORT (1U << 10)
/* Connections accepted in one turn of the event loop. */
#define ACCEPT_BATCH 64
/* A client is not idle before it had time to ask. */
#define IDLE_MIN_US 50000

enum queue { QUEUE_SHORT, QUEUE_LONG, QUEUE_JOBS, N_QUEUES, QUEUE_NONE };

struct client {
	TAILQ_ENTRY(client) all;
	TAILQ_ENTRY(client) next;
	enum queue queue;
	struct control *control;
	struct bufferevent *bev;
	struct request *request; /* being answered */
	uint64_t progress_us;	 /* last whole line, or last octet of an answer read by the client */
	uint64_t sent_us;	 /* last time that anything was put into the output */
	bool eof;		 /* sends nothing more; may still read */
	bool closing;		 /* closed as soon as the output is empty */
};

TAILQ_HEAD(clients, client);

struct control {
	struct agent *agent;
	struct control_socket socket;
	struct event *accept;
	struct event *resume;
	struct event *pump;
	struct event *tick;
	struct clients all;
	struct clients queues[N_QUEUES];
	unsigned n_clients;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct evbuffer *output(const struct client *c)
{
	return bufferevent_get_output(c->bev);
}

static void enqueue(struct client *c, enum queue queue)
{
	static const struct timeval at_once;

	if (c->queue != QUEUE_NONE)
		return;
	c->queue = queue;
	TAILQ_INSERT_TAIL(&c->control->queues[queue], c, next);
	/* A timer, not event_active(): between two turns all sockets are polled. */
	if (!evtimer_pending(c->control->pump, NULL))
		evtimer_add(c->control->pump, &at_once);
}

static void dequeue(struct client *c)
{
	if (c->queue != QUEUE_NONE)
		TAILQ_REMOVE(&c->control->queues[c->queue], c, next);
	c->queue = QUEUE_NONE;
}

/* Takes the first of a queue out of it; NULL where there is none. */
static struct client *pull(struct control *control, enum queue queue)
{
	struct client *c = TAILQ_FIRST(&control->queues[queue]);

	if (c)
		dequeue(c);
	return c;
}

static void client_free(struct client *c)
{
	dequeue(c);
	request_free(c->request);
	TAILQ_REMOVE(&c->control->all, c, all);
	c->control->n_clients--;
	bufferevent_free(c->bev);
	free(c);
}

/* Reads no more and closes once what is in the output has been sent. */
static void client_close(struct client *c)
{
	c->closing = true;
	dequeue(c);
	bufferevent_disable(c->bev, EV_READ);
	evbuffer_drain(bufferevent_get_input(c->bev), SIZE_MAX);
	bufferevent_setwatermark(c->bev, EV_WRITE, 0, 0);
	if (!evbuffer_get_length(output(c)))
		enqueue(c, QUEUE_SHORT); /* the pump frees it: callers still hold it */
}

static bool has_line(const struct client *c)
{
	return evbuffer_search_eol(bufferevent_get_input(c->bev), NULL, NULL, EVBUFFER_EOL_LF).pos >= 0;
}

/* Queues the client if there is something to do for it. */
static void client_continue(struct client *c)
{
	if (c->closing || evbuffer_get_length(output(c)) > OUTPUT_HIGH)
		return;
	if (!c->request)
		enqueue(c, evbuffer_get_length(bufferevent_get_input(c->bev)) > INPUT_SHORT ? QUEUE_LONG : QUEUE_SHORT);
	else if (c->request->step)
		enqueue(c, QUEUE_JOBS);
}

/* Writes how a request ended: r is 0, or -errno with status and err. */
static void conclude(struct client *c, int r, int status, cJSON *result, const struct error *err)
{
	bool stream = c->request->stream;
	const char *text = r ? (err && *err->text ? err->text : strerror(-r)) : NULL;

	request_free(c->request);
	c->request = NULL;
	c->progress_us = now_us();
	if (stream)
		reply_end(output(c), text);
	else if (text)
		reply_error(output(c), status, text);
	else
		reply_result(output(c), result);
	client_continue(c);
}

static void on_changed(struct request *request, int r, cJSON *result, const struct error *err)
{
	conclude(request->client, r, 1, result, err);
}

static void client_cut_off(struct client *c, const char *text)
{
	reply_error(output(c), 2, text);
	client_close(c);
}

static void client_request(struct client *c, const char *line, size_t size)
{
	struct error err = {};
	cJSON *result = NULL;
	int status = 1, r;

	r = request_new(c->control->agent, line, size, &c->request);
	if (r == -EBADMSG) {
		client_cut_off(c, "not a request: a line of JSON such as {\"verb\":\"status\"} is expected");
		return;
	}
	if (r) {
		client_cut_off(c, "the agent is out of memory");
		return;
	}
	c->request->client = c;
	c->request->output = output(c);
	c->request->changed = on_changed;
	r = request_start(c->request, &result, &status, &err);
	if (r || result)
		conclude(c, r, status, result, &err);
}

static void client_step(struct client *c)
{
	struct error err = {};
	cJSON *result = NULL;
	int r = c->request->step(c->request, &result, &err);

	if (r <= 0)
		conclude(c, r, 1, result, &err);
	else
		client_continue(c);
}

/* Serves one line. */
static void client_serve(struct client *c)
{
	if (c->closing) {
		client_free(c);
		return;
	}

	struct evbuffer *input = bufferevent_get_input(c->bev);
	size_t size;
	_cleanup_free_ char *line = evbuffer_readln(input, &size, EVBUFFER_EOL_LF);

	if (!line) {
		if (evbuffer_get_length(input) >= CONTROL_MAX_LINE)
			client_cut_off(c, "the line is longer than 8 KiB");
		else if (c->eof)
			client_close(c);
		return;
	}
	c->progress_us = now_us();
	client_request(c, line, size);
	/* The first slice at once: an answer that is soon found does not wait behind listings. */
	if (c->queue == QUEUE_NONE && c->request && c->request->step)
		client_step(c);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct control *control = arg;
	uint64_t end = now_us() + REQUEST_SLICE_US;
	struct client *c;

	do {
		c = pull(control, QUEUE_SHORT);
		if (c)
			client_serve(c);
	} while (c && now_us() < end);
	do {
		c = pull(control, QUEUE_LONG);
		if (c)
			client_serve(c);
	} while (c && now_us() < end);
	c = pull(control, QUEUE_JOBS);
	if (c)
		client_step(c);
	for (int i = 0; i < N_QUEUES; i++)
		if (!TAILQ_EMPTY(&control->queues[i]))
			evtimer_add(control->pump, &at_once);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	client_continue(arg);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	if (!c->closing)
		client_continue(c);
	else if (!evbuffer_get_length(output(c)))
		client_free(c);
}

static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct client *c = arg;

	if (info->n_deleted)
		c->progress_us = now_us();
	if (info->n_added)
		c->sent_us = now_us();
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	if (!(what & BEV_EVENT_EOF)) {
		client_free(c);
		return;
	}
	c->eof = true;
	/* Who has asked for nothing waits for nothing, and must not stand in the way of others (evict). */
	if (c->request || c->closing || has_line(c))
		client_continue(c);
	else
		client_close(c);
}

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
	uint64_t now = now_us();

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

static void client_new(struct control *control, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c)
		c->bev = bufferevent_socket_new(control->agent->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		close(fd);
		free(c);
		return;
	}
	c->control = control;
	c->queue = QUEUE_NONE;
	c->progress_us = c->sent_us = now_us();
	TAILQ_INSERT_TAIL(&control->all, c, all);
	control->n_clients++;
	evbuffer_add_cb(output(c), on_output, c);
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, CONTROL_MAX_LINE);
	bufferevent_setwatermark(c->bev, EV_WRITE, OUTPUT_LOW, 0);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* A listener that is not served would be ready for ever, and the event loop would spin. */
static void pause_accept(struct control *control, unsigned ms)
{
	const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_del(control->accept);
	evtimer_add(control->resume, &tv);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	event_add(control->accept, NULL);
}

static void on_accept(evutil_socket_t listener, short what, void *arg)
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

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;
	struct client *c, *next;
	uint64_t now = now_us();

	for (c = TAILQ_FIRST(&control->all); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->request && !evbuffer_get_length(output(c))) {
			if (now - c->sent_us >= CONTROL_SIGN_S * 1000000ULL)
				evbuffer_add(output(c), "\n", 1);
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
	control->accept = event_new(a->base, control->socket.fd, EV_READ | EV_PERSIST, on_accept, control);
	control->resume = evtimer_new(a->base, on_resume, control);
	control->pump = evtimer_new(a->base, on_pump, control);
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
