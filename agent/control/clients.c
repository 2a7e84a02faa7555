// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clients wait in four queues: those with a short request, those with much input, those whose answer is made in slices,
 * and those whose listing is. One turn of the event loop serves short requests and then long ones for the time of a
 * slice, at least one of each, and then one slice of one answer and one of one listing. So neither two hundred listings
 * nor two hundred clients that send megabytes hold up a short request.
 */
#include "control/clients.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/text.h"
#include "control/noting.h"
#include "control/request.h"

/* A client whose output reached REQUEST_OUTPUT_HIGH gets more once it is down to this. */
#define OUTPUT_LOW (16U << 10)
/* A client with more input than this counts as sending much. */
#define INPUT_SHORT (1U << 10)
/* A client is not idle before it has had time to send a request. */
#define IDLE_MIN_US 50000

enum queue { QUEUE_SHORT, QUEUE_LONG, QUEUE_JOBS, QUEUE_STREAMS, N_QUEUES, QUEUE_NONE };

struct client {
	TAILQ_ENTRY(client) all;
	TAILQ_ENTRY(client) next;
	enum queue queue;
	struct clients *clients;
	struct peer peer;
	struct bufferevent *bev;
	struct request *request; /* being answered */
	uint64_t progress_us;	 /* last whole line, or last octet of an answer read by the client */
	uint64_t sent_us;	 /* last time that anything was put into the output */
	bool eof;		 /* sends nothing more; may still read */
	bool closing;		 /* closed as soon as the output is empty */
};

TAILQ_HEAD(client_list, client);

struct clients {
	struct event_base *base;
	const struct parts *context;
	struct event *pump; /* serves the queues */
	struct notes *notes;
	struct client_list all;
	struct client_list queues[N_QUEUES];
	unsigned n;
};

static struct evbuffer *client_output(const struct client *c)
{
	return bufferevent_get_output(c->bev);
}

static void enqueue(struct client *c, enum queue queue)
{
	static const struct timeval at_once;

	if (c->queue != QUEUE_NONE)
		return;
	c->queue = queue;
	TAILQ_INSERT_TAIL(&c->clients->queues[queue], c, next);
	/* A timer, not event_active(): between two turns all sockets are polled. */
	if (!evtimer_pending(c->clients->pump, NULL))
		evtimer_add(c->clients->pump, &at_once);
}

static void dequeue(struct client *c)
{
	if (c->queue != QUEUE_NONE)
		TAILQ_REMOVE(&c->clients->queues[c->queue], c, next);
	c->queue = QUEUE_NONE;
}

/* Removes the first of a queue; NULL: it is empty. */
static struct client *pull(struct clients *l, enum queue queue)
{
	struct client *c = TAILQ_FIRST(&l->queues[queue]);

	if (c)
		dequeue(c);
	return c;
}

static void client_free(struct client *c)
{
	dequeue(c);
	request_free(c->request);
	TAILQ_REMOVE(&c->clients->all, c, all);
	c->clients->n--;
	bufferevent_free(c->bev);
	free(c);
}

/* Stops reading, and closes once the output has been sent. */
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

/* Clients that may send batches may send long ones. */
static size_t max_line(const struct client *c)
{
	return c->peer.may_change ? CONTROL_MAX_BATCH : CONTROL_MAX_LINE;
}

static bool has_line(const struct client *c)
{
	return evbuffer_search_eol(bufferevent_get_input(c->bev), NULL, NULL, EVBUFFER_EOL_LF).pos >= 0;
}

/* Queues the client if there is work for it. */
static void client_continue(struct client *c)
{
	if (c->closing || evbuffer_get_length(client_output(c)) >= REQUEST_OUTPUT_HIGH)
		return;
	if (!c->request)
		enqueue(c, evbuffer_get_length(bufferevent_get_input(c->bev)) > INPUT_SHORT ? QUEUE_LONG : QUEUE_SHORT);
	else if (c->request->step && !c->request->changing && !c->request->idle)
		enqueue(c, c->request->stream ? QUEUE_STREAMS : QUEUE_JOBS);
}

/*
 * Writes the outcome of a request: r is 0, or -errno with status and err. An address of several tenants lacks an
 * argument, whatever the verb: -ENOTUNIQ.
 */
static void conclude(struct client *c, int r, int status, cJSON *result, const struct error *err)
{
	bool stream = c->request->stream;
	unsigned refused = c->request->batch ? c->request->batch->refused : 0;
	const char *text = r ? (err && *err->text ? err->text : strerror(-r)) : NULL;

	request_free(c->request);
	c->request = NULL;
	c->progress_us = monotonic_us();
	if (stream)
		reply_end(client_output(c), text);
	else if (text)
		reply_error(client_output(c), r == -ENOTUNIQ ? 2 : status, refused, text);
	else
		reply_result(client_output(c), result);
	client_continue(c);
}

static void on_changed(struct request *request, int r, cJSON *result, const struct error *err)
{
	conclude(request->client, r, 1, result, err);
}

static void on_woken(struct request *request)
{
	client_continue(request->client);
}

static void client_cut_off(struct client *c, const char *text)
{
	reply_error(client_output(c), 2, 0, text);
	client_close(c);
}

static void client_request(struct client *c, const char *line, size_t size)
{
	struct error err = {};
	cJSON *result = NULL;
	int status = 1, r;

	r = request_new(c->clients->context, &c->peer, line, size, &c->request);
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
	c->request->wake = on_woken;
	c->request->notes = c->clients->notes;
	r = request_start(c->request, &result, &status, &err);
	if (r || result)
		conclude(c, r, status, result, &err);
}

static void client_step(struct client *c)
{
	struct error err = {};
	cJSON *result = NULL;
	int r = request_go_on(c->request, &result, &err);

	/* A job that ends in a change is answered when the change is done. */
	if (!r && !result && c->request->changing)
		return;
	if (r <= 0)
		conclude(c, r, 1, result, &err);
	else if (c->eof && c->request->endless) /* it went before its stream began */
		client_close(c);
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
		if (evbuffer_get_length(input) >= max_line(c))
			client_cut_off(c, c->peer.may_change ? "the line is longer than 1 MiB"
							     : "the line is longer than 64 KiB");
		else if (c->eof)
			client_close(c);
		return;
	}
	c->progress_us = monotonic_us();
	client_request(c, line, size);
	/* Runs the first slice at once: a quick answer does not wait behind listings. */
	if (c->queue == QUEUE_NONE && c->request && c->request->step && !c->request->changing)
		client_step(c);
}

static void serve(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct clients *l = arg;
	uint64_t end = monotonic_us() + REQUEST_SLICE_US;
	struct client *c;

	do {
		c = pull(l, QUEUE_SHORT);
		if (c)
			client_serve(c);
	} while (c && monotonic_us() < end);
	do {
		c = pull(l, QUEUE_LONG);
		if (c)
			client_serve(c);
	} while (c && monotonic_us() < end);
	for (enum queue queue = QUEUE_JOBS; queue <= QUEUE_STREAMS; queue++) {
		c = pull(l, queue);
		if (c)
			client_step(c);
	}
	for (int i = 0; i < N_QUEUES; i++)
		if (!TAILQ_EMPTY(&l->queues[i]))
			evtimer_add(l->pump, &at_once);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	/* A line that arrives octet by octet is not queued until it is complete. */
	if (has_line(c) || evbuffer_get_length(bufferevent_get_input(bev)) >= max_line(c))
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

	if (!(what & BEV_EVENT_EOF) || (c->request && c->request->endless)) {
		client_free(c);
		return;
	}
	c->eof = true;
	/* A client without a request waits for nothing, and must not displace others (evict). */
	if (c->request || c->closing || has_line(c))
		client_continue(c);
	else
		client_close(c);
}

void clients_add(struct clients *l, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c && !peer_of(fd, &c->peer))
		c->bev = bufferevent_socket_new(l->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		close(fd);
		free(c);
		return;
	}
	c->clients = l;
	c->queue = QUEUE_NONE;
	c->progress_us = c->sent_us = monotonic_us();
	TAILQ_INSERT_TAIL(&l->all, c, all);
	l->n++;
	evbuffer_add_cb(client_output(c), on_output, c);
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, max_line(c));
	bufferevent_setwatermark(c->bev, EV_WRITE, OUTPUT_LOW, 0);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

enum eviction { EVICT_CLOSING, EVICT_IDLE, EVICT_LONG, EVICT_ANSWERED, EVICT_NOT };

/* Rates clients for closing when there are too many; clients about to be served are exempt. */
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

/* Closes the client with the best rating, of several the one idle longest. Returns false if none can be closed. */
bool clients_evict(struct clients *l)
{
	struct client *c, *worst = NULL;
	enum eviction worst_eviction = EVICT_NOT;
	uint64_t now = monotonic_us();

	TAILQ_FOREACH(c, &l->all, all)
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

bool clients_make_room(struct clients *l)
{
	return l->n < CONTROL_MAX_CLIENTS || clients_evict(l);
}

void clients_tick(struct clients *l)
{
	uint64_t now = monotonic_us();
	struct client *c, *next;

	for (c = TAILQ_FIRST(&l->all); c; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->request && !evbuffer_get_length(client_output(c))) {
			if (now - c->sent_us >= CONTROL_SIGN_S * 1000000ULL)
				evbuffer_add(client_output(c), "\n", 1);
		} else if (now - c->progress_us >= CONTROL_IDLE_S * 1000000ULL) {
			client_free(c);
		}
	}
}

int clients_new(struct event_base *base, const struct parts *context, struct clients **ret)
{
	struct clients *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	*l = (struct clients){ .base = base, .context = context, .pump = evtimer_new(base, serve, l) };
	TAILQ_INIT(&l->all);
	for (int i = 0; i < N_QUEUES; i++)
		TAILQ_INIT(&l->queues[i]);
	if (!l->pump || notes_new(base, &l->notes)) {
		if (l->pump)
			event_free(l->pump);
		free(l);
		return -ENOMEM;
	}
	*ret = l;
	return 0;
}

void clients_free(struct clients *l)
{
	struct client *c;

	if (!l)
		return;
	while ((c = TAILQ_FIRST(&l->all)))
		client_free(c);
	notes_free(l->notes);
	event_free(l->pump);
	free(l);
}

/* Texts quote client input, perhaps cut in the middle of a character; JSON is UTF-8. */
static cJSON *add_text(cJSON *object, const char *name, const char *text)
{
	_cleanup_free_ char *shown = text_escaped(text, strlen(text));

	return shown ? cJSON_AddStringToObject(object, name, shown) : NULL;
}

static void add_line(struct evbuffer *out, cJSON *object)
{
	_cleanup_free_ char *text = object ? cJSON_PrintUnformatted(object) : NULL;

	if (text)
		evbuffer_add_printf(out, "%s\n", text);
	else
		evbuffer_add_printf(out, "{\"ok\":false,\"status\":1,\"error\":\"the agent is out of memory\"}\n");
	cJSON_Delete(object);
}

void reply_result(struct evbuffer *out, cJSON *result)
{
	cJSON *object = result ? cJSON_CreateObject() : NULL;

	if (object && (!cJSON_AddTrueToObject(object, "ok") || !cJSON_AddItemToObject(object, "result", result))) {
		cJSON_Delete(object);
		object = NULL;
	}
	add_line(out, object);
}

void reply_error(struct evbuffer *out, int status, unsigned request, const char *text)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddFalseToObject(object, "ok");
	cJSON_AddNumberToObject(object, "status", status);
	if (request)
		cJSON_AddNumberToObject(object, "request", request);
	add_text(object, "error", text);
	add_line(out, object);
}

void reply_end(struct evbuffer *out, const char *text)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddBoolToObject(object, "end", !text);
	if (text)
		add_text(object, "error", text);
	add_line(out, object);
}
