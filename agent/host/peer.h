/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is at the other end of the control socket, and what that user may do. To connect at all the socket's mode asks
 * for: root, the agent's own user, or the group `detnat`. Everybody who can connect may read.
 */
#ifndef DETNAT_PEER_H
#define DETNAT_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"

/* Group of the control socket and of the mapping history, and group of those who may change things. */
#define GROUP_READERS "detnat"
#define GROUP_ADMINS  "detnat-admin"

struct peer {
	uid_t uid;
	pid_t pid; /* 0: of another PID namespace */
	bool may_change;
};

/* The user as the kernel noted it at connect(); supplementary groups count. 0 or -errno. */
int peer_of(int fd, struct peer *ret);

/*
 * Gives an open file or directory of the agent's own to the group `detnat`, where there is one and the file is of the
 * group that new files get; a group that the operator chose stays. 0 or -errno.
 */
int give_to_readers(int fd);

#endif
