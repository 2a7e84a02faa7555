/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to a collector over TCP (RFC 7011 section 10.4). Messages stay in the queue until the collector's host has
 * acknowledged them, so that the next connection delivers those that a broken one did not. Only the tick waits: nothing
 * blocks.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "ipfix/transport.h"

/* In ticks, which are seconds: the delay between two attempts, doubled each time, and the time limit of an attempt. */
#define FIRST_BACKOFF	 1U
#define LONGEST_BACKOFF	 60U
#define CONNECT_PATIENCE 10U

/* Resets to before a connection; undelivered messages of the current domain become unsent. */
static void forget_connection(struct ipfix_collector *c)
{
	struct ipfix_queue *q = &c->queue;
	struct ipfix_entry *e;

	ipfix_queue_rewind(q);
	while ((e = q->unsent) && ipfix_domain_of(e->octets) != c->shared->settings.domain_id) {
		e = ipfix_queue_take_unsent(q);
		ipfix_collector_lost(c, 0, e->events);
		free(e);
	}
	c->tcp.partial = 0;
	c->tcp.written = 0;
	c->tcp.acknowledged = 0;
	c->sequence = 0;
}

/* Binds a socket to the source for the next attempt, so that no other program can take the port. */
static int renew_socket(struct ipfix_collector *c)
{
	struct ipfix_socket fresh;
	uint64_t connections = c->socket.connections;
	struct error err = { 0 };
	int r;

	ipfix_socket_close(&c->socket);
	r = ipfix_socket_open(&c->to, c->shared->settings.source, NULL, 0, &fresh, &err);
	if (r)
		ipfix_collector_complain(c, err.text);
	else
		c->socket = fresh;
	c->socket.connections = connections;
	return r;
}

static void back_off(struct ipfix_collector *c)
{
	struct ipfix_tcp *t = &c->tcp;

	renew_socket(c);
	t->state = IPFIX_TCP_WAITING;
	t->backoff = t->backoff ? t->backoff * 2 : FIRST_BACKOFF;
	if (t->backoff > LONGEST_BACKOFF)
		t->backoff = LONGEST_BACKOFF;
	t->ticks = t->backoff;
}

static void fail(struct ipfix_collector *c, const char *what)
{
	char text[128];

	snprintf(text, sizeof(text), "%s: %s",
		 c->tcp.state == IPFIX_TCP_CONNECTED ? "the connection is lost" : "cannot be connected to", what);
	forget_connection(c);
	ipfix_collector_complain(c, text);
	back_off(c);
}

/* A connection begins with the templates of all records that may follow. They fit, as its send buffer is empty. */
static int begin_stream(struct ipfix_collector *c)
{
	struct ipfix_message *m = &c->shared->scratch;
	unsigned layout = 0;

	while (ipfix_collector_next_templates(c, c->announced, m, &layout)) {
		ipfix_stamp(m->octets, (uint32_t)(c->shared->now_ms / 1000), c->sequence);
		if (send(c->socket.fd, m->octets, m->length, MSG_NOSIGNAL) != m->length)
			return errno ? -errno : -EIO;
		c->tcp.acknowledged += m->length;
		ipfix_collector_sent(c, 0);
	}
	c->tcp.written = c->tcp.acknowledged;
	c->templates_due = false;
	c->templates_ms = c->shared->now_ms;
	return 0;
}

static void connected(struct ipfix_collector *c)
{
	char to[COLLECTOR_TEXT];
	int r;

	c->tcp.state = IPFIX_TCP_CONNECTED;
	c->tcp.backoff = 0;
	c->socket.connected = true;
	c->socket.connections++;
	if (c->complained_ms)
		log_info("ipfix: collector %s is connected; %llu records were queued for it",
			 collector_format(c->to, to), (unsigned long long)c->queue.events);
	c->complained_ms = 0;
	r = begin_stream(c);
	if (r)
		fail(c, strerror(-r));
}

static void check_connecting(struct ipfix_collector *c)
{
	struct pollfd p = { .fd = c->socket.fd, .events = POLLOUT };
	int pending = 0;
	socklen_t size = sizeof(pending);

	if (poll(&p, 1, 0) <= 0)
		return;
	if (getsockopt(c->socket.fd, SOL_SOCKET, SO_ERROR, &pending, &size))
		pending = errno;
	if (pending)
		fail(c, strerror(pending));
	else
		connected(c);
}

static void start(struct ipfix_collector *c)
{
	int r = c->socket.fd < 0 ? renew_socket(c) : 0;

	c->announced |= c->shared->settings.events;
	c->tcp.ticks = 0;
	if (!r)
		r = ipfix_socket_connect(&c->socket);
	if (r) {
		fail(c, strerror(-r));
		return;
	}
	c->tcp.state = IPFIX_TCP_CONNECTING;
	check_connecting(c);
}

/* Removes messages that the collector's host has acknowledged. */
static void reap(struct ipfix_collector *c)
{
	struct ipfix_queue *q = &c->queue;
	struct ipfix_entry *e;
	int unacknowledged = 0;

	if (ioctl(c->socket.fd, SIOCOUTQ, &unacknowledged))
		return;
	while ((e = STAILQ_FIRST(&q->entries)) && e != q->unsent &&
	       c->tcp.acknowledged + e->length + (uint64_t)unacknowledged <= c->tcp.written + c->tcp.partial) {
		c->tcp.acknowledged += e->length;
		ipfix_queue_pop(q);
	}
}

static void message_written(struct ipfix_collector *c, struct ipfix_entry *e)
{
	c->tcp.written += e->length;
	c->tcp.partial = 0;
	c->sequence += e->skipped + e->records;
	if (!e->counted)
		ipfix_collector_sent(c, e->events);
	e->counted = true;
	ipfix_queue_sent(&c->queue);
}

static void drain(struct ipfix_collector *c)
{
	struct ipfix_entry *e;

	if (c->tcp.state == IPFIX_TCP_CONNECTING)
		check_connecting(c);
	while (c->tcp.state == IPFIX_TCP_CONNECTED && (e = c->queue.unsent)) {
		ssize_t n;

		if (!c->tcp.partial)
			ipfix_stamp(e->octets, (uint32_t)(c->shared->now_ms / 1000), c->sequence + e->skipped);
		n = send(c->socket.fd, e->octets + c->tcp.partial, e->length - c->tcp.partial, MSG_NOSIGNAL);
		if (n < 0) {
			int r = errno;

			if (r != EAGAIN && r != EINTR) {
				reap(c);
				fail(c, strerror(r));
			}
			return;
		}
		c->tcp.partial += (size_t)n;
		if (c->tcp.partial == e->length)
			message_written(c, e);
	}
}

static int put(struct ipfix_collector *c, struct ipfix_message *m)
{
	int r = ipfix_queue_put(&c->queue, m, c->skipped);

	if (r == -ENOSPC && c->tcp.state == IPFIX_TCP_CONNECTED) {
		reap(c);
		r = ipfix_queue_put(&c->queue, m, c->skipped);
	}
	if (r)
		return r;
	c->skipped = 0;
	drain(c);
	return 0;
}

/* Collectors send no data; whatever arrives is discarded. If the collector closes the connection, so do we. */
static void hear(struct ipfix_collector *c)
{
	char nothing[4096];
	ssize_t n = 1;

	for (unsigned i = 0; i < 64 && n > 0; i++)
		n = recv(c->socket.fd, nothing, sizeof(nothing), MSG_DONTWAIT);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	reap(c);
	fail(c, n ? strerror(errno) : "closed by the collector");
}

static void tick(struct ipfix_collector *c)
{
	switch (c->tcp.state) {
	case IPFIX_TCP_WAITING:
		if (c->tcp.ticks > 1)
			c->tcp.ticks--;
		else
			start(c);
		break;
	case IPFIX_TCP_CONNECTING:
		check_connecting(c);
		if (c->tcp.state == IPFIX_TCP_CONNECTING && ++c->tcp.ticks >= CONNECT_PATIENCE)
			fail(c, strerror(ETIMEDOUT));
		break;
	case IPFIX_TCP_CONNECTED:
		reap(c);
		hear(c);
		break;
	}
}

static bool is_ready(const struct ipfix_collector *c)
{
	return c->tcp.state == IPFIX_TCP_CONNECTED;
}

static void do_nothing(struct ipfix_collector *c)
{
}

const struct ipfix_transport_ops ipfix_tcp = {
	.is_stream = true,
	.start = start,
	.is_ready = is_ready,
	.poll = do_nothing,
	.put = put,
	.drain = drain,
	.tick = tick,
};
