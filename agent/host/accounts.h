/* SPDX-License-Identifier: BSD-2-Clause */
/* What users of the machine may do here. Thread-safe: the history's thread and the event loop both use it. */
#ifndef DETNAT_ACCOUNTS_H
#define DETNAT_ACCOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/user_groups.h"
#include "base/base.h"
#include "host/unit_groups.h"

/*
 * Whether the user of a service may read a file, or see that it is not there. The user's groups count, those that the
 * unit of the same name gives, and the directories on the path. Asked by root; else true, as for an unknown user.
 */
bool account_may_read(const char *user, const char *path);

/* The groups with which the service of that user runs, those of its unit included. 0 or -errno. */
int account_groups(const char *user, struct unit_groups *ret);

/* The same as account_may_read() with other groups. */
bool account_may_read_with(const char *user, const struct unit_groups *groups, const char *path);

/*
 * The user at the other end of the control socket, and that user's rights. The socket's mode decides who may connect:
 * root, the agent's own user, and the group `detnat`. All of them may read.
 */

/* Group of the control socket and the mapping history. */
#define GROUP_READERS "detnat"

struct peer {
	uid_t uid;
	pid_t pid; /* 0: in another PID namespace */
	bool may_change;
};

/* Reads the user as the kernel recorded it at connect(), with supplementary groups. 0 or -errno. */
int peer_of(int fd, struct peer *ret);

/*
 * Gives an open file or directory of the agent to the group `detnat`, if that exists and the file still has the group
 * of new files; a group that the operator chose is kept. 0 or -errno.
 */
int give_to_readers(int fd);

/* The four capabilities that the agent needs, whatever user it runs as. */

/* Returns -EPERM if one is missing; err names the missing ones and how to grant them. */
int privileges_check(struct error *err);

/*
 * Drops all other capabilities for good, also from the bounding set, in the calling thread and the threads it starts.
 * Everything that needs root is done before: mounts, directories, other users' files.
 */
void privileges_drop(void);

#endif
