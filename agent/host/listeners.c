/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST 3
#define MAX   64

/* Number of passed sockets, which are for this process if LISTEN_PID says so. */
static int count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	long n = fds ? strtol(fds, NULL, 10) : 0;

	return pid && strtol(pid, NULL, 10) == getpid() && n > 0 && n <= MAX ? (int)n : 0;
}

static bool listens_at(int fd, struct endpoint at)
{
	struct sockaddr_in sa = { 0 };
	socklen_t size = sizeof(sa), int_size = sizeof(int);
	int listening = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) && listening &&
	       !getsockname(fd, (struct sockaddr *)&sa, &size) && sa.sin_family == AF_INET &&
	       ntohl(sa.sin_addr.s_addr) == at.addr && ntohs(sa.sin_port) == at.port;
}

int listeners_find(struct endpoint at)
{
	int n = count();

	for (int fd = FIRST; fd < FIRST + n; fd++) {
		int copy;

		if (!listens_at(fd, at))
			continue;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST + n);
		if (copy < 0 || fcntl(copy, F_SETFL, O_NONBLOCK))
			return -errno;
		return copy;
	}
	return -ENOENT;
}
