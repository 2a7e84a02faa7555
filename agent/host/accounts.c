/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/accounts.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

/* A group of thousands of members needs more than the initial room; no real one needs more than the maximum. */
#define FIRST_ROOM 1024U
#define LAST_ROOM  (1U << 24)

static int outcome(int r, const void *found)
{
	/* Some name services have their own ways to report an unknown name. */
	if (r == ESRCH || r == EBADF || r == EPERM)
		return -ENOENT;
	return r ? -r : found ? 0 : -ENOENT;
}

/* By name, or by uid if that is NULL. The texts of *ret are in *ret_room. */
static int find_user(const char *name, uid_t uid, struct passwd *ret, char **ret_room)
{
	struct passwd *found = NULL;
	int r = ERANGE;

	*ret_room = NULL;
	for (size_t size = FIRST_ROOM; r == ERANGE && size <= LAST_ROOM; size *= 4) {
		free(*ret_room);
		*ret_room = malloc(size);
		if (!*ret_room)
			return -ENOMEM;
		r = name ? getpwnam_r(name, ret, *ret_room, size, &found)
			 : getpwuid_r(uid, ret, *ret_room, size, &found);
	}
	return outcome(r, found);
}

int account_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	_cleanup_free_ char *room = NULL;
	struct passwd user;
	int r = find_user(name, 0, &user, &room);

	if (r)
		return r;
	*ret_uid = user.pw_uid;
	if (ret_gid)
		*ret_gid = user.pw_gid;
	return 0;
}

int account_name(uid_t uid, char ret_name[static ACCOUNT_NAME])
{
	_cleanup_free_ char *room = NULL;
	struct passwd user;
	int r = find_user(NULL, uid, &user, &room);

	if (!r)
		snprintf(ret_name, ACCOUNT_NAME, "%s", user.pw_name);
	return r;
}

int account_group(const char *name, gid_t *ret_gid)
{
	struct group group, *found = NULL;
	_cleanup_free_ char *room = NULL;
	int r = ERANGE;

	for (size_t size = FIRST_ROOM; r == ERANGE && size <= LAST_ROOM; size *= 4) {
		free(room);
		room = malloc(size);
		if (!room)
			return -ENOMEM;
		r = getgrnam_r(name, &group, room, size, &found);
	}
	r = outcome(r, found);
	if (!r)
		*ret_gid = group.gr_gid;
	return r;
}

bool account_may_read(const char *user, const char *path)
{
	uid_t uid;
	gid_t gid;
	int status;
	pid_t child;

	if (geteuid() || account_user(user, &uid, &gid) || !uid)
		return true;
	child = fork();
	if (!child)
		_exit(initgroups(user, gid) || setgid(gid) || setuid(uid) || !access(path, R_OK) ? 0 : 1);
	return child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || !WEXITSTATUS(status);
}

static bool is_admin(const gid_t *groups, size_t n)
{
	gid_t admins;

	if (account_group(GROUP_ADMINS, &admins))
		return false;
	for (size_t i = 0; i < n; i++)
		if (groups[i] == admins)
			return true;
	return false;
}

/* Reads the supplementary groups of a peer. 0 or -errno. */
static ssize_t read_groups(int fd, gid_t **ret)
{
	socklen_t size = 32 * sizeof(gid_t);
	gid_t *groups = NULL;

	for (;;) {
		gid_t *grown = realloc(groups, size);

		if (!grown) {
			free(groups);
			return -ENOMEM;
		}
		groups = grown;
		if (!getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size))
			break;
		/* The kernel has returned the size needed. */
		if (errno != ERANGE) {
			free(groups);
			return -errno;
		}
	}
	*ret = groups;
	return (ssize_t)(size / sizeof(gid_t));
}

int peer_of(int fd, struct peer *ret)
{
	_cleanup_free_ gid_t *groups = NULL;
	struct ucred cred;
	socklen_t size = sizeof(cred);
	ssize_t n;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		return -errno;
	*ret = (struct peer){ .uid = cred.uid, .pid = cred.pid };
	ret->may_change = !cred.uid || cred.uid == geteuid() || is_admin(&cred.gid, 1);
	if (ret->may_change)
		return 0;
	n = read_groups(fd, &groups);
	if (n < 0)
		return (int)n;
	ret->may_change = is_admin(groups, (size_t)n);
	return 0;
}

int give_to_readers(int fd)
{
	struct stat st;
	gid_t readers;

	if (account_group(GROUP_READERS, &readers))
		return 0;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_gid == readers || (st.st_gid && st.st_gid != getegid()))
		return 0;
	return fchown(fd, (uid_t)-1, readers) ? -errno : 0;
}

static const struct needed {
	unsigned capability;
	const char *name;
} needed[] = {
	{ CAP_BPF, "CAP_BPF" },		    /* BPF maps and programs */
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" }, /* network programs, interfaces and routes */
	{ CAP_NET_RAW, "CAP_NET_RAW" },	    /* frames and ICMP messages that the agent sends */
	{ CAP_PERFMON, "CAP_PERFMON" },	    /* tracepoints, and rights that the verifier gives network programs */
};

/* CAP_SYS_ADMIN includes the capabilities that were split off from it. */
static bool stands_in(unsigned capability)
{
	return (capability == CAP_BPF || capability == CAP_PERFMON) &&
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
}

int privileges_check(struct error *err)
{
	char missing[128] = "";

	if (capng_get_caps_process())
		return error_set(err, -EPERM, "the capabilities of the process cannot be read: is /proc mounted?");
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		size_t length = strlen(missing);

		if (!capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability) && !stands_in(needed[i].capability))
			snprintf(missing + length, sizeof(missing) - length, "%s%s", length ? ", " : "",
				 needed[i].name);
	}
	if (!*missing)
		return 0;
	return error_set(
		err, -EPERM,
		"capabilities are missing: %s; start the agent as root or by detnat.service, or give them to its "
		"user: `setpriv --reuid=detnat --regid=detnat --init-groups --inh-caps=-all,+bpf,+net_admin,+net_raw,"
		"+perfmon --ambient-caps=-all,+bpf,+net_admin,+net_raw,+perfmon detnat-agent …`",
		missing);
}

void privileges_drop(void)
{
	uint64_t keep = 0;
	capng_select_t sets = CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT;
	int failed = capng_get_caps_process();

	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		sets |= CAPNG_SELECT_BOUNDS;
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, needed[i].capability))
			keep |= UINT64_C(1) << needed[i].capability;
		else
			keep |= UINT64_C(1) << CAP_SYS_ADMIN;
	}
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned capability = 0; !failed && capability <= CAP_LAST_CAP; capability++)
		if (keep & UINT64_C(1) << capability)
			failed = capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, capability);
	if (failed || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || capng_apply(sets) < 0)
		log_warning("cannot drop capabilities that are not needed: %s", strerror(failed ? EPERM : errno));
}
