/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/connection.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* A longest frame must fit. */
#define INPUT_HIGH (256U << 10)
#define OUTPUT_LOW (64U << 10)
/* Half a core is a connection's limit: after each slice of frames it waits as long. */
#define SLICE_US 2000

enum stage { STAGE_CONNECTING, STAGE_HELLO, STAGE_PROOF, STAGE_READY };

struct connection {
	const struct connection_ops *ops;
	void *arg;
	enum frame_direction role;
	enum stage stage;
	struct bufferevent *bev;
	struct event *again; /* goes on with the input */
	struct event *limit; /* of the handshake */
	bool keyed;
	uint8_t key[REPLICATION_KEY];
	struct frame_channel in, out;
	bool unfinished;    /* the input begins with a frame that has been read, and must be passed on again: */
	struct frame frame; /* this one; the payload has moved */
	struct hello peer;
	uint8_t own_hello[HELLO_SIZE];
};

static const uint8_t *key_of(const struct connection *c)
{
	return c->keyed ? c->key : NULL;
}

static void end(struct connection *c, const char *why)
{
	c->ops->ended(c->arg, why);
}

/* The fault of a peer that a malformed frame reveals. */
static const char *fault(int r)
{
	switch (r) {
	case -EBADMSG:
		return "its frames have another HMAC, so it has another key";
	case -ENOKEY:
		return "one of the two gateways has a key_file, the other has null";
	case -EILSEQ:
		return "a frame was repeated or lost";
	default:
		return "it does not speak this protocol";
	}
}

int connection_send(struct connection *c, uint8_t type, uint8_t flags, const void *payload, size_t length)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	size_t size = frame_size(&c->out, length);
	struct evbuffer_iovec at;

	if (evbuffer_reserve_space(out, (ev_ssize_t)size, &at, 1) != 1)
		return -ENOMEM;
	frame_write(&c->out, type, flags, payload, length, at.iov_base);
	at.iov_len = size;
	return evbuffer_commit_space(out, &at, 1) ? -ENOMEM : 0;
}

size_t connection_room(const struct connection *c)
{
	size_t waiting = evbuffer_get_length(bufferevent_get_output(c->bev));

	return c->stage == STAGE_READY && waiting < CONNECTION_OUTPUT ? CONNECTION_OUTPUT - waiting : 0;
}

size_t connection_memory(const struct connection *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev)) + evbuffer_get_length(bufferevent_get_input(c->bev));
}

static void become_ready(struct connection *c)
{
	c->stage = STAGE_READY;
	evtimer_del(c->limit);
	c->ops->ready(c->arg, &c->peer);
}

/* Derives the keys of both directions from both hellos. */
static void derive(struct connection *c, const uint8_t *theirs, size_t length)
{
	bool dials = c->role == FRAME_FROM_DIALLER;
	const uint8_t *first = dials ? c->own_hello : theirs, *second = dials ? theirs : c->own_hello;
	size_t n_first = dials ? HELLO_SIZE : length, n_second = dials ? length : HELLO_SIZE;

	frame_channel_derive(dials ? &c->out : &c->in, key_of(c), FRAME_FROM_DIALLER, first, n_first, second, n_second);
	frame_channel_derive(dials ? &c->in : &c->out, key_of(c), FRAME_FROM_ACCEPTOR, first, n_first, second,
			     n_second);
}

/* Reads the version before the HMAC is checked, as another version may compute that differently. */
static int read_hello(struct connection *c, const uint8_t *payload, size_t length, struct error *why)
{
	int r = hello_read(payload, length, &c->peer);

	if (r == -EPROTONOSUPPORT)
		return error_set(why, r, "it has version %u of the protocol, this gateway has %u", c->peer.version,
				 WIRE_VERSION);
	return r ? error_set(why, r, "%s", fault(r)) : 0;
}

/* The first frame: the other end's hello. */
static int take_hello(struct connection *c, const uint8_t *data, size_t size, struct error *why)
{
	size_t length = size - frame_size(&c->in, 0);
	struct frame f;
	int r = read_hello(c, data + FRAME_HEADER, length, why);

	if (r)
		return r;
	if (c->role == FRAME_FROM_DIALLER)
		derive(c, data + FRAME_HEADER, length);
	r = frame_read(&c->in, data, size, &f);
	if (!r && f.type != WIRE_HELLO)
		r = -EPROTO;
	if (r)
		return error_set(why, r, "%s", fault(r));
	if (c->role == FRAME_FROM_DIALLER) {
		become_ready(c);
		return 0;
	}
	r = c->ops->hello(c->arg, &c->peer, why);
	if (r)
		return r;
	derive(c, f.payload, f.length);
	c->stage = STAGE_PROOF;
	r = connection_send(c, WIRE_HELLO, 0, c->own_hello, HELLO_SIZE);
	return r ? error_set(why, r, "out of memory") : 0;
}

/* 0; 1: the frame must be taken again; or -errno. */
static int take_frame(struct connection *c, const uint8_t *data, size_t size, struct error *why)
{
	int r = 0;

	if (c->stage == STAGE_HELLO)
		return take_hello(c, data, size, why);
	if (c->unfinished)
		c->frame.payload = data + FRAME_HEADER;
	else
		r = frame_read(&c->in, data, size, &c->frame);
	if (r)
		return error_set(why, r, "%s", fault(r));
	if (c->stage == STAGE_PROOF)
		become_ready(c);
	r = c->ops->frame(c->arg, &c->frame, why);
	if (r >= 0)
		c->unfinished = r;
	return r;
}

/* The size of the frame at the beginning of the input: 0 if incomplete, or -errno. */
static ssize_t next_frame(struct connection *c, struct evbuffer *input)
{
	uint8_t header[FRAME_HEADER];
	ssize_t n = evbuffer_copyout(input, header, sizeof(header)), size;

	if (n < (ssize_t)sizeof(header))
		return 0;
	size = frame_peek(&c->in, header, (size_t)n);
	/* Strangers have no reason to send megabytes. */
	if (size > 0 && c->stage != STAGE_READY && (size_t)size > frame_size(&c->in, HELLO_MAX) &&
	    c->stage != STAGE_PROOF)
		return -EPROTO;
	return size > (ssize_t)evbuffer_get_length(input) ? 0 : size;
}

static void take_input(struct connection *c)
{
	static const struct timeval pause = { .tv_usec = SLICE_US };
	struct evbuffer *input = bufferevent_get_input(c->bev);
	uint64_t until_us = monotonic_us() + SLICE_US;
	struct error why = { 0 };
	ssize_t size;

	while ((size = next_frame(c, input)) > 0) {
		int r = take_frame(c, evbuffer_pullup(input, size), (size_t)size, &why);

		if (r < 0) {
			end(c, *why.text ? why.text : strerror(-r));
			return;
		}
		if (!r)
			evbuffer_drain(input, (size_t)size);
		if (r || monotonic_us() >= until_us) {
			evtimer_add(c->again, &pause);
			return;
		}
	}
	if (size < 0)
		end(c, fault((int)size));
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	if (!evtimer_pending(c->again, NULL))
		take_input(c);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	take_input(arg);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct connection *c = arg;

	if (c->stage == STAGE_READY)
		c->ops->room(c->arg);
}

static void on_limit(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	char why[64];

	snprintf(why, sizeof(why), "no %s within %u s", c->stage == STAGE_CONNECTING ? "answer" : "hello",
		 CONNECTION_PATIENCE_S);
	end(c, why);
}

static void say_hello(struct connection *c)
{
	c->stage = STAGE_HELLO;
	if (connection_send(c, WIRE_HELLO, 0, c->own_hello, HELLO_SIZE))
		end(c, "out of memory");
}

static const char *end_text(const struct connection *c, short what)
{
	if (what & BEV_EVENT_ERROR)
		return strerror(EVUTIL_SOCKET_ERROR());
	if (c->stage != STAGE_HELLO)
		return "it closed the connection";
	return "it closed the connection at the hello; its log has the reason";
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct connection *c = arg;

	if (what & BEV_EVENT_CONNECTED)
		say_hello(c);
	else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		end(c, end_text(c, what));
}

/* A peer that has vanished is noticed by missing acknowledgements. */
static void set_options(int fd)
{
	const int on = 1;
	const unsigned milliseconds = 10000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
}

static int open_events(struct connection *c, const struct connection_setup *setup, int fd)
{
	static const struct timeval patience = { .tv_sec = CONNECTION_PATIENCE_S };

	set_options(fd);
	c->again = evtimer_new(setup->base, on_again, c);
	c->limit = evtimer_new(setup->base, on_limit, c);
	c->bev = bufferevent_socket_new(setup->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->bev)
		close(fd);
	if (!c->bev || !c->again || !c->limit || evtimer_add(c->limit, &patience))
		return -ENOMEM;
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_HIGH);
	bufferevent_setwatermark(c->bev, EV_WRITE, OUTPUT_LOW, 0);
	return 0;
}

/* Takes ownership of fd, also on failure. */
static int connection_new(const struct connection_setup *setup, int fd, enum frame_direction role,
			  const struct connection_ops *ops, void *arg, struct connection **ret)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct hello own;
	int r;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->ops = ops;
	c->arg = arg;
	c->role = role;
	c->keyed = setup->key;
	if (setup->key)
		memcpy(c->key, setup->key, sizeof(c->key));
	frame_channel_hello(role == FRAME_FROM_DIALLER ? &c->out : &c->in, key_of(c));
	/* Until the acceptor's hello has come, only its size is needed. */
	c->in.keyed = c->keyed;
	r = open_events(c, setup, fd);
	if (!r)
		r = hello_make(setup->listen, setup->interval_ms, &own);
	if (r) {
		connection_free(c);
		return r;
	}
	own.tables = setup->tables;
	hello_write(&own, c->own_hello);
	*ret = c;
	return 0;
}

static struct sockaddr_in address(struct endpoint e)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(e.addr),
				     .sin_port = htons(e.port) };
}

int connection_dial(const struct connection_setup *setup, struct endpoint to, const struct connection_ops *ops,
		    void *arg, struct connection **ret)
{
	const struct sockaddr_in from_addr = address((struct endpoint){ setup->listen.addr, 0 }), to_addr = address(to);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct connection *c;
	int r;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&from_addr, sizeof(from_addr)))
		return -errno;
	r = connection_new(setup, take_fd(fd), FRAME_FROM_DIALLER, ops, arg, &c);
	if (r)
		return r;
	errno = 0;
	if (bufferevent_socket_connect(c->bev, (const struct sockaddr *)&to_addr, sizeof(to_addr)) ||
	    bufferevent_enable(c->bev, EV_READ | EV_WRITE)) {
		r = errno_or(EIO);
		connection_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int connection_accept(const struct connection_setup *setup, int fd, const struct connection_ops *ops, void *arg,
		      struct connection **ret)
{
	struct connection *c;
	int r = connection_new(setup, fd, FRAME_FROM_ACCEPTOR, ops, arg, &c);

	if (r)
		return r;
	c->stage = STAGE_HELLO;
	if (bufferevent_enable(c->bev, EV_READ | EV_WRITE)) {
		connection_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

void connection_hand_over(struct connection *c, const struct connection_ops *ops, void *arg)
{
	c->ops = ops;
	c->arg = arg;
}

void connection_free(struct connection *c)
{
	if (!c)
		return;
	if (c->again)
		event_free(c->again);
	if (c->limit)
		event_free(c->limit);
	if (c->bev)
		bufferevent_free(c->bev);
	frame_channel_forget(&c->in);
	frame_channel_forget(&c->out);
	key_forget(c->key, sizeof(c->key));
	free(c);
}
