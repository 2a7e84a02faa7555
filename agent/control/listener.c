// SPDX-License-Identifier: BSD-2-Clause
#include "control/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "host/accounts.h"
#include "host/paths.h"

#define BACKLOG 512

static int make_directory(const char *path, struct error *err)
{
	_cleanup_free_ char *dir = strdup(path);
	struct error why;
	char *slash;
	int r;

	if (!dir)
		return error_set(err, -ENOMEM, "out of memory");
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	r = path_make_directory(dir, 0755, &why);
	if (r && *why.text)
		return error_set(err, r, "%s", why.text);
	return r ? error_set(err, r, "cannot make the directory %s: %s", dir, strerror(-r)) : 0;
}

/* 0: no agent answers, so the socket was left behind. -EADDRINUSE: one answers, or it is not a socket. */
static int check_stale(const struct sockaddr_un *sa, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (lstat(sa->sun_path, &st))
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %s", sa->sun_path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -EADDRINUSE, "%s is in the way and is not a socket", sa->sun_path);
	/* A full backlog (EAGAIN) also means that an agent listens. */
	if (!connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) || errno != ECONNREFUSED)
		return error_set(err, -EADDRINUSE, "another agent answers at %s", sa->sun_path);
	return 0;
}

static int bind_private(int fd, const struct sockaddr_un *sa)
{
	/* The file gets the mode of the socket less the umask, which must not be changed: all threads share it. */
	if (fchmod(fd, 0660) || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)))
		return -errno;
	if (!chmod(sa->sun_path, 0660))
		return 0;

	int r = -errno;

	unlink(sa->sun_path);
	return r;
}

static void give_to_group(const char *path)
{
	struct stat st;
	gid_t group;

	if (!account_group(GROUP_READERS, &group) && !lstat(path, &st) && st.st_gid != group &&
	    lchown(path, (uid_t)-1, group))
		log_warning("cannot give %s to the group " GROUP_READERS ": %s", path, strerror(errno));
}

int control_socket_open(const char *path, struct control_socket *ret, struct error *err)
{
	_cleanup_rights_ struct rights lesser = path_rights_beside(path);
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *copy = strdup(path);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	int r;

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	if (!*path || strlen(path) >= sizeof(sa.sun_path))
		return error_set(err, -ENAMETOOLONG, "control_socket must be a path of 1 to %zu octets",
				 sizeof(sa.sun_path) - 1);
	strcpy(sa.sun_path, path);
	r = make_directory(path, err);
	if (r)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	r = bind_private(fd, &sa);
	if (r == -EADDRINUSE) {
		r = check_stale(&sa, err);
		if (r)
			return r;
		unlink(path);
		r = bind_private(fd, &sa);
	}
	if (r)
		return error_set(err, r, "cannot bind the control socket to %s: %s", path, strerror(-r));
	give_to_group(path);
	if (lstat(path, &st) || listen(fd, BACKLOG)) {
		r = -errno;
		unlink(path);
		return error_set(err, r, "cannot listen at %s: %s", path, strerror(-r));
	}
	*ret = (struct control_socket){
		.fd = take_fd(fd),
		.path = take_pointer(copy),
		.dev = st.st_dev,
		.ino = st.st_ino,
	};
	return 0;
}

bool control_socket_is_there(const struct control_socket *s)
{
	struct stat st;

	return !lstat(s->path, &st) && st.st_dev == s->dev && st.st_ino == s->ino;
}

void control_socket_close(struct control_socket *s)
{
	if (s->path && control_socket_is_there(s)) {
		_cleanup_rights_ struct rights lesser = path_rights_beside(s->path);

		unlink(s->path);
	}
	close_fd(&s->fd);
	free(s->path);
	*s = (struct control_socket){ .fd = -1 };
}
