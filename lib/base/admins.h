/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may change the configuration: root, and the members of detnat-admin. Thread-safe. */
#ifndef DETNAT_ADMINS_H
#define DETNAT_ADMINS_H

#include <stdbool.h>
#include <sys/types.h>

#define GROUP_ADMINS "detnat-admin"

bool is_admin_group(gid_t gid);

/* Whether the user is a member now, by the primary group or another one. */
bool is_admin_user(uid_t uid);

#endif
