/* SPDX-License-Identifier: BSD-2-Clause */
#include "fib/dump.h"

#include <errno.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"

#define MESSAGE_BUFFER 65536U
#define REQUEST_SIZE   256U

/* Time for a dump before the event loop does something else. */
#define SLICE_US 5000U

struct fib_dump {
	struct fib_dump_calls calls;
	struct event_base *base;
	struct mnl_socket *socket;
	struct event *readable;
	uint32_t seq;
	bool running, interrupted;
	_Alignas(struct nlmsghdr) char buffer[MESSAGE_BUFFER];
};

static void end(struct fib_dump *d, int r)
{
	d->running = false;
	d->calls.ended(r, d->calls.arg);
}

/* Whether the dump continues. */
static bool process(struct fib_dump *d, size_t size)
{
	int left = (int)size;

	for (const struct nlmsghdr *h = (const void *)d->buffer; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		/* From an abandoned dump. */
		if (h->nlmsg_seq != d->seq)
			continue;
		d->interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
		if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
			int r = mnl_nlmsg_get_payload_len(h) >= sizeof(int) ? *(const int *)mnl_nlmsg_get_payload(h)
									    : 0;

			end(d, r < 0 ? r : d->interrupted ? -EINTR : 0);
			return false;
		}
		if (h->nlmsg_type >= NLMSG_MIN_TYPE)
			d->calls.message(h, d->calls.arg);
	}
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	uint64_t begin = monotonic_us();
	struct fib_dump *d = arg;

	do {
		ssize_t size = mnl_socket_recvfrom(d->socket, d->buffer, sizeof(d->buffer));

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN)
			return;
		if (size < 0) {
			if (d->running)
				end(d, -errno);
			return;
		}
		if (!process(d, (size_t)size))
			return;
	} while (monotonic_us() - begin < SLICE_US);
}

static void close_socket(struct fib_dump *d)
{
	if (d->readable)
		event_free(d->readable);
	if (d->socket)
		mnl_socket_close(d->socket);
	d->readable = NULL;
	d->socket = NULL;
}

static int open_socket(struct fib_dump *d)
{
	int yes = 1;

	d->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!d->socket || mnl_socket_bind(d->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	mnl_socket_setsockopt(d->socket, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	d->readable = event_new(d->base, mnl_socket_get_fd(d->socket), EV_READ | EV_PERSIST, on_readable, d);
	return d->readable && !event_add(d->readable, NULL) ? 0 : -ENOMEM;
}

int fib_dump_new(struct event_base *base, const struct fib_dump_calls *calls, struct fib_dump **ret)
{
	struct fib_dump *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->base = base;
	d->calls = *calls;
	r = open_socket(d);
	if (r) {
		fib_dump_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

void fib_dump_free(struct fib_dump *d)
{
	if (!d)
		return;
	close_socket(d);
	free(d);
}

static size_t header_size(uint16_t type)
{
	return type == RTM_GETLINK    ? sizeof(struct ifinfomsg)
	       : type == RTM_GETADDR  ? sizeof(struct ifaddrmsg)
	       : type == RTM_GETNEIGH ? sizeof(struct ndmsg)
	       : type == RTM_GETROUTE ? sizeof(struct rtmsg)
				      : sizeof(struct nhmsg);
}

int fib_dump_begin(struct fib_dump *d, uint16_t type, uint8_t family)
{
	_Alignas(struct nlmsghdr) char request[REQUEST_SIZE];
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	uint8_t *header;
	int r;

	/* A socket starts no other dump until it has delivered the rest. */
	if (d->running || !d->socket) {
		close_socket(d);
		r = open_socket(d);
		if (r)
			return r;
	}
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++d->seq;
	header = mnl_nlmsg_put_extra_header(h, header_size(type));
	memset(header, 0, header_size(type));
	header[0] = family; /* the first member of each */
	if (mnl_socket_sendto(d->socket, h, h->nlmsg_len) < 0)
		return -errno;
	d->running = true;
	d->interrupted = false;
	return 0;
}
