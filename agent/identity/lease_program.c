/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/lease_program.h"

#include <detnat/version.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/log.h"
#include "history/history_record.h"

#define PROGRAM "/usr/sbin/detnat-leases"

/* Time for the disk when the program is to end. */
#define END_PATIENCE_US (10 * 1000000ULL)

/* Octets of requests that wait in a socket's buffer while the disk is busy. */
#define RECEIVE_BUFFER (8 << 20)

#define LAST_TIME 253402300799 /* 9999-12-31T23:59:59Z */

static int connect_to(const char *path, struct error *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)))
		return error_set(err, -errno, "detnat-leases does not answer at %s: %s", path, strerror(errno));
	return take_fd(fd);
}

/* The program beside this one, as in a build, or else where it is installed. */
static const char *find_program(char path[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 32);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return PROGRAM;
	strcpy(slash + 1, "detnat-leases");
	return access(path, X_OK) ? PROGRAM : path;
}

/* With the agent's log, its end of the pair, and nothing else that is open here. */
static int spawn(int fd, pid_t *ret)
{
	char path[PATH_MAX], name[] = "detnat-leases", option[] = "--agent";
	char *const arguments[] = { name, option, NULL };
	sigset_t none, all;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, fd, LEASES_FD);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&files, LEASES_FD + 1);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawnattr_setpgroup(&how, 0);
	if (!r)
		r = posix_spawn(ret, find_program(path), &files, &how, arguments, environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

static int start(struct lease_program *p, struct error *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return error_set(err, -errno, "detnat-leases cannot be started: %s", strerror(errno));
	/* The end of the child is elsewhere than where it will be, so that it is kept beyond exec. */
	r = pair[1] == LEASES_FD ? fcntl(pair[1], F_DUPFD_CLOEXEC, LEASES_FD + 1) : pair[1];
	if (r >= 0 && r != pair[1]) {
		close(pair[1]);
		pair[1] = r;
	}
	r = spawn(pair[1], &p->pid);
	close(pair[1]);
	if (r) {
		close(pair[0]);
		p->pid = 0;
		return error_set(err, r, "detnat-leases cannot be started: %s", strerror(-r));
	}
	p->fd = pair[0];
	return 0;
}

int lease_program_open(struct lease_program *p, const char *path, struct error *err)
{
	const int room = 4 * (int)sizeof(struct lease_order);
	struct stat st;
	int r = 0;

	if (lstat(path, &st))
		r = start(p, err);
	else
		r = p->fd = connect_to(path, err);
	if (r < 0)
		return r;
	setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return 0;
}

static bool wait_for_end(pid_t pid)
{
	uint64_t until = monotonic_us() + END_PATIENCE_US;

	for (;;) {
		pid_t r = waitpid(pid, NULL, WNOHANG);

		if (r == pid || (r < 0 && errno != EINTR))
			return true;
		if (monotonic_us() >= until)
			return false;
		usleep(1000);
	}
}

void lease_program_close(struct lease_program *p)
{
	close_fd(&p->fd);
	p->fd = -1;
	if (p->pid && !wait_for_end(p->pid)) {
		log_error("leases: the disk takes too long; what waits for it is lost");
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	p->pid = 0;
}

int lease_program_tell(const struct lease_program *p, enum lease_order_kind kind, const char *dir,
		       const struct config_leases *rules)
{
	_cleanup_free_ struct lease_order *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	snprintf(o->version, sizeof(o->version), "%s", DETNAT_VERSION);
	snprintf(o->dir, sizeof(o->dir), "%s", dir);
	o->kind = kind;
	o->rules = *rules;
	return send(p->fd, o, sizeof(*o), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The program has no capability: what it may not do itself with its socket, the agent does. */
static void grant_buffer(struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	const int size = RECEIVE_BUFFER;
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(fd)))
		return;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		log_debug("the receive buffer of RADIUS keeps its size: %s", strerror(errno));
	close(fd);
}

/* Whatever the program sends, texts end and times can be written. */
static void sanitize(struct lease_report *x)
{
	x->version[sizeof(x->version) - 1] = '\0';
	x->text[sizeof(x->text) - 1] = '\0';
	x->place.key[sizeof(x->place.key) - 1] = '\0';
	x->tip.hash[sizeof(x->tip.hash) - 1] = '\0';
	if (x->place.source >= CONFIG_MAX_LEASE_SOURCES)
		x->place.source = 0;
	if (x->figures.last < 0 || x->figures.last > LAST_TIME)
		x->figures.last = TIME_NONE;
	if (x->result > 0 || x->result < -4095)
		x->result = -EPROTO;
}

int lease_program_hear(const struct lease_program *p, struct lease_report *ret)
{
	union {
		struct cmsghdr header;
		uint8_t octet[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return n ? -errno : -EPIPE;
	grant_buffer(&m);
	sanitize(ret);
	return n != (ssize_t)sizeof(*ret) || m.msg_flags & MSG_TRUNC || strcmp(ret->version, DETNAT_VERSION) != 0
		       ? -EPROTO
		       : 0;
}
