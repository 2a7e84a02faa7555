/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * detnat-xdp: puts detnat's entry programs into libxdp's dispatcher, and takes them out, for the agent, which lacks the
 * capability for it. A service manager starts it for each connection, with the connection as its standard input.
 */
#include <bpf/bpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <detnat/version.h>

#include "base/cleanup.h"
#include "base/socket_place.h"
#include "base/log.h"
#include "base/option.h"
#include "base/printed.h"
#include "base/text.h"
#include "helper.h"

#define AGENT_USER "detnat"

/* Processes at a time; more connections wait. */
#define MAX_CHILDREN 4

static const char usage[] =
	"Usage: detnat-xdp [--listen PATH]\n"
	"       detnat-xdp -V | -h\n"
	"\n"
	"Puts detnat's entry programs into libxdp's dispatcher for detnat-agent: one request, which "
	"comes over\n"
	"the socket that is its standard input. detnat-xdp.socket starts it.\n"
	"\n"
	"      --listen PATH  without systemd: listen there, and start a process for each request\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this text\n";

/* Root and the agent's user may ask. */
static int check_peer(int connection, struct error *err)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	const struct passwd *user;

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) || size != sizeof(peer))
		return error_set(err, -EPERM, "the peer of the socket is unknown");
	if (!peer.uid)
		return 0;
	user = getpwnam(AGENT_USER);
	if (user && user->pw_uid == peer.uid)
		return 0;
	return error_set(err, -EPERM, "only the user " AGENT_USER " and root may ask detnat-xdp, not uid %u", peer.uid);
}

static int keep_capabilities(void)
{
	capng_clear(CAPNG_SELECT_CAPS);
	if (capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SYS_ADMIN, CAP_NET_ADMIN, -1))
		return -EPERM;
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

/* Whether the peer has closed its end: a request that waited too long is no longer meant. */
static bool is_given_up(int connection)
{
	struct pollfd p = { .fd = connection };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

static int perform(int connection, const struct request *q, struct error *err)
{
	if (is_given_up(connection))
		return error_set(err, -ECANCELED, "the peer no longer waits for an answer");
	switch (q->said.kind) {
	case SHARE_ATTACH:
		return component_attach(q, err);
	case SHARE_DETACH:
		return component_detach(q, err);
	default:
		return 0;
	}
}

/* Answers with what is there afterwards, whether the request succeeded or not. 0: the peer has the answer; or -errno.
 */
static int answer(int connection, const struct request *q, int r, struct error *err)
{
	struct share_answer a = { 0 };
	struct look l = { .own = SHARE_MAX_PROGRAMS };
	int fd[SHARE_ANSWER_FDS] = { -1, -1 };
	int seen = q->said.ifindex ? look_at(q->said.ifindex, q->fd[SHARE_ENTRIES], &l, r ? NULL : err) : 0;

	if (!r)
		r = seen;
	a = l.found;
	/* Last, as it leaves the network namespace. */
	if (!r && q->said.kind == SHARE_LIST && q->said.flags & SHARE_TRY)
		r = component_try(q, err);
	if (l.own < SHARE_MAX_PROGRAMS && l.link[l.own] >= 0) {
		fd[SHARE_LINK] = l.link[l.own];
		fd[SHARE_PROGRAM] = bpf_prog_get_fd_by_id(l.found.program[l.own].id);
	}
	a.magic = SHARE_MAGIC;
	a.version = SHARE_VERSION;
	a.error = r;
	if (r)
		snprintf(a.text, sizeof(a.text), "%.*s", (int)sizeof(a.text) - 1, err->text);
	r = answer_send(connection, &a, fd);
	close_fd(&fd[SHARE_PROGRAM]);
	look_close(&l);
	return r;
}

static int serve(int connection)
{
	struct request q = { .fd = { -1, -1, -1 } };
	struct error err = { 0 };
	int denied, sent, r;

	alarm(SHARE_HELPER_PATIENCE_S);
	complaints_begin();
	denied = keep_capabilities() ? error_set(&err, -EPERM, "detnat-xdp lacks CAP_SYS_ADMIN or CAP_NET_ADMIN")
				     : check_peer(connection, &err);
	r = denied ? denied : request_receive(connection, &q, &err);
	if (!r)
		r = request_enter(&q, &err);
	/* Of a request that is not granted nothing is looked at. */
	if (r)
		q.said.ifindex = 0;
	else
		r = perform(connection, &q, &err);
	sent = answer(connection, &q, r, &err);
	request_close(&q);
	/* Other reasons are the peer's to tell: where interfaces wait for a dispatcher, it has one every half a minute.
	 */
	if (denied)
		text_line(stderr, "detnat-xdp: ", err.text);
	else if (sent)
		fprintf(stderr, "detnat-xdp: the answer cannot be sent: %s\n", strerror(-sent));
	return denied || sent ? 1 : 0;
}

/* Opens the directory of a path; -1 with errno. In another user's, that user would choose what is given away. */
static int open_parent(const char *path)
{
	_cleanup_close_ int fd = socket_directory(path);

	if (fd < 0 || socket_names_are_own(fd))
		return take_fd(fd);
	errno = EPERM;
	return -1;
}

/* Binds in a directory that is open. */
static int bind_in(int fd, int dir, const char *name)
{
	struct sockaddr_un at;

	if (socket_at(dir, name, &at))
		return bind(fd, (const struct sockaddr *)&at, sizeof(at));
	errno = ENAMETOOLONG;
	return -1;
}

/* A socket that exists under its name only once connections to it are taken; -1 with a message. */
static int listen_at(const char *path)
{
	const char *name = socket_name(path);
	const struct passwd *user = getpwnam(AGENT_USER);
	_cleanup_close_ int dir = open_parent(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char fresh[NAME_MAX + 1];
	mode_t mask = umask(0177);
	int r = dir < 0 || fd < 0 ? -1 : 0;

	if (!r && snprintf(fresh, sizeof(fresh), "%s.new", name) >= (int)sizeof(fresh)) {
		errno = ENAMETOOLONG;
		r = -1;
	}
	if (!r && unlinkat(dir, fresh, 0) && errno != ENOENT)
		r = -1;
	if (!r)
		r = bind_in(fd, dir, fresh);
	if (!r && user)
		r = fchownat(dir, fresh, user->pw_uid, user->pw_gid, AT_SYMLINK_NOFOLLOW);
	if (!r)
		r = listen(fd, SOMAXCONN);
	if (!r)
		r = renameat(dir, fresh, dir, name);
	umask(mask);
	if (r) {
		fprintf(stderr, "detnat-xdp: %s: %s\n", path,
			errno == EPERM ? "its directory is not root's alone; name another path" : strerror(errno));
		close_fd(&fd);
		return -1;
	}
	return fd;
}

/* Never returns but for a failure: what systemd does where there is systemd. */
static int listen_and_fork(const char *path)
{
	int listener = listen_at(path), connection, children = 0;

	if (listener < 0)
		return 1;
	for (;;) {
		pid_t child;

		while (children && waitpid(-1, NULL, children < MAX_CHILDREN ? WNOHANG : 0) > 0)
			children--;
		connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			fprintf(stderr, "detnat-xdp: accept: %s\n", strerror(errno));
			return 1;
		}
		child = fork();
		if (!child) {
			close(listener);
			_exit(serve(connection));
		}
		children += child > 0;
		close(connection);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *path = NULL;
	char refused[OPTION_ROOM];
	int option;

	opterr = 0;
	signal(SIGPIPE, SIG_IGN);
	log_set_program("detnat-xdp");
	while ((option = getopt_long(argc, argv, "Vh", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			if (path) {
				fputs("detnat-xdp: --listen is given twice\n", stderr);
				return 2;
			}
			path = optarg;
			break;
		case 'V':
			puts("detnat-xdp " DETNAT_VERSION);
			return printed("detnat-xdp", 0);
		case 'h':
			fputs(usage, stdout);
			return printed("detnat-xdp", 0);
		default:
			fprintf(stderr, "detnat-xdp: %s; see detnat-xdp --help\n",
				option_refused(argv, options, refused));
			return 2;
		}
	}
	if (optind < argc) {
		fputs("detnat-xdp: it takes no arguments; see detnat-xdp --help\n", stderr);
		return 2;
	}
	if (path)
		return listen_and_fork(path);
	return serve(STDIN_FILENO);
}
