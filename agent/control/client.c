// SPDX-License-Identifier: BSD-2-Clause
/*
 * The control socket's server. Clients wait in four queues: those that sent a short request, those that sent a lot,
 * those whose answer is being made in slices, and those whose listing is. One turn of the event loop serves short
 * requests and then long ones for a slice's time, at least one of each, and then one slice of one answer and one of one
 * listing; so neither two hundred listings nor as many clients that send megabytes hold up anybody who asks a question.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <string.h>

#include "control/control_private.h"
#include "control/reply.h"

/* Output at which a client is given more that had REQUEST_OUTPUT_HIGH. */
#define OUTPUT_LOW (16U << 10)
/* A client with more input than this sends a lot. */
#define INPUT_SHORT (1U << 10)

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

void client_free(struct client *c)
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
	if (!evbuffer_get_length(client_output(c)))
		enqueue(c, QUEUE_SHORT); /* the pump frees it: callers still hold it */
}

static bool has_line(const struct client *c)
{
	return evbuffer_search_eol(bufferevent_get_input(c->bev), NULL, NULL, EVBUFFER_EOL_LF).pos >= 0;
}

/* Queues the client if there is something to do for it. */
static void client_continue(struct client *c)
{
	if (c->closing || evbuffer_get_length(client_output(c)) >= REQUEST_OUTPUT_HIGH)
		return;
	if (!c->request)
		enqueue(c, evbuffer_get_length(bufferevent_get_input(c->bev)) > INPUT_SHORT ? QUEUE_LONG : QUEUE_SHORT);
	else if (c->request->step)
		enqueue(c, c->request->stream ? QUEUE_STREAMS : QUEUE_JOBS);
}

/* Writes how a request ended: r is 0, or -errno with status and err. */
static void conclude(struct client *c, int r, int status, cJSON *result, const struct error *err)
{
	bool stream = c->request->stream;
	const char *text = r ? (err && *err->text ? err->text : strerror(-r)) : NULL;

	request_free(c->request);
	c->request = NULL;
	c->progress_us = monotonic_us();
	if (stream)
		reply_end(client_output(c), text);
	else if (text)
		reply_error(client_output(c), status, text);
	else
		reply_result(client_output(c), result);
	client_continue(c);
}

static void on_changed(struct request *request, int r, cJSON *result, const struct error *err)
{
	conclude(request->client, r, 1, result, err);
}

static void client_cut_off(struct client *c, const char *text)
{
	reply_error(client_output(c), 2, text);
	client_close(c);
}

static void client_request(struct client *c, const char *line, size_t size)
{
	struct error err = {};
	cJSON *result = NULL;
	int status = 1, r;

	r = request_new(c->control->context, &c->peer, line, size, &c->request);
	if (r == -EBADMSG) {
		client_cut_off(c, "not a request: a line of JSON such as {\"verb\":\"status\"} is expected");
		return;
	}
	if (r) {
		client_cut_off(c, "the agent is out of memory");
		return;
	}
	c->request->client = c;
	c->request->output = client_output(c);
	c->request->changed = on_changed;
	r = request_start(c->request, &result, &status, &err);
	if (r || result)
		conclude(c, r, status, result, &err);
}

static void client_step(struct client *c)
{
	struct error err = {};
	cJSON *result = NULL;
	int r = request_go_on(c->request, &result, &err);

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
	c->progress_us = monotonic_us();
	client_request(c, line, size);
	/* The first slice at once: an answer that is soon found does not wait behind listings. */
	if (c->queue == QUEUE_NONE && c->request && c->request->step)
		client_step(c);
}

void clients_serve(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct control *control = arg;
	uint64_t end = monotonic_us() + REQUEST_SLICE_US;
	struct client *c;

	do {
		c = pull(control, QUEUE_SHORT);
		if (c)
			client_serve(c);
	} while (c && monotonic_us() < end);
	do {
		c = pull(control, QUEUE_LONG);
		if (c)
			client_serve(c);
	} while (c && monotonic_us() < end);
	for (enum queue queue = QUEUE_JOBS; queue <= QUEUE_STREAMS; queue++) {
		c = pull(control, queue);
		if (c)
			client_step(c);
	}
	for (int i = 0; i < N_QUEUES; i++)
		if (!TAILQ_EMPTY(&control->queues[i]))
			evtimer_add(control->pump, &at_once);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	/* Who sends a line octet by octet queues for nothing before it is whole. */
	if (has_line(c) || evbuffer_get_length(bufferevent_get_input(bev)) >= CONTROL_MAX_LINE)
		client_continue(c);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	if (!c->closing)
		client_continue(c);
	else if (!evbuffer_get_length(client_output(c)))
		client_free(c);
}

static void on_output(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct client *c = arg;

	if (info->n_deleted)
		c->progress_us = monotonic_us();
	if (info->n_added)
		c->sent_us = monotonic_us();
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

void client_new(struct control *control, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c && !peer_of(fd, &c->peer))
		c->bev = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		close(fd);
		free(c);
		return;
	}
	c->control = control;
	c->queue = QUEUE_NONE;
	c->progress_us = c->sent_us = monotonic_us();
	TAILQ_INSERT_TAIL(&control->all, c, all);
	control->n_clients++;
	evbuffer_add_cb(client_output(c), on_output, c);
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, CONTROL_MAX_LINE);
	bufferevent_setwatermark(c->bev, EV_WRITE, OUTPUT_LOW, 0);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}
