// SPDX-License-Identifier: BSD-2-Clause
#include "base/admins.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* A group of thousands of members needs more than the initial room; no real one needs more than the maximum. */
#define FIRST_ROOM 1024U
#define LAST_ROOM  (1U << 24)

static bool admin_group(gid_t *ret)
{
	struct group group, *found = NULL;
	_cleanup_free_ char *room = NULL;
	int r = ERANGE;

	for (size_t size = FIRST_ROOM; r == ERANGE && size <= LAST_ROOM; size *= 4) {
		free(room);
		room = malloc(size);
		r = room ? getgrnam_r(GROUP_ADMINS, &group, room, size, &found) : ENOMEM;
	}
	if (r || !found)
		return false;
	*ret = group.gr_gid;
	return true;
}

bool is_admin_group(gid_t gid)
{
	gid_t admins;

	return admin_group(&admins) && gid == admins;
}

bool is_admin_user(uid_t uid)
{
	struct passwd user, *found = NULL;
	_cleanup_free_ char *room = NULL;
	_cleanup_free_ gid_t *groups = NULL;
	gid_t admins;
	int r = ERANGE, n = 64, room_for;

	if (!admin_group(&admins))
		return false;
	for (size_t size = FIRST_ROOM; r == ERANGE && size <= LAST_ROOM; size *= 4) {
		free(room);
		room = malloc(size);
		r = room ? getpwuid_r(uid, &user, room, size, &found) : ENOMEM;
	}
	if (r || !found)
		return false;
	/* The library says how many there are, if there is no room. */
	do {
		room_for = n;
		free(groups);
		groups = calloc((size_t)n, sizeof(*groups));
	} while (groups && getgrouplist(user.pw_name, user.pw_gid, groups, &n) < 0 && n > room_for);
	for (int i = 0; groups && i < n; i++)
		if (groups[i] == admins)
			return true;
	return false;
}
