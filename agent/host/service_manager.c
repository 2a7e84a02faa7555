/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/service_manager.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

int notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;

	if (!length)
		return 0;
	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(to.sun_path))
		return -EINVAL;
	memcpy(to.sun_path, path, length);
	if (path[0] == '@')
		to.sun_path[0] = '\0';

	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		return -errno;
	return 0;
}

int notify_ready(void)
{
	return notify_send("READY=1");
}

int notify_reloading(void)
{
	struct timespec now;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000);
	return notify_send(state);
}

int notify_stopping(void)
{
	return notify_send("STOPPING=1");
}

int notify_watchdog(void)
{
	return notify_send("WATCHDOG=1");
}

uint64_t notify_watchdog_interval_us(void)
{
	const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!interval || (pid && strtoul(pid, NULL, 10) != (unsigned long)getpid()))
		return 0;
	return strtoull(interval, NULL, 10);
}

#define FIRST 3
#define MAX   64

/* Number of passed sockets, which are for this process if LISTEN_PID matches. */
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
