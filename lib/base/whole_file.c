/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

int file_open(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
}

const char *file_why(int r)
{
	return r == -EBADF ? "it is no regular file" : r == -ELOOP ? "it is a symbolic link" : strerror(-r);
}

int file_read(int fd, uint64_t max, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	if ((uint64_t)st.st_size > max)
		return -EFBIG;
	room = (size_t)st.st_size + 1;
	text = malloc(room);
	if (!text)
		return -ENOMEM;
	while (size < room) {
		ssize_t n = pread(fd, text + size, room - size, (off_t)size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			break;
		size += n > 0 ? (size_t)n : 0;
	}
	*ret = take_pointer(text);
	*ret_size = size;
	return 0;
}

int file_write(int fd, const void *data, size_t size, uint64_t at)
{
	const char *from = data;

	while (size) {
		ssize_t n = pwrite(fd, from, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* Only root may give a file away; another's files are his already. */
static int make_like(int fd, const struct stat *like)
{
	if (!like)
		return 0;
	if (fchown(fd, like->st_uid, like->st_gid) && errno != EPERM)
		return -errno;
	return fchmod(fd, like->st_mode & 07777) ? -errno : 0;
}

int file_replace(int dir, const char *name, const void *data, size_t size, const struct stat *like, bool sync,
		 int *ret_fd)
{
	char beside[NAME_MAX + 1];
	_cleanup_close_ int fd = -1;
	int r;

	snprintf(beside, sizeof(beside), "%.200s.new", name);
	/* What a crash left of another attempt. */
	unlinkat(dir, beside, 0);
	fd = openat(dir, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -errno;
	r = make_like(fd, like);
	r = r ? r : file_write(fd, data, size, 0);
	if (!r && sync && fsync(fd))
		r = -errno;
	if (!r && (renameat(dir, beside, dir, name) || (sync && fsync(dir))))
		r = -errno;
	if (r) {
		unlinkat(dir, beside, 0);
		return r;
	}
	if (ret_fd)
		*ret_fd = take_fd(fd);
	return 0;
}
