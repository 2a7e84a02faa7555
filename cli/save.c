// SPDX-License-Identifier: BSD-2-Clause
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static bool is_safe_owner(uid_t uid)
{
	return !uid || uid == geteuid();
}

static int check_directory(int fd, const char *path, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!is_safe_owner(st.st_uid) || (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX)))
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

static int replace(int dir, const char *name, const struct stat *like, const char *text, size_t size)
{
	char temporary[NAME_MAX + 1];
	int fd, r;

	snprintf(temporary, sizeof(temporary), ".%.200s.%d.new", name, (int)getpid());
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, text, size);
	if (!r && (fchown(fd, like->st_uid, like->st_gid) || fchmod(fd, like->st_mode & 07777)))
		r = -errno;
	if (close(fd) && !r)
		r = -errno;
	if (!r && renameat(dir, temporary, dir, name))
		r = -errno;
	if (r)
		unlinkat(dir, temporary, 0);
	return r ? r : fsync(dir) ? -errno : 0;
}

int save_file(const char *path, const char *text, size_t size, struct error *err)
{
	_cleanup_close_ int dir = -1;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct stat like;
	int r;

	if (!*name || !strcmp(name, ".") || !strcmp(name, "..") || strlen(name) > 200)
		return error_set(err, -EINVAL, "%s names no file", path);
	r = open_directory(path, &dir, err);
	if (!r)
		r = check_place(dir, name, path, &like, err);
	if (r)
		return r;
	r = replace(dir, name, &like, text, size);
	return r ? error_set(err, r, "%s cannot be written: %s", path, strerror(-r)) : 0;
}
