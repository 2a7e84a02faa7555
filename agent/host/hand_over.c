/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/hand_over.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int hand_over_hold(int dir)
{
	struct stat st;

	if (fstat(dir, &st))
		return -errno;
	if (st.st_uid && fchown(dir, 0, (gid_t)-1))
		return -errno;
	/* A sticky directory protects the files of each user by itself. */
	if (!(st.st_mode & S_ISVTX) && st.st_mode & 0022 && fchmod(dir, st.st_mode & 07755))
		return -errno;
	return 0;
}

static const char *kind_of(mode_t mode)
{
	return S_ISLNK(mode) ? "a symbolic link" : S_ISDIR(mode) ? "a directory" : S_ISREG(mode) ? "a file" : "special";
}

static int refuse(const struct hand_over *to, const char *name, const struct stat *st, const char *why,
		  struct error *err)
{
	return error_set(err, -EPERM, "%s/%s is %s of uid %u%s, which detnat has not made there; remove it", to->path,
			 name, kind_of(st->st_mode), st->st_uid, why);
}

/* Opens whatever has that name, without following or using it. */
static int look(const struct hand_over *to, const char *name, int *ret_fd, struct stat *ret, struct stat *ret_dir)
{
	_cleanup_close_ int fd = openat(to->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) || fstat(to->dir, ret_dir))
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

int hand_over_file(const struct hand_over *to, const char *name, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st, dir;
	int r = look(to, name, &fd, &st, &dir);

	if (r)
		return r == -ENOENT ? 0 : error_set(err, r, "%s/%s: %s", to->path, name, strerror(-r));
	if (!S_ISREG(st.st_mode))
		return refuse(to, name, &st, "", err);
	if (st.st_nlink != 1)
		return refuse(to, name, &st, " with other names (hard links)", err);
	if (st.st_dev != dir.st_dev)
		return refuse(to, name, &st, " on another file system", err);
	if (st.st_uid == to->uid || !fchownat(fd, "", to->uid, to->gid, AT_EMPTY_PATH))
		return 0;
	return error_set(err, -errno, "%s/%s cannot be given to uid %u: %s", to->path, name, to->uid, strerror(errno));
}

int hand_over_enter(const struct hand_over *to, const char *name, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1, below = -1;
	struct stat st, dir;
	int r = look(to, name, &fd, &st, &dir);

	if (r == -ENOENT)
		return r;
	if (!r && !S_ISDIR(st.st_mode))
		return refuse(to, name, &st, "", err);
	if (!r && st.st_dev != dir.st_dev)
		return refuse(to, name, &st, " on another file system", err);
	if (!r) {
		below = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = below < 0 ? -errno : hand_over_hold(below);
	}
	if (r)
		return error_set(err, r, "%s/%s: %s", to->path, name, strerror(-r));
	*ret_fd = take_fd(below);
	return 0;
}

int hand_over_end(const struct hand_over *to)
{
	struct stat st;

	if (fstat(to->dir, &st))
		return -errno;
	return st.st_uid == to->uid || !fchown(to->dir, to->uid, to->gid) ? 0 : -errno;
}
