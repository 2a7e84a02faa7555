/* SPDX-License-Identifier: BSD-2-Clause */
/* The users that the reverse proxy names in X-Remote-User, and their rights by the groups of the system (NSS). */
#ifndef DETNAT_DESK_USERS_H
#define DETNAT_DESK_USERS_H

#include <stdbool.h>

/* Members may look up who it was; members of the second one see the state of the gateway, too. */
#define GROUP_LOOKUP "detnat-lea"
#define GROUP_STATE  "detnat"

#define USER_NAME_MAX 64U

enum right { RIGHT_NONE, RIGHT_LOOKUP, RIGHT_STATE };

/* 1 to 64 letters, digits and ._@+-, of which the first is no dash. */
bool user_name_valid(const char *name);

/* What the groups of a user permit, which need not have an account. Thread-safe. */
enum right user_right(const char *name);

#endif
