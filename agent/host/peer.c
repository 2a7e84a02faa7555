/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/accounts.h"

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
