/* SPDX-License-Identifier: BSD-2-Clause */
#include "routing/monitor.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/log.h"

#define RECEIVE_BUFFER (4 << 20)
#define MESSAGE_BUFFER 65536U

/* Reads in a row, bounded so that a storm of notifications does not block the event loop. */
#define READS_AT_ONCE 64
/* To catch up: more than the socket holds. */
#define READS_OF_ALL 65536

struct monitor {
	struct datapath *datapath;
	struct monitor_handlers handlers;
	struct mnl_socket *socket;
	struct event *readable;
	struct event *quiet; /* pending if the epoch was raised recently */
	bool raise_again;
	bool lost; /* until all waiting messages have been read */
	bool reading;
	_Alignas(struct nlmsghdr) char buffer[MESSAGE_BUFFER];
};

void monitor_raise_epoch(struct monitor *m)
{
	const struct timeval quiet = { .tv_usec = MONITOR_QUIET_MS * 1000L };

	if (event_pending(m->quiet, EV_TIMEOUT, NULL)) {
		m->raise_again = true;
		return;
	}
	datapath_raise_epoch(m->datapath);
	m->raise_again = false;
	event_add(m->quiet, &quiet);
}

static void on_quiet_end(evutil_socket_t fd, short what, void *arg)
{
	struct monitor *m = arg;

	if (m->raise_again)
		monitor_raise_epoch(m);
}

static int visit_message(const struct nlmsghdr *h, void *arg)
{
	const struct monitor *m = arg;

	m->handlers.message(h, m->handlers.arg);
	return MNL_CB_OK;
}

/*
 * Until all waiting messages have been read, the kernel drops further ones without another error: messages read before
 * that may already be outdated.
 */
static void on_drained(struct monitor *m)
{
	if (!m->lost)
		return;
	m->lost = false;
	m->handlers.lost(m->handlers.arg);
}

static void read_one_by_one(struct monitor *m, int most)
{
	for (int i = 0; i < most; i++) {
		ssize_t size = mnl_socket_recvfrom(m->socket, m->buffer, sizeof(m->buffer));

		if (size >= 0) {
			mnl_cb_run(m->buffer, (size_t)size, 0, 0, visit_message, m);
			continue;
		}

		int r = errno;

		if (r == EINTR)
			continue;
		if (r == EAGAIN) {
			on_drained(m);
			return;
		}
		/*
		 * ENOBUFS: more messages than the socket holds. ENOSPC: a message larger than the buffer was cut off.
		 */
		log_debug("rtnetlink notifications were lost; reading everything again");
		monitor_raise_epoch(m);
		m->lost = true;
		m->handlers.lost(m->handlers.arg);
		if (r != ENOBUFS && r != ENOSPC)
			return;
	}
}

/* The next message waits until this one has been processed with all its effects. */
static void read_messages(struct monitor *m, int most)
{
	if (m->reading)
		return;
	m->reading = true;
	read_one_by_one(m, most);
	m->reading = false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	read_messages(arg, READS_AT_ONCE);
}

void monitor_catch_up(struct monitor *m)
{
	read_messages(m, READS_OF_ALL);
}

static const int groups[] = { RTNLGRP_LINK,	  RTNLGRP_NEIGH,     RTNLGRP_TC,	   RTNLGRP_IPV4_IFADDR,
			      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV4_NETCONF, RTNLGRP_NEXTHOP };
static const int groups6[] = { RTNLGRP_IPV6_IFINFO, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_RULE };

static int join(struct mnl_socket *socket, const int *group, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, (void *)&group[i], sizeof(group[i])) < 0)
			return -errno;
	return 0;
}

int monitor_hear_ipv6(struct monitor *m)
{
	return join(m->socket, groups6, ARRAY_SIZE(groups6));
}

int monitor_new(struct event_base *base, struct datapath *d, const struct monitor_handlers *handlers,
		struct monitor **ret)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int size = RECEIVE_BUFFER, r = 0;

	if (!m)
		return -ENOMEM;
	m->datapath = d;
	m->handlers = *handlers;
	m->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!m->socket || mnl_socket_bind(m->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		r = -errno;
	if (!r)
		r = join(m->socket, groups, ARRAY_SIZE(groups));
	if (!r) {
		setsockopt(mnl_socket_get_fd(m->socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
		m->readable = event_new(base, mnl_socket_get_fd(m->socket), EV_READ | EV_PERSIST, on_readable, m);
		m->quiet = evtimer_new(base, on_quiet_end, m);
		if (!m->readable || !m->quiet || event_add(m->readable, NULL))
			r = -ENOMEM;
	}
	if (r) {
		monitor_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	if (m->readable)
		event_free(m->readable);
	if (m->quiet)
		event_free(m->quiet);
	if (m->socket)
		mnl_socket_close(m->socket);
	free(m);
}
