// SPDX-License-Identifier: BSD-2-Clause
#include "base/user_groups.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* A group of thousands of members needs more than the initial room; no real one needs more than the maximum. */
#define FIRST_ROOM 1024U
#define LAST_ROOM  (1U << 24)

static int outcome(int r, const void *found)
{
	/* Some name services have their own ways to report an unknown name. */
	if (r == ESRCH || r == EBADF || r == EPERM)
		return -ENOENT;
	return r ? -r : found ? 0 : -ENOENT;
}

/* By name, or by uid if that is NULL. The texts of *ret are in *ret_room. */
static int find_user(const char *name, uid_t uid, struct passwd *ret, char **ret_room)
{
	struct passwd *found = NULL;
	int r = ERANGE;

	*ret_room = NULL;
	for (size_t size = FIRST_ROOM; r == ERANGE && size <= LAST_ROOM; size *= 4) {
		free(*ret_room);
		*ret_room = malloc(size);
		if (!*ret_room)
			return -ENOMEM;
		r = name ? getpwnam_r(name, ret, *ret_room, size, &found)
			 : getpwuid_r(uid, ret, *ret_room, size, &found);
	}
	return outcome(r, found);
}

int account_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
	_cleanup_free_ char *room = NULL;
	struct passwd user;
	int r = find_user(name, 0, &user, &room);

	if (r)
		return r;
	*ret_uid = user.pw_uid;
	if (ret_gid)
		*ret_gid = user.pw_gid;
	return 0;
}

int account_name(uid_t uid, char ret_name[static ACCOUNT_NAME])
{
	_cleanup_free_ char *room = NULL;
	struct passwd user;
	int r = find_user(NULL, uid, &user, &room);

	if (!r)
		snprintf(ret_name, ACCOUNT_NAME, "%s", user.pw_name);
	return r;
}

int account_group(const char *name, gid_t *ret_gid)
{
	struct group group, *found = NULL;
	_cleanup_free_ char *room = NULL;
	int r = ERANGE;

	for (size_t size = FIRST_ROOM; r == ERANGE && size <= LAST_ROOM; size *= 4) {
		free(room);
		room = malloc(size);
		if (!room)
			return -ENOMEM;
		r = getgrnam_r(name, &group, room, size, &found);
	}
	r = outcome(r, found);
	if (!r)
		*ret_gid = group.gr_gid;
	return r;
}

bool are_admins(const gid_t *groups, size_t n)
{
	gid_t admins;

	if (account_group(GROUP_ADMINS, &admins))
		return false;
	for (size_t i = 0; i < n; i++)
		if (groups[i] == admins)
			return true;
	return false;
}

bool is_admin_user(uid_t uid)
{
	_cleanup_free_ char *room = NULL;
	_cleanup_free_ gid_t *groups = NULL;
	struct passwd user;
	int n = 64, room_for;

	if (find_user(NULL, uid, &user, &room))
		return false;
	/* The library says how many there are, if there is no room. */
	do {
		room_for = n;
		free(groups);
		groups = calloc((size_t)n, sizeof(*groups));
	} while (groups && getgrouplist(user.pw_name, user.pw_gid, groups, &n) < 0 && n > room_for);
	return groups && are_admins(groups, (size_t)n);
}
