// SPDX-License-Identifier: BSD-2-Clause
#include "save.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/user_groups.h"
#include "base/whole_file.h"

/* Those whom the agent lets change its configuration may write its file, too. */
static bool is_safe_owner(uid_t uid)
{
	return !uid || uid == geteuid() || is_admin_user(uid);
}

static bool is_open_to_others(const struct stat *st)
{
	if (st->st_mode & S_ISVTX)
		return false;
	return st->st_mode & S_IWOTH || (st->st_mode & S_IWGRP && !are_admins(&st->st_gid, 1));
}

static int check_directory(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!is_safe_owner(st.st_uid) || is_open_to_others(&st))
		return error_set(
			err, -EPERM,
			"%s: nothing is saved there, as another user owns a directory on the way or may write to it",
			path);
	return 0;
}

/* Opens the directory of a path without links, step by step from the root. */
static int open_directory(const char *path, int *ret, struct error *err)
{
	_cleanup_close_ int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char resolved[PATH_MAX], parent[PATH_MAX], *rest = resolved, *name;
	const char *slash = strrchr(path, '/');
	int r = fd < 0 ? -errno : 0;

	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	if (!realpath(parent, resolved))
		return error_set(err, -errno, "%s: %s", parent, strerror(errno));
	while (!r && (name = strsep(&rest, "/"))) {
		int next;

		if (!*name)
			continue;
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
		close(fd);
		fd = next;
		r = check_directory(fd, path, err);
	}
	if (!r)
		*ret = take_fd(fd);
	return r;
}

/* The mode that the file has, or is to have. */
static int check_place(int dir, const char *name, const char *path, struct stat *ret, struct error *err)
{
	*ret = (struct stat){ .st_mode = 0644, .st_uid = geteuid(), .st_gid = getegid() };
	if (fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (S_ISLNK(ret->st_mode))
		return error_set(err, -ELOOP, "%s is a symbolic link: name the file that it points to", path);
	if (!S_ISREG(ret->st_mode))
		return error_set(err, -EINVAL, "%s is not a regular file", path);
	if (!is_safe_owner(ret->st_uid))
		return error_set(err, -EPERM, "%s belongs to another user", path);
	return 0;
}

static int write_whole(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) ? -errno : 0;
}

/*
 * Owner, group and mode of the file before. A user who is not root owns what he writes; then the group must be kept, or
 * the same users could not read it as before.
 */
static int keep_access(int fd, const struct stat *like, struct error *err)
{
	int r = fchown(fd, like->st_uid, like->st_gid) ? -errno : 0;

	if (r == -EPERM && like->st_uid != geteuid())
		r = fchown(fd, (uid_t)-1, like->st_gid) ? -errno : 0;
	if (r == -EPERM && (like->st_mode >> 3 & 07) == (like->st_mode & 07))
		r = 0;
	if (r == -EPERM)
		return error_set(err, r,
				 "you are not a member of its group (gid %u), which could not read it any more; "
				 "`chgrp detnat` it as root",
				 like->st_gid);
	if (!r && fchmod(fd, like->st_mode & 0777))
		r = -errno;
	return r ? error_set(err, r, "%s", strerror(-r)) : 0;
}

/* What is on the disk is what was meant to be. */
static int read_back(int fd, const char *text, size_t size)
{
	char there[65536];
	size_t at = 0;

	for (;;) {
		ssize_t n = pread(fd, there, sizeof(there), (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return at == size ? 0 : -EIO;
		if ((size_t)n > size - at || memcmp(there, text + at, (size_t)n) != 0)
			return -EIO;
		at += (size_t)n;
	}
}

static int write_beside(int fd, const struct stat *like, const struct save *s, struct error *err)
{
	int r = write_whole(fd, s->text, s->size);

	if (!r)
		r = read_back(fd, s->text, s->size);
	return r ? error_set(err, r, "%s", strerror(-r)) : keep_access(fd, like, err);
}

/* The name of the file beside, .NAME.PID.new; .NAME.PID-N.new where another user's has that. */
static void name_beside(const char *name, unsigned number, char ret[static NAME_MAX + 1])
{
	char more[16] = "";

	if (number)
		snprintf(more, sizeof(more), "-%u", number);
	snprintf(ret, NAME_MAX + 1, ".%.200s.%d%s.new", name, (int)getpid(), more);
}

/* The process that a file beside was of, by its name; 0: it is none. */
static pid_t process_beside(const char *beside, const char *name)
{
	size_t length = strlen(name);
	unsigned number;
	int pid, end = 0;

	if (beside[0] != '.' || strncmp(beside + 1, name, length) != 0)
		return 0;
	beside += 1 + length;
	if (sscanf(beside, ".%d.new%n", &pid, &end) < 1 || !end)
		sscanf(beside, ".%d-%u.new%n", &pid, &number, &end);
	return end && !beside[end] && pid > 0 ? pid : 0;
}

/*
 * Whether the process that wrote a file beside has died: there is none with its number but this one, nor is the file
 * locked, as it would be by one in another container.
 */
static bool is_left(int dir, const char *beside, pid_t pid, const struct stat *like)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (pid != getpid() && (!kill(pid, 0) || errno != ESRCH))
		return false;
	fd = file_open(dir, beside);
	return fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	       (st.st_uid == geteuid() || st.st_uid == like->st_uid) && !flock(fd, LOCK_EX | LOCK_NB);
}

/* Removes what saves of this user that were killed have left. */
static void remove_left(int dir, const char *name, const struct stat *like)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	for (struct dirent *e; d && (e = readdir(d));) {
		pid_t pid = process_beside(e->d_name, name);

		if (pid && is_left(dir, e->d_name, pid, like))
			unlinkat(dir, e->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* So many files of others may have the names that this process would choose. */
#define NAMES_MAX 100

/* A new file beside, locked, so that no other save takes it for one that was left. -errno. */
static int open_beside(int dir, const char *name, char ret[static NAME_MAX + 1])
{
	int fd = -1;

	for (unsigned i = 0; i < NAMES_MAX; i++) {
		name_beside(name, i, ret);
		fd = openat(dir, ret, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0 || errno != EEXIST)
			break;
	}
	if (fd < 0)
		return -errno;
	flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

static int replace(int dir, const char *name, const struct stat *like, const struct save *s, struct error *err)
{
	char temporary[NAME_MAX + 1], path[PATH_MAX];
	const char *slash = strrchr(s->path, '/');
	_cleanup_close_ int fd = -1;
	int r;

	remove_left(dir, name, like);
	fd = open_beside(dir, name, temporary);
	if (fd == -EACCES)
		return error_set(err, -EACCES,
				 "you may not write to its directory; members of " GROUP_ADMINS
				 " may write to /etc/detnat");
	if (fd < 0)
		return error_set(err, fd, "%s", strerror(-fd));
	snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - s->path) + 1 : 0, s->path, temporary);
	r = write_beside(fd, like, s, err);
	if (!r && s->check)
		r = s->check(path, s->arg, err);
	if (!r && renameat(dir, temporary, dir, name))
		r = error_set(err, -errno, "%s", strerror(errno));
	if (r)
		unlinkat(dir, temporary, 0);
	return r ? r : fsync(dir) ? error_set(err, -errno, "%s", strerror(errno)) : 0;
}

int save_file(const struct save *s, struct error *err)
{
	_cleanup_close_ int dir = -1;
	const char *slash = strrchr(s->path, '/'), *name = slash ? slash + 1 : s->path;
	struct error why = { 0 };
	struct stat like;
	int r;

	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > 200)
		return error_set(err, -EINVAL, "%s names no file", s->path);
	r = open_directory(s->path, &dir, err);
	if (!r)
		r = check_place(dir, name, s->path, &like, err);
	if (r)
		return r;
	r = replace(dir, name, &like, s, &why);
	return r ? error_set(err, r, "%s cannot be written: %s", s->path, why.text) : 0;
}
