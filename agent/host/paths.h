/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths of the configuration, walked name by name so that nobody but root and the agent's own user has a say in where
 * they lead: every directory on the way, and every symbolic link, is theirs, and nobody else may write to it, but for
 * sticky directories such as /tmp.
 */
#ifndef DETNAT_PATHS_H
#define DETNAT_PATHS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"

/* The user that detnat.service runs the agent as. */
#define AGENT_USER "detnat"

/*
 * All return 0 or -errno. Where somebody else could change what the path leads to it is -EPERM, with err naming the
 * part of it, its owner and mode and the command that mends it; else err is empty.
 */

/* Opens an existing file to read it. Who ran the agent by sudo may own it, and groups may write to it. */
int path_open_file(const char *path, int flags, int *ret_fd, struct error *err);

/* Checks what there is of a path, the last name included; what does not exist is no error. */
int path_check(const char *path, struct error *err);

/* The same, and makes the directories that are missing: parents with mode 0755, the last one with the mode given. */
int path_make_directory(const char *path, mode_t mode, struct error *err);

/* Refuses an open file that somebody else owns or may write to; path is what it is called in err. */
int path_check_file(int fd, const char *path, struct error *err);

/* Whether the user is root or the agent's. */
bool path_trusts(uid_t uid);

#endif
