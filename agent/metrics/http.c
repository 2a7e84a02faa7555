/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/http.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/log.h"
#include "host/service_manager.h"

#define BACKLOG		      64
#define TICK_US		      100000
#define ACCEPT_RETRY_US	      1000000ULL
#define COMPLAINT_INTERVAL_US 60000000ULL
#define AGE_US		      1000000ULL /* one second of HTTP_..._AGE_S */

/* Octets after the request that are read and discarded. */
#define MAX_IGNORED (64U << 10)

enum stage {
	STAGE_REQUEST,
	STAGE_ANSWER, /* until all of it is written to the socket */
	STAGE_LINGER, /* until the client closes: an earlier close could discard what it has not read yet */
};

struct client {
	TAILQ_ENTRY(client) list;
	struct http *http;
	struct bufferevent *bev;
	enum stage stage;
	uint64_t since_us;
	size_t ignored; /* octets */
};

struct http {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *tick;			 /* pending while there is a client, or the listener is disabled */
	TAILQ_HEAD(client_list, client) clients; /* oldest first */
	unsigned n_clients;
	uint64_t resume_us;	/* no connection is accepted until then; 0: the listener is enabled */
	uint64_t complained_us; /* 0: never */
	struct http_site site;
};

static void start_ticking(struct http *h)
{
	if (!evtimer_pending(h->tick, NULL))
		evtimer_add(h->tick, &(struct timeval){ .tv_usec = TICK_US });
}

/* Disables the listener: while it is ready and not served, the event loop would spin. */
static void pause_accept(struct http *h, uint64_t us)
{
	h->resume_us = monotonic_us() + us;
	evconnlistener_disable(h->listener);
	start_ticking(h);
}

static void client_free(struct client *c)
{
	TAILQ_REMOVE(&c->http->clients, c, list);
	c->http->n_clients--;
	bufferevent_free(c->bev);
	free(c);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	uint64_t now = monotonic_us();
	struct client *c;

	while ((c = TAILQ_FIRST(&h->clients)) && now - c->since_us >= HTTP_MAX_AGE_S * AGE_US)
		client_free(c);
	if (h->n_clients >= HTTP_MAX_CLIENTS && now - TAILQ_FIRST(&h->clients)->since_us >= HTTP_MIN_AGE_S * AGE_US)
		client_free(TAILQ_FIRST(&h->clients));
	if (h->resume_us && h->resume_us <= now && h->n_clients < HTTP_MAX_CLIENTS) {
		h->resume_us = 0;
		evconnlistener_enable(h->listener);
	}
	if (h->n_clients || h->resume_us)
		start_ticking(h);
}

enum method { METHOD_GET, METHOD_HEAD, METHOD_OTHER };

/* Splits "METHOD TARGET HTTP/1.x" in place. 0, or the status of the refusal. */
static int parse_request_line(char *line, enum method *ret_method, const char **ret_path)
{
	char *rest = line, *method = strsep(&rest, " "), *target = strsep(&rest, " "), *path;

	if (!rest || !*method || !*target || strncmp(rest, "HTTP/1.", 7) != 0 || strlen(rest) != 8)
		return 400;
	*ret_method = !strcmp(method, "GET") ? METHOD_GET : !strcmp(method, "HEAD") ? METHOD_HEAD : METHOD_OTHER;
	path = target;
	/* The absolute form, as sent to proxies (RFC 9112 section 3.2.2). */
	if (!strncasecmp(target, "http://", 7)) {
		path = strchr(target + 7, '/');
		if (!path)
			path = "/";
	}
	*ret_path = strsep(&path, "?#");
	return 0;
}

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	default:
		return "Bad Request";
	}
}

/* Sends the response; the body is the document for status 200, else the status's text. */
static void answer(struct client *c, int status, enum method method, struct evbuffer *document,
		   const char *content_type)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t length = document ? evbuffer_get_length(document) : strlen(status_text(status)) + 1;

	evbuffer_add_printf(out,
			    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
			    "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
			    status, status_text(status), document ? content_type : "text/plain", length,
			    status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (method != METHOD_HEAD && document)
		evbuffer_add_buffer(out, document);
	else if (method != METHOD_HEAD)
		evbuffer_add_printf(out, "%s\n", status_text(status));
	c->stage = STAGE_ANSWER;
}

static void serve_document(struct client *c, enum method method, unsigned form)
{
	const struct http_site *site = &c->http->site;
	struct evbuffer *document = evbuffer_new();
	int r = document ? site->document(document, form, site->arg) : -ENOMEM;

	answer(c, r ? 500 : 200, method, r ? NULL : document, site->forms[form].content_type);
	if (document)
		evbuffer_free(document);
}

/* Of the forms that a client accepts (RFC 9110 section 12.5.1), the one that it names first; weights are not compared.
 */
static unsigned choose_form(const struct http_site *site, const char *accept)
{
	const char *earliest = NULL;
	unsigned chosen = 0;

	for (unsigned i = 0; i < site->n_forms; i++) {
		const char *at = strcasestr(accept, site->forms[i].media_type);

		if (at && (!earliest || at < earliest)) {
			earliest = at;
			chosen = i;
		}
	}
	return chosen;
}

/* Reads header fields up to the empty line; all but Accept are ignored. */
static unsigned read_form(struct client *c, struct evbuffer *in)
{
	static const char accept[] = "Accept:";
	unsigned form = 0;

	for (;;) {
		_cleanup_free_ char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);

		if (!line || !*line)
			return form;
		if (!strncasecmp(line, accept, strlen(accept)))
			form = choose_form(&c->http->site, line + strlen(accept));
	}
}

static void serve(struct client *c, char *line, unsigned form)
{
	enum method method = METHOD_GET;
	const char *path;
	int status = parse_request_line(line, &method, &path);

	if (!status && strcmp(path, c->http->site.path) != 0)
		status = 404;
	else if (!status && method == METHOD_OTHER)
		status = 405;
	if (status)
		answer(c, status, method, NULL, NULL);
	else
		serve_document(c, method, form);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct client *c = arg;

	if (c->stage == STAGE_REQUEST) {
		/* An empty line ends the header fields. */
		bool whole = evbuffer_search(in, "\r\n\r\n", 4, NULL).pos >= 0 ||
			     evbuffer_search(in, "\n\n", 2, NULL).pos >= 0;
		size_t length = evbuffer_get_length(in);

		if (whole && length <= HTTP_MAX_HEADERS) {
			_cleanup_free_ char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);

			serve(c, line ? line : (char[]){ "" }, read_form(c, in));
		} else if (length >= HTTP_MAX_HEADERS) {
			answer(c, 431, METHOD_GET, NULL, NULL);
		}
	}
	if (c->stage == STAGE_REQUEST)
		return;
	c->ignored += evbuffer_get_length(in);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (c->ignored > MAX_IGNORED)
		client_free(c);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	if (c->stage != STAGE_ANSWER)
		return;
	c->stage = STAGE_LINGER;
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	/* A client that has closed its sending side still gets the response. */
	if (what & BEV_EVENT_EOF && c->stage == STAGE_ANSWER)
		return;
	client_free(c);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int length, void *arg)
{
	struct http *h = arg;
	struct client *c = calloc(1, sizeof(*c));

	if (c)
		c->bev = bufferevent_socket_new(h->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		free(c);
		close(fd);
		return;
	}
	c->http = h;
	c->since_us = monotonic_us();
	TAILQ_INSERT_TAIL(&h->clients, c, list);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_MAX_HEADERS);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	start_ticking(h);
	if (++h->n_clients >= HTTP_MAX_CLIENTS)
		pause_accept(h, 0);
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct http *h = arg;
	uint64_t now = monotonic_us();
	int error = errno;

	pause_accept(h, ACCEPT_RETRY_US);
	if (h->complained_us && now - h->complained_us < COMPLAINT_INTERVAL_US)
		return;
	h->complained_us = now;
	log_warning("metrics: cannot accept a connection: %s; trying again every second", strerror(error));
}

static int bind_endpoint(struct endpoint endpoint, int *ret_fd)
{
	const struct sockaddr_in at = { .sin_family = AF_INET,
					.sin_addr.s_addr = htonl(endpoint.addr),
					.sin_port = htons(endpoint.port) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* The kernel may still hold connections of an earlier agent. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

int http_try(struct endpoint endpoint)
{
	_cleanup_close_ int fd = -1;

	return bind_endpoint(endpoint, &fd);
}

static int set_up(struct http *h, struct endpoint endpoint)
{
	_cleanup_close_ int fd = listeners_find(endpoint);

	if (fd < 0) {
		int r = bind_endpoint(endpoint, &fd);

		if (r)
			return r;
		/* With SO_REUSEADDR two sockets may be bound to it; the first one to listen gets it. */
		if (listen(fd, BACKLOG))
			return -errno;
	}
	h->tick = evtimer_new(h->base, on_tick, h);
	h->listener = evconnlistener_new(h->base, on_accept, h, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!h->tick || !h->listener)
		return -ENOMEM;
	take_fd(fd);
	evconnlistener_set_error_cb(h->listener, on_accept_error);
	return 0;
}

int http_new(struct event_base *base, struct endpoint listen, const struct http_site *site, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->base = base;
	h->site = *site;
	TAILQ_INIT(&h->clients);
	r = set_up(h, listen);
	if (r) {
		http_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	struct client *c;

	if (!h)
		return;
	while ((c = TAILQ_FIRST(&h->clients)))
		client_free(c);
	if (h->listener)
		evconnlistener_free(h->listener);
	if (h->tick)
		event_free(h->tick);
	free(h);
}
