/* SPDX-License-Identifier: BSD-2-Clause */
#include "ipfix_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

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

static int refuse_source(struct endpoint source, int r, struct error *err)
{
	char addr[ADDR_TEXT];

	addr_format(source.addr, addr);
	switch (r) {
	case -EADDRNOTAVAIL:
		return error_set(err, r, "ipfix.source: %s is not an address of this machine", addr);
	case -EADDRINUSE:
		return error_set(
			err, r,
			"ipfix.source: UDP port %u of %s is taken by another program; choose another, or 0 for any",
			source.port, addr);
	default:
		return error_set(err, r, "ipfix.source: cannot send from %s:%u: %s", addr, source.port, strerror(-r));
	}
}

/*
 * Connects, after giving up an older connection: where the source is the kernel's choice, that address may have gone.
 */
static int connect_collector(struct ipfix_socket *s)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct sockaddr_in to = socket_address(s->collector);

	connect(s->fd, &nobody, sizeof(nobody));
	if (connect(s->fd, (const struct sockaddr *)&to, sizeof(to)))
		return -errno;
	s->connected = true;
	return 0;
}

/* Session events come in bursts; what finds the send buffer full is lost. Where this is refused, the default does. */
static void enlarge_send_buffer(int fd)
{
	const int octets = 4 << 20;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &octets, sizeof(octets));
}

int ipfix_socket_open(const struct config_ipfix *c, const struct ipfix_socket *old, struct ipfix_socket *ret,
		      struct error *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in from = socket_address(c->source);
	int r = 0;

	if (fd < 0)
		return error_set(err, -errno, "cannot make the IPFIX socket: %s", strerror(errno));

	/* Both may hold the port while one follows the other; nobody else ever may. */
	set_reuse(old->fd, 1);
	set_reuse(fd, 1);
	if (bind(fd, (const struct sockaddr *)&from, sizeof(from)))
		r = -errno;
	set_reuse(fd, 0);
	set_reuse(old->fd, 0);
	if (r)
		return refuse_source(c->source, r, err);

	enlarge_send_buffer(fd);

	struct ipfix_socket s = { .fd = take_fd(fd), .collector = c->collector };

	/* It may be a while until there is a route: each message tries again. */
	connect_collector(&s);
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
		int r = connect_collector(s);

		if (r)
			return r;
	}

	int r = send_once(s, message, length);

	switch (r) {
	case -ECONNREFUSED:
	case -ENOPROTOOPT:
	case -EHOSTUNREACH:
		/* The answer to an earlier message, unless a route says so. Told once: the next try is this message's
		 * own. */
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
