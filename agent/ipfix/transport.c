/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* A message sent this long after the last complaint shows that the trouble is over. */
#define REFUSAL_US (2 * 1000000ULL)

void ipfix_collector_complain(struct ipfix_collector *c, const char *what)
{
	c->complained_ms = c->shared->now_ms ? c->shared->now_ms : 1;
	c->complained_us = monotonic_us();
	error_set(&c->complaint, 0, "%s", what);
}

void ipfix_collector_mended(struct ipfix_collector *c)
{
	c->complained_ms = 0;
}

void ipfix_collector_sent(struct ipfix_collector *c, uint16_t events)
{
	c->figures.messages_sent++;
	c->figures.records_sent += events;
	c->last_events = events;
	/* The ICMP error comes after the message that caused it was sent. */
	if (monotonic_us() - c->complained_us > REFUSAL_US)
		ipfix_collector_mended(c);
}

void ipfix_collector_lost(struct ipfix_collector *c, uint32_t records, uint64_t events)
{
	uint64_t now_ms = c->shared->now_ms;

	c->skipped += records;
	if (!events)
		return;
	c->figures.records_lost += events;
	c->losses.lost += events;
	c->losses.last_ms = now_ms;
	if (!c->losses.first_ms)
		c->losses.first_ms = now_ms;
}

static size_t message_limit(const struct ipfix_collector *c)
{
	return c->shared->settings.path_mtu - IPFIX_PACKET_HEADERS;
}

bool ipfix_collector_next_templates(const struct ipfix_collector *c, uint8_t events, struct ipfix_message *m,
				    unsigned *layout)
{
	bool any = false;

	ipfix_begin_templates(m);
	for (; *layout < N_IPFIX_LAYOUTS; (*layout)++) {
		if (!(events & ipfix_layout_event(*layout)) ||
		    (ipfix_layout_has_tenant(*layout) && !c->shared->settings.tenants))
			continue;
		if (!ipfix_template_fits(m, *layout, message_limit(c)))
			break;
		ipfix_add_template(m, *layout);
		any = true;
	}
	ipfix_finish(m, c->shared->settings.domain_id);
	return any;
}

static struct sockaddr_in socket_address(struct endpoint e)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(e.addr),
		.sin_port = htons(e.port),
	};
}

static void set_reuse(int fd, int on)
{
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
}

static int refuse_source(enum ipfix_transport transport, struct endpoint source, int r, struct error *err)
{
	char addr[ADDR_TEXT];

	addr_format(source.addr, addr);
	switch (r) {
	case -EADDRNOTAVAIL:
		return error_set(err, r, "ipfix.source: %s is not an address of this machine", addr);
	case -EADDRINUSE:
		return error_set(
			err, r,
			"ipfix.source: %s port %u of %s is taken by another program; choose another, or 0 for any",
			transport == IPFIX_TCP ? "TCP" : "UDP", source.port, addr);
	default:
		return error_set(err, r, "ipfix.source: cannot send from %s:%u: %s", addr, source.port, strerror(-r));
	}
}

int ipfix_socket_connect(struct ipfix_socket *s)
{
	struct sockaddr_in to = socket_address(s->collector);

	if (connect(s->fd, (const struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* Connects again from scratch: if the kernel chose the source address, that address may have gone. */
static int connect_udp(struct ipfix_socket *s)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int r;

	(void)connect(s->fd, &none, sizeof(none)); /* forgets the present peer, if there is one */
	r = ipfix_socket_connect(s);
	if (r)
		return r;
	s->connected = true;
	s->connections++;
	return 0;
}

/* Session events come in bursts. The default is good enough if this is refused. */
static void enlarge_send_buffer(int fd)
{
	const int octets = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &octets, sizeof(octets));
}

/* A collector that vanished without closing the connection is detected within half a minute. */
static void limit_silence(int fd)
{
	const int on = 1, seconds = 10, probes = 2;
	const unsigned milliseconds = 30000;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
}

/*
 * The agent's own sockets may share the port while one replaces the other; other programs may not. A TCP port stays
 * open to other binds of this kind, as a closed connection would otherwise keep the agent from it for a minute.
 */
static int bind_source(int fd, bool tcp, struct endpoint source, const int *own, size_t n_own)
{
	struct sockaddr_in from = socket_address(source);
	int r = 0;

	for (size_t i = 0; i < n_own && !tcp; i++)
		set_reuse(own[i], 1);
	set_reuse(fd, 1);
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)))
		r = -errno;
	if (!tcp) {
		set_reuse(fd, 0);
		for (size_t i = 0; i < n_own; i++)
			set_reuse(own[i], 0);
	}
	return r;
}

int ipfix_socket_open(const struct collector_endpoint *to, struct endpoint source, const int *own, size_t n_own,
		      struct ipfix_socket *ret, struct error *err)
{
	bool tcp = to->transport == IPFIX_TCP;
	_cleanup_close_ int fd = socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return error_set(err, -errno, "cannot make the IPFIX socket: %s", strerror(errno));
	r = bind_source(fd, tcp, source, own, n_own);
	if (r)
		return refuse_source(to->transport, source, r, err);
	if (tcp)
		limit_silence(fd);
	else
		enlarge_send_buffer(fd);

	struct ipfix_socket s = { .fd = take_fd(fd), .collector = to->at };

	/* There may be no route yet: each message tries again. */
	if (!tcp)
		connect_udp(&s);
	*ret = s;
	return 0;
}

void ipfix_socket_close(struct ipfix_socket *s)
{
	close_fd(&s->fd);
	*s = (struct ipfix_socket){ .fd = -1 };
}

void ipfix_socket_poll(struct ipfix_socket *s)
{
	int pending = 0;
	socklen_t size = sizeof(pending);

	if (s->fd >= 0 && !getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &pending, &size) && pending)
		s->refused = true;
}

static int send_once(struct ipfix_socket *s, const void *message, size_t length)
{
	if (send(s->fd, message, length, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int ipfix_socket_send(struct ipfix_socket *s, const void *message, size_t length)
{
	if (!s->connected) {
		int r = connect_udp(s);

		if (r)
			return r;
	}

	int r = send_once(s, message, length);

	switch (r) {
	case -ECONNREFUSED:
	case -ENOPROTOOPT:
	case -EHOSTUNREACH:
		/*
		 * An ICMP error for an earlier message, unless a route says so. It is reported once: the next attempt
		 * is for this message.
		 */
		s->refused = true;
		r = send_once(s, message, length);
		if (r == -EHOSTUNREACH)
			s->refused = false;
		break;
	case -EINVAL:
	case -EADDRNOTAVAIL:
	case -ENETUNREACH:
		s->connected = false;
		break;
	}
	return r;
}
