// SPDX-License-Identifier: BSD-2-Clause
#include "token_file.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/user_groups.h"
#include "base/whole_file.h"

#define FILE_MAX  (1U << 20)
#define DESK_USER "detnat-desk"

static int read_open(const char *path, int fd, struct tokens *ret, struct stat *ret_seen, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	if (fstat(fd, ret_seen))
		return error_set(err, -errno, "%.300s cannot be read: %s", path, strerror(errno));
	if (ret_seen->st_mode & 077)
		return error_set(err, -EPERM, "%.300s may be read or changed by others than its owner; chmod 600 it",
				 path);
	if (ret_seen->st_uid && ret_seen->st_uid != geteuid() && geteuid())
		return error_set(err, -EPERM, "%.300s belongs to another user; give it to that of the desk", path);
	r = file_read(fd, FILE_MAX, &text, &size);
	if (r)
		return error_set(err, r, "%.300s cannot be read: %s", path, strerror(-r));
	return tokens_parse(path, text, size, ret, err);
}

int token_file_read(const char *path, struct tokens *ret, struct stat *ret_seen, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat seen = {};
	int r = 0;

	if (fd >= 0)
		r = read_open(path, fd, ret, &seen, err);
	else if (errno == ENOENT)
		*ret = (struct tokens){};
	else
		return error_set(err, -errno, "%.300s cannot be read: %s", path, strerror(errno));
	if (ret_seen && !r)
		*ret_seen = seen;
	return r;
}

/* As the file is, or as a new one is to be. */
static struct stat owner_of(int dir, const char *name)
{
	struct stat like = { .st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid() };

	if (fstatat(dir, name, &like, AT_SYMLINK_NOFOLLOW) && !geteuid())
		account_user(DESK_USER, &like.st_uid, &like.st_gid);
	like.st_mode = S_IFREG | 0600;
	return like;
}

static int open_directory(const char *path, char copy[static PATH_MAX], char **ret_name, struct error *err)
{
	char other[PATH_MAX];
	int dir;

	if (strlen(path) >= PATH_MAX)
		return error_set(err, -ENAMETOOLONG, "the path of the tokens is too long");
	strcpy(copy, path);
	strcpy(other, path);
	dir = open(dirname(other), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, -errno, "the directory of %.300s cannot be opened: %s", path, strerror(errno));
	*ret_name = basename(copy);
	return dir;
}

int token_file_write(const char *path, const struct tokens *t, struct error *err)
{
	char copy[PATH_MAX], *name;
	_cleanup_close_ int dir = open_directory(path, copy, &name, err);
	_cleanup_free_ char *text = NULL;
	struct stat like;
	size_t size;
	int r;

	if (dir < 0)
		return dir;
	text = tokens_text(t, &size);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	like = owner_of(dir, name);
	r = file_replace(dir, name, text, size, &like, true, NULL);
	return r ? error_set(err, r, "%.300s cannot be written: %s", path, strerror(-r)) : 0;
}

int token_file_lock(const char *path, struct error *err)
{
	char copy[PATH_MAX], *name;
	int dir = open_directory(path, copy, &name, err);

	if (dir >= 0 && flock(dir, LOCK_EX)) {
		int r = -errno;

		close(dir);
		return error_set(err, r, "the directory of %.300s cannot be locked: %s", path, strerror(-r));
	}
	return dir;
}
