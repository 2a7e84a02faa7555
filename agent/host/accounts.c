/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/accounts.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

int account_groups(const char *user, struct unit_groups *ret)
{
	gid_t own[UNIT_GROUPS], gid;
	char unit[ACCOUNT_NAME + sizeof(".service")];
	int n = UNIT_GROUPS;
	uid_t uid;
	int r = account_user(user, &uid, &gid);

	*ret = (struct unit_groups){ 0 };
	if (r)
		return r;
	snprintf(unit, sizeof(unit), "%s.service", user);
	unit_groups_read("", unit, ret);
	getgrouplist(user, gid, own, &n);
	for (int i = 0; i < n && i < (int)UNIT_GROUPS; i++)
		unit_groups_add(ret, own[i]);
	return 0;
}

bool account_may_read_with(const char *user, const struct unit_groups *groups, const char *path)
{
	uid_t uid;
	gid_t gid;
	int status;
	pid_t child;

	if (geteuid() || account_user(user, &uid, &gid) || !uid)
		return true;
	child = fork();
	if (!child)
		_exit(setgroups(groups->n, groups->gid) || setgid(gid) || setuid(uid) || !access(path, R_OK) ||
				      errno == ENOENT
			      ? 0
			      : 1);
	return child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) || !WEXITSTATUS(status);
}

bool account_may_read(const char *user, const char *path)
{
	struct unit_groups groups;

	return account_groups(user, &groups) || account_may_read_with(user, &groups, path);
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
	ret->may_change = !cred.uid || cred.uid == geteuid() || are_admins(&cred.gid, 1);
	if (ret->may_change)
		return 0;
	n = read_groups(fd, &groups);
	if (n < 0)
		return (int)n;
	ret->may_change = are_admins(groups, (size_t)n);
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
