// SPDX-License-Identifier: BSD-2-Clause
#include "users.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
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

/* The tenants of groups such as detnat-lea-ispA. */
static void add_tenants(const gid_t *groups, int n, char *room, struct tenants_seen *ret)
{
	size_t size = strlen(GROUP_LOOKUP "-");
	struct group record, *found;

	for (int i = 0; i < n && ret->n < TENANTS_MAX; i++) {
		found = NULL;
		if (getgrgid_r(groups[i], &record, room, RECORD_ROOM, &found) || !found)
			continue;
		if (!strncmp(record.gr_name, GROUP_LOOKUP "-", size) && label_valid(record.gr_name + size))
			snprintf(ret->name[ret->n++], LABEL_TEXT, "%s", record.gr_name + size);
	}
}

static void rights_by_groups(const gid_t *groups, int n, char *room, struct user_rights *ret)
{
	if (is_member(groups, n, GROUP_ALL, room)) {
		ret->may = RIGHT_ALL;
		return;
	}
	if (is_member(groups, n, GROUP_STATE, room))
		ret->may |= RIGHT_STATE;
	if (is_member(groups, n, GROUP_LOOKUP, room)) {
		ret->may |= RIGHT_LOOKUP | RIGHT_HISTORY;
		return;
	}
	add_tenants(groups, n, room, &ret->seen);
	ret->may |= ret->seen.n ? RIGHT_LOOKUP : 0;
}

void user_rights(const char *name, struct user_rights *ret)
{
	gid_t *groups = calloc(GROUPS_MAX, sizeof(*groups));
	char *room = malloc(RECORD_ROOM);
	int n = GROUPS_MAX;

	*ret = (struct user_rights){};
	if (groups && room && getgrouplist(name, primary_group(name, room), groups, &n) >= 0)
		rights_by_groups(groups, n, room, ret);
	free(groups);
	free(room);
}
