// SPDX-License-Identifier: BSD-2-Clause
#include "e2e_stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "e2e_clock.h"
#include "e2e_netns.h"

#define PORT	    5001
#define MAX_STREAMS 16U
#define CONNECT_MS  3000
#define PIECE	    (256U << 10)

static struct sockaddr_in address_of(uint32_t addr, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr), .sin_port = htons(port) };
}

static int listen_at(const struct stream_plan *p)
{
	const struct sockaddr_in at = address_of(p->target, PORT);
	int one = 1, fd;

	netns_enter(p->to);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const void *)&at, sizeof(at)) || listen(fd, MAX_STREAMS))
		e2e_die(errno, "listening for streams");
	return fd;
}

static int connect_from(const struct stream_plan *p)
{
	const struct sockaddr_in from = address_of(p->source, 0), to = address_of(p->target, PORT);
	const struct timeval limit = { .tv_sec = CONNECT_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (fd < 0 || bind(fd, (const void *)&from, sizeof(from)) || connect(fd, (const void *)&to, sizeof(to)) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK))
		return -1;
	return fd;
}

/* Until it is killed, or the receiver has gone. */
static void send_all(const struct stream_plan *p)
{
	static char piece[PIECE];
	struct pollfd fd[MAX_STREAMS];

	for (unsigned i = 0; i < p->streams; i++) {
		fd[i] = (struct pollfd){ .fd = connect_from(p), .events = POLLOUT };
		if (fd[i].fd < 0)
			return;
	}
	while (poll(fd, p->streams, -1) > 0)
		for (unsigned i = 0; i < p->streams; i++)
			if (fd[i].revents && send(fd[i].fd, piece, sizeof(piece), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
				return;
}

/* Takes what arrives by all connections until a moment; its octets. */
static uint64_t receive_until(struct pollfd *fd, unsigned n, uint64_t end_us)
{
	uint64_t octets = 0, now;

	while ((now = monotonic_us()) < end_us && poll(fd, n, (int)((end_us - now) / 1000 + 1)) > 0)
		for (unsigned i = 0; i < n; i++) {
			/* Discarded by the kernel, as the copying is not what is measured. */
			ssize_t got = fd[i].revents ? recv(fd[i].fd, NULL, 4 * PIECE, MSG_TRUNC) : 0;

			octets += got > 0 ? (uint64_t)got : 0;
		}
	return octets;
}

static struct stream_result receive_all(const struct stream_plan *p, int listener)
{
	struct pollfd fd[MAX_STREAMS], wait = { .fd = listener, .events = POLLIN };
	uint64_t start, octets;
	double busy, seconds;

	for (unsigned i = 0; i < p->streams; i++) {
		if (poll(&wait, 1, CONNECT_MS) <= 0)
			return (struct stream_result){ 0 };
		fd[i] = (struct pollfd){ .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK),
					 .events = POLLIN };
		if (fd[i].fd < 0)
			return (struct stream_result){ 0 };
	}
	receive_until(fd, p->streams, monotonic_us() + p->warm_ms * 1000ULL);
	busy = cores_busy_s();
	start = monotonic_us();
	octets = receive_until(fd, p->streams, start + p->run_ms * 1000ULL);
	seconds = (double)(monotonic_us() - start) / 1e6;
	busy = cores_busy_s() - busy;
	return (struct stream_result){ .bits_per_s = (double)octets * 8 / seconds, .cores = busy / seconds };
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

struct stream_result stream_run(const struct stream_plan *p)
{
	_cleanup_close_ int listener = listen_at(p);
	struct stream_result got = { 0 };
	int result[2];
	pid_t sender, receiver;

	if (pipe2(result, O_CLOEXEC))
		e2e_die(errno, "pipe");
	receiver = netns_fork(p->to);
	if (!receiver) {
		got = receive_all(p, listener);
		_exit(write(result[1], &got, sizeof(got)) != sizeof(got));
	}
	close(result[1]);
	sender = netns_fork(p->from);
	if (!sender) {
		send_all(p);
		_exit(0);
	}
	if (read(result[0], &got, sizeof(got)) != sizeof(got))
		e2e_die(0, "the receiver of streams ended early");
	close(result[0]);
	end_child(sender);
	end_child(receiver);
	return got;
}
