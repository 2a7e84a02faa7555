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
#include "base/socket_place.h"
#include "base/text.h"

#define FIRST_PASSED 3
#define BACKLOG	     128
/* Of sockaddr_un's 107 octets, what "/proc/self/fd/1048576/" leaves. */
#define SOCKET_NAME_MAX 85

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
	*ret = (struct listening){ fd, at.ss_family == AF_UNIX, -1 };
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

/* The directory that the socket is made in, once for all. */
static int open_directory(const char *path, int *ret, struct error *err)
{
	int length = (int)(socket_name(path) - path);
	_cleanup_close_ int fd = socket_directory(path);

	if (fd < 0)
		return error_set(err, -errno, "cannot listen on %s: the directory %.*s: %s", path, length ? length : 1,
				 length ? path : ".", strerror(errno));
	if (!geteuid() && !socket_names_are_own(fd))
		return error_set(
			err, -EPERM,
			"--socket: users other than root may put things into %.*s: run detnat-desk as the user "
			"whom it belongs to, such as detnat-desk, or name a directory of root's alone",
			length ? length : 1, length ? path : ".");
	*ret = take_fd(fd);
	return 0;
}

/* Removes the socket of a dead process. */
static void remove_dead(int dir, const char *name)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;
	struct stat s;

	if (fd >= 0 && socket_at(dir, name, &at) && !fstatat(dir, name, &s, AT_SYMLINK_NOFOLLOW) &&
	    S_ISSOCK(s.st_mode) && s.st_uid == geteuid() && connect(fd, (const struct sockaddr *)&at, sizeof(at)) &&
	    errno == ECONNREFUSED)
		unlinkat(dir, name, 0);
}

static int listen_at(int fd, const struct sockaddr *at, socklen_t size, const char *text, struct error *err)
{
	int r = fd < 0 || bind(fd, at, size) || listen(fd, BACKLOG) ? -errno : 0;

	return r ? error_set(err, r, "cannot listen on %s: %s", text, strerror(-r)) : 0;
}

int listening_unix(const char *path, struct listening *ret, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), dir = -1;
	const char *name = socket_name(path);
	struct sockaddr_un at;
	mode_t before;
	int r;

	/* Whoever connects names the whole path; the name alone has to fit behind the descriptor's. */
	if (strlen(path) >= sizeof(at.sun_path) || strlen(name) > SOCKET_NAME_MAX)
		return error_set(err, -ENAMETOOLONG,
				 "--socket: the path is longer than %zu octets, or its name than %d",
				 sizeof(at.sun_path) - 1, SOCKET_NAME_MAX);
	r = open_directory(path, &dir, err);
	if (r)
		return r;
	socket_at(dir, name, &at);
	remove_dead(dir, name);
	before = umask(0117);
	r = listen_at(fd, (const struct sockaddr *)&at, sizeof(at), path, err);
	umask(before);
	if (!r)
		*ret = (struct listening){ take_fd(fd), true, take_fd(dir) };
	return r;
}

void listening_remove(const struct listening *l, const char *path)
{
	if (l->dir >= 0)
		unlinkat(l->dir, socket_name(path), 0);
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
		*ret = (struct listening){ take_fd(fd), false, -1 };
	return r;
}
