/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user at the other end of the control socket, and what that user may do. The socket's mode decides who may
 * connect: root, the agent's own user, and the group `detnat`. All of them may read.
 */
#ifndef DETNAT_PEER_H
#define DETNAT_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"

/* Group of the control socket and the mapping history, and group whose members may make changes. */
#define GROUP_READERS "detnat"
#define GROUP_ADMINS  "detnat-admin"

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

#endif
