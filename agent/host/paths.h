/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths of the configuration, walked name by name so that only root and the agent's own user control where they lead:
 * they must own every directory and every symbolic link on the way, and no other user may write to those directories,
 * except sticky ones such as /tmp. For root, only root's own links lead anywhere.
 */
#ifndef DETNAT_PATHS_H
#define DETNAT_PATHS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/base.h"
#include "base/rights.h"

/* The user of detnat.service. */
#define AGENT_USER "detnat"

/*
 * All return 0 or -errno. -EPERM if another user could change the target of the path; err then names the part of the
 * path, its owner, its mode and the command that corrects it. For other errors err is empty.
 */

/* Opens an existing file for reading. The user who ran sudo may own it, and groups may write to it. */
int path_open_file(const char *path, int flags, int *ret_fd, struct error *err);

/*
 * The same for the configuration, which a member of detnat-admin may own. Root refuses one that the agent's user can
 * change: it names paths that root follows.
 */
int path_open_rules(const char *path, int flags, int *ret_fd, struct error *err);

/*
 * The same for a file with a secret that a user of detnat's programs needs, who may own it; *ret is its status. Other
 * errors have a text, too, except -ENOENT, with which the caller says how to make the file. err may be NULL.
 */
int path_open_secret(const char *path, const char *user, int *ret_fd, struct stat *ret, struct error *err);

/* Checks the part of a path that exists, the last name included; a missing part is no error. */
int path_check(const char *path, struct error *err);

/*
 * The same, and makes missing directories: parents with mode 0755, the last one with the given mode. -EREMOTE: root
 * was to go on below a directory of another user.
 */
int path_make_directory(const char *path, mode_t mode, struct error *err);

/* The same, and opens the last one for reading. */
int path_open_directory(const char *path, mode_t mode, int *ret_fd, struct error *err);

/*
 * For root, takes the rights of the first other user who owns a part of the path, so that everything at and below it is
 * done with no more than that user's; see base/rights.h. Nothing for others, and if root owns all of it.
 */
struct rights path_rights(const char *path);

/* The same for the directory that a path is in. */
struct rights path_rights_beside(const char *path);

/* Whether this is root, and another user owns a part of the path. */
bool path_is_anothers(const char *path);

/* Refuses an open file that another user owns or may write to; path is its name in err. */
int path_check_file(int fd, const char *path, struct error *err);

/* Whether the user is root or the agent's. */
bool path_trusts(uid_t uid);

#endif
