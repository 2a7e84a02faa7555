/* SPDX-License-Identifier: BSD-2-Clause */
/* Users and groups of the machine. Thread-safe: the history's thread and the event loop both use it. */
#ifndef DETNAT_ACCOUNTS_H
#define DETNAT_ACCOUNTS_H

#include <sys/types.h>

#include "base/base.h"

/* Room for a user's name; longer ones are truncated. */
#define ACCOUNT_NAME 64

/* All return 0, -ENOENT if there is no such user or group, or another -errno. ret_gid may be NULL. */
int account_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);
int account_group(const char *name, gid_t *ret_gid);
int account_name(uid_t uid, char ret_name[static ACCOUNT_NAME]);

/* Whether a user may read a file, groups and the directories on its path included. Asked by root; else true. */
bool account_may_read(const char *user, const char *path);

#endif
