// SPDX-License-Identifier: BSD-2-Clause
#include "listening.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/cleanup.h"
#include "base/text.h"

#define FIRST_PASSED 3
#define BACKLOG	     128

static bool is_loopback(uint32_t addr)
{
	return addr >> 24 == 127;
}

/* Whose socket it is decides who has to say who asks. */
static int check_passed(int fd, struct listening *ret, struct error *err)
{
	struct sockaddr_storage at = {};
	socklen_t size = sizeof(at);
	int listens = 0;
	socklen_t listens_size = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) || !listens ||
	    getsockname(fd, (struct sockaddr *)&at, &size))
		return error_set(err, -EINVAL, "the descriptor that was passed is no listening socket");
	if (at.ss_family == AF_INET && !is_loopback(ntohl(((struct sockaddr_in *)&at)->sin_addr.s_addr)))
		return error_set(
			err, -EINVAL,
			"the socket that was passed is not of a loopback address; use ListenStream=127.0.0.1:PORT");
	if (at.ss_family != AF_UNIX && at.ss_family != AF_INET)
		return error_set(err, -EINVAL, "the socket that was passed is neither a Unix socket nor of IPv4");
	*ret = (struct listening){ fd, at.ss_family == AF_UNIX };
	return 0;
}

int listening_passed(struct listening *ret, struct error *err)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	if (!pid || !n || atol(pid) != getpid())
		return -ENOENT;
	if (strcmp(n, "1") != 0)
		return error_set(err, -EINVAL, "%s sockets were passed (LISTEN_FDS); one is needed", n);
	fcntl(FIRST_PASSED, F_SETFD, FD_CLOEXEC);
	fcntl(FIRST_PASSED, F_SETFL, O_NONBLOCK);
	return check_passed(FIRST_PASSED, ret, err);
}

/* Removes the socket of a dead process. */
static void remove_dead(const struct sockaddr_un *at)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat s;

	if (fd >= 0 && !lstat(at->sun_path, &s) && S_ISSOCK(s.st_mode) &&
	    connect(fd, (const struct sockaddr *)at, sizeof(*at)) && errno == ECONNREFUSED)
		unlink(at->sun_path);
}

static int listen_at(int fd, const struct sockaddr *at, socklen_t size, const char *text, struct error *err)
{
	int r = fd < 0 || bind(fd, at, size) || listen(fd, BACKLOG) ? -errno : 0;

	return r ? error_set(err, r, "cannot listen on %s: %s", text, strerror(-r)) : 0;
}

int listening_unix(const char *path, struct listening *ret, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t before;
	int r;

	if (strlen(path) >= sizeof(at.sun_path))
		return error_set(err, -ENAMETOOLONG, "--socket: the path is longer than %zu octets",
				 sizeof(at.sun_path) - 1);
	memcpy(at.sun_path, path, strlen(path));
	remove_dead(&at);
	before = umask(0117);
	r = listen_at(fd, (const struct sockaddr *)&at, sizeof(at), path, err);
	umask(before);
	if (!r)
		*ret = (struct listening){ take_fd(fd), true };
	return r;
}

int listening_loopback(const char *text, struct listening *ret, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in at = { .sin_family = AF_INET };
	struct endpoint e;
	int on = 1, r;

	if (endpoint_parse(text, &e) || !is_loopback(e.addr))
		return error_set(err, -EINVAL,
				 "--listen takes an address of this machine alone and a port, such as 127.0.0.1:8080, "
				 "not %s; "
				 "for others, a proxy on --socket names the users",
				 QUOTED(text));
	at.sin_addr.s_addr = htonl(e.addr);
	at.sin_port = htons(e.port);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r = listen_at(fd, (const struct sockaddr *)&at, sizeof(at), text, err);
	if (!r)
		*ret = (struct listening){ take_fd(fd), false };
	return r;
}
