/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

/* The kernel fills up to 32 KiB of a dump at a time. */
#define ANSWER_SIZE   65536U
#define REQUEST_SIZE  1024U
#define DUMP_ATTEMPTS 8

struct netlink {
	struct mnl_socket *socket;
	unsigned port;
	uint32_t seq;
	_Alignas(struct nlmsghdr) char request[REQUEST_SIZE];
	_Alignas(struct nlmsghdr) char answer[ANSWER_SIZE];
};

static int open_bus(int bus, struct netlink **ret)
{
	struct netlink *n = calloc(1, sizeof(*n));
	struct timeval timeout = { .tv_sec = 5 };
	int yes = 1;

	if (!n)
		return -ENOMEM;
	n->seq = (uint32_t)time(NULL);
	n->socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!n->socket || mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int r = -errno;

		netlink_free(n);
		return r;
	}
	n->port = mnl_socket_get_portid(n->socket);
	/* Lets the kernel filter dumps. This only saves work: results are checked in any case. */
	mnl_socket_setsockopt(n->socket, NETLINK_GET_STRICT_CHK, &yes, sizeof(yes));
	mnl_socket_setsockopt(n->socket, NETLINK_CAP_ACK, &yes, sizeof(yes));
	setsockopt(mnl_socket_get_fd(n->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	*ret = n;
	return 0;
}

int netlink_new(struct netlink **ret)
{
	return open_bus(NETLINK_ROUTE, ret);
}

int netlink_new_netfilter(struct netlink **ret)
{
	return open_bus(NETLINK_NETFILTER, ret);
}

void netlink_free(struct netlink *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	free(n);
}

struct nlmsghdr *netlink_request(struct netlink *n, uint16_t type, uint16_t flags, size_t header_size)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(n->request);

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		h->nlmsg_flags |= NLM_F_ACK;
	h->nlmsg_seq = ++n->seq;
	memset(mnl_nlmsg_put_extra_header(h, header_size), 0, header_size);
	return h;
}

struct visitor {
	netlink_visit visit;
	void *arg;
};

static int visit_message(const struct nlmsghdr *h, void *arg)
{
	const struct visitor *v = arg;

	if (v->visit)
		v->visit(h, v->arg);
	return MNL_CB_OK;
}

/*
 * Whether a dump was interrupted by a change. Clears the flag, as libmnl would stop at it and leave the rest of the
 * answer to the next call.
 */
static bool take_interrupted(void *answer, int size)
{
	bool interrupted = false;

	for (struct nlmsghdr *h = answer; mnl_nlmsg_ok(h, size); h = mnl_nlmsg_next(h, &size)) {
		interrupted |= h->nlmsg_flags & NLM_F_DUMP_INTR;
		h->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
	}
	return interrupted;
}

int netlink_call(struct netlink *n, netlink_visit visit, void *arg)
{
	const struct nlmsghdr *request = (const struct nlmsghdr *)n->request;
	struct visitor visitor = { .visit = visit, .arg = arg };
	bool interrupted = false;
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(n->socket, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t size = mnl_socket_recvfrom(n->socket, n->answer, sizeof(n->answer));

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return -errno;
		/* Left over from an earlier call that timed out. */
		if (((struct nlmsghdr *)n->answer)->nlmsg_seq != request->nlmsg_seq)
			continue;
		interrupted |= take_interrupted(n->answer, (int)size);
		r = mnl_cb_run(n->answer, (size_t)size, request->nlmsg_seq, n->port, visit_message, &visitor);
	} while (r > MNL_CB_STOP);
	if (r < MNL_CB_STOP)
		return errno ? -errno : -EIO;
	return interrupted ? -EINTR : 0;
}

int netlink_dump(struct netlink *n, netlink_visit visit, void (*reset)(void *arg), void *arg)
{
	struct nlmsghdr *request = (struct nlmsghdr *)n->request;
	int r = -EINTR;

	for (int i = 0; r == -EINTR && i < DUMP_ATTEMPTS; i++) {
		if (i) {
			request->nlmsg_seq = ++n->seq;
			reset(arg);
		}
		r = netlink_call(n, visit, arg);
	}
	/* If the state changes all the time, the last dump has to do; events will correct it. */
	return r == -EINTR ? 0 : r;
}

void netlink_attributes(const struct nlmsghdr *h, size_t header_size, const struct nlattr **table, size_t n)
{
	const struct nlattr *attr;

	memset(table, 0, n * sizeof(*table)); /* NOLINT(bugprone-sizeof-expression): an array of pointers */
	mnl_attr_for_each(attr, h, header_size) if (mnl_attr_get_type(attr) < n) table[mnl_attr_get_type(attr)] = attr;
}

const struct nlattr *netlink_nested(const struct nlattr *in, uint16_t type)
{
	const struct nlattr *attr, *found = NULL;

	if (!in)
		return NULL;
	mnl_attr_for_each_nested(attr, in)
	{
		if (!found && mnl_attr_get_type(attr) == type)
			found = attr;
	}
	return found;
}

uint32_t netlink_u32(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

static bool holds(const struct nlattr *attr, const char *text, size_t size)
{
	return attr && mnl_attr_get_payload_len(attr) >= size && !memcmp(mnl_attr_get_payload(attr), text, size);
}

bool netlink_is(const struct nlattr *attr, const char *text)
{
	return holds(attr, text, strlen(text) + 1);
}

bool netlink_begins(const struct nlattr *attr, const char *text)
{
	return holds(attr, text, strlen(text));
}
