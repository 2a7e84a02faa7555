// SPDX-License-Identifier: BSD-2-Clause
#include "users.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUPS_MAX   4096
#define RECORD_ROOM  65536U
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+-"

bool user_name_valid(const char *name)
{
	size_t n = strlen(name);

	return n && n <= USER_NAME_MAX && *name != '-' && strspn(name, NAME_LETTERS) == n;
}

/* The group of an account; (gid_t)-1 without one. */
static gid_t primary_group(const char *name, char *room)
{
	struct passwd record, *found = NULL;

	return !getpwnam_r(name, &record, room, RECORD_ROOM, &found) && found ? found->pw_gid : (gid_t)-1;
}

static bool is_member(const gid_t *groups, int n, const char *group, char *room)
{
	struct group record, *found = NULL;

	if (getgrnam_r(group, &record, room, RECORD_ROOM, &found) || !found)
		return false;
	for (int i = 0; i < n; i++)
		if (groups[i] == found->gr_gid)
			return true;
	return false;
}

enum right user_right(const char *name)
{
	gid_t *groups = calloc(GROUPS_MAX, sizeof(*groups));
	char *room = malloc(RECORD_ROOM);
	enum right right = RIGHT_NONE;
	int n = GROUPS_MAX;

	if (groups && room && getgrouplist(name, primary_group(name, room), groups, &n) >= 0) {
		if (is_member(groups, n, GROUP_STATE, room))
			right = RIGHT_STATE;
		else if (is_member(groups, n, GROUP_LOOKUP, room))
			right = RIGHT_LOOKUP;
	}
	free(groups);
	free(room);
	return right;
}
