/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the helper detnat-xdp. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "attach/share_private.h"
#include "base/clock.h"

/* Seconds without another question to a helper that has not answered in time, as the agent does nothing meanwhile. */
#define PAUSE_S 60U

/* Seconds for a connection to be taken, for which nothing but a long queue has it wait. */
#define CONNECT_S 5

/* When the pause ends, in microseconds of the monotonic clock; 0: there is none. */
static uint64_t pause_until_us;

static const char *socket_path(void)
{
	const char *path = getenv("DETNAT_XDP_SOCKET");

	if (path && *path)
		return path;
	return access(SHARE_SOCKET, F_OK) && !access(SHARE_FORMER_SOCKET, F_OK) ? SHARE_FORMER_SOCKET : SHARE_SOCKET;
}

static int refuse(int r, struct error *err)
{
	if (r == -ETIMEDOUT)
		return error_set(
			err, -ENOTCONN,
			"the helper detnat-xdp did not answer within %u seconds, and is not asked for the next %u: "
			"'journalctl -u \"detnat-xdp@*\"' may say why; 'systemctl restart detnat-xdp.socket' "
			"begins afresh",
			SHARE_AGENT_PATIENCE_S, PAUSE_S);
	if (r == -EPROTO)
		return error_set(
			err, -ENOTCONN,
			"what answers at %s is not detnat-xdp, or is of another version than the agent: install "
			"both from one build, and restart detnat",
			socket_path());
	if (r == -ECONNRESET)
		return error_set(
			err, -ENOTCONN,
			"the helper detnat-xdp ended without an answer: 'journalctl -u \"detnat-xdp@*\"' may say why");
	return error_set(
		err, -ENOTCONN,
		"the helper detnat-xdp, which puts programs under libxdp's dispatcher, cannot be asked (%s: %s): "
		"'systemctl enable --now detnat-xdp.socket' starts it",
		socket_path(), strerror(-r));
}

static int connect_to_helper(int *ret)
{
	const struct timeval patience = { .tv_sec = SHARE_AGENT_PATIENCE_S }, soon = { .tv_sec = CONNECT_S };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (strlen(socket_path()) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	strncpy(to.sun_path, socket_path(), sizeof(to.sun_path) - 1);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)) ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)))
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	*ret = take_fd(fd);
	return 0;
}

static int send_request(int connection, const struct share_request *q, const int *fd, size_t n_fd)
{
	union {
		char room[CMSG_SPACE(SHARE_REQUEST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec data = { (void *)q, sizeof(*q) };
	struct msghdr m = { .msg_iov = &data,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = CMSG_SPACE(n_fd * sizeof(int)) };
	struct cmsghdr *c = &control.align;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n_fd * sizeof(int));
	memcpy(CMSG_DATA(c), fd, n_fd * sizeof(int));
	return sendmsg(connection, &m, MSG_NOSIGNAL) == sizeof(*q) ? 0 : -errno;
}

/* Takes the descriptors out of an answer; those of no use are closed. */
static void take_fds(struct msghdr *m, int fd[SHARE_ANSWER_FDS])
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count && n < SHARE_ANSWER_FDS; i++, n++)
			memcpy(&fd[n], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

static int receive_answer(int connection, struct share_answer *ret, int fd[SHARE_ANSWER_FDS])
{
	union {
		char room[CMSG_SPACE(SHARE_ANSWER_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = { ret, sizeof(*ret) };
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t length = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);

	/* It did not read the request, as of one who may not ask; its answer is still there, behind that error. */
	if (length < 0 && errno == ECONNRESET)
		length = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
	if (length < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	take_fds(&m, fd);
	if (!length)
		return -ECONNRESET;
	if (length != sizeof(*ret) || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || ret->magic != SHARE_MAGIC ||
	    ret->version != SHARE_VERSION || ret->n_programs > SHARE_MAX_PROGRAMS)
		return -EPROTO;
	ret->text[sizeof(ret->text) - 1] = '\0';
	for (unsigned i = 0; i < ret->n_programs; i++)
		ret->program[i].name[SHARE_NAME - 1] = '\0';
	return 0;
}

/* One question, and no other within the pause that a helper which hangs causes. */
static int exchange(const struct share_request *q, const int *fd, size_t n_fd, struct share_answer *ret,
		    int got[SHARE_ANSWER_FDS])
{
	_cleanup_close_ int connection = -1;
	int r;

	if (monotonic_us() < pause_until_us)
		return -ETIMEDOUT;
	r = connect_to_helper(&connection);
	if (!r)
		r = send_request(connection, q, fd, n_fd);
	/* It may have refused before it read all of the request. */
	if (!r || r == -EPIPE)
		r = receive_answer(connection, ret, got);
	pause_until_us = r == -ETIMEDOUT ? monotonic_us() + PAUSE_S * 1000000ULL : 0;
	return r;
}

int share_ask(const struct datapath *d, struct share_request q, struct share_answer *ret, int *ret_link,
	      struct error *err)
{
	_cleanup_close_ int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd[SHARE_REQUEST_FDS] = { netns, d ? d->entries : -1, d ? d->counters : -1 };
	int got[SHARE_ANSWER_FDS] = { -1, -1 };
	bool maps = fd[SHARE_ENTRIES] >= 0 && fd[SHARE_COUNTERS] >= 0;
	struct share_answer a = { 0 };
	int r = netns < 0 ? -errno : 0;

	q.magic = SHARE_MAGIC;
	q.version = SHARE_VERSION;
	*ret = a;
	if (!r)
		r = exchange(&q, fd, maps ? SHARE_REQUEST_FDS : 1, &a, got);
	close_fd(&got[SHARE_PROGRAM]);
	if (ret_link && !r)
		*ret_link = got[SHARE_LINK];
	else
		close_fd(&got[SHARE_LINK]);
	if (r)
		return refuse(r, err);
	*ret = a;
	return a.error < 0 ? error_set(err, a.error, "%s", a.text) : 0;
}
