/* SPDX-License-Identifier: BSD-2-Clause */
/* Users and groups of the machine, and who may change the configuration: root and detnat-admin. Thread-safe. */
#ifndef DETNAT_USER_GROUPS_H
#define DETNAT_USER_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define GROUP_ADMINS "detnat-admin"

/* Room for a user's name; longer ones are truncated. */
#define ACCOUNT_NAME 64

/* All return 0, -ENOENT if there is no such user or group, or another -errno. ret_gid may be NULL. */
int account_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);
int account_group(const char *name, gid_t *ret_gid);
int account_name(uid_t uid, char ret_name[static ACCOUNT_NAME]);

/* Whether one of the groups is detnat-admin. */
bool are_admins(const gid_t *groups, size_t n);

/* Whether the user is a member now, by the primary group or another one. */
bool is_admin_user(uid_t uid);

#endif
