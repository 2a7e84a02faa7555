/* SPDX-License-Identifier: BSD-2-Clause */
/* The users that the reverse proxy names in X-Remote-User, and their rights by the groups of the system (NSS). */
#ifndef DETNAT_DESK_USERS_H
#define DETNAT_DESK_USERS_H

#include <stdbool.h>

#include "tenants.h"

/*
 * Members may look up who it was, and see the history; with the name of a tenant behind it, they may look up its
 * subscribers alone. Members of the second one see the state of the gateway without persons; those of the third all.
 */
#define GROUP_LOOKUP "detnat-lea"
#define GROUP_STATE  "detnat-state"
#define GROUP_ALL    "detnat"

#define USER_NAME_MAX 64U

/* A bit each. */
enum right { RIGHT_LOOKUP = 1, RIGHT_HISTORY = 2, RIGHT_STATE = 4, RIGHT_PERSONS = 8, RIGHT_ALL = 15 };

struct user_rights {
	unsigned may;		  /* 0: nothing */
	struct tenants_seen seen; /* of look-ups */
};

/* 1 to 64 letters, digits and ._@+-, of which the first is no dash. */
bool user_name_valid(const char *name);

/* What the groups of a user permit, which need not have an account. Thread-safe. */
void user_rights(const char *name, struct user_rights *ret);

#endif
