/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration file. It is read whole, up to a size, and only if it is a regular one: opening or reading never
 * blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fnv.h"
#include "config/fields.h"
#include "host/paths.h"

/* Never 0, which means "no file". */
static uint64_t hash_of(const char *text, size_t size)
{
	uint64_t hash = fnv1a(FNV1A_BEGIN, text, size);

	return hash ? hash : 1;
}

/* Opens a regular file and refuses everything else: a FIFO would block, a device might never end. */
static int open_regular(const char *path, int *ret_fd, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct error why;
	struct stat st;
	int r = path_open_rules(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, &why);

	if (r)
		return config_refuse(err, r, path, 0, "", *why.text ? "%s" : "cannot be opened: %s",
				     *why.text ? why.text : strerror(-r));
	if (fstat(fd, &st) < 0)
		return config_refuse(err, -errno, path, 0, "", "cannot be opened: %s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return config_refuse(err, -EISDIR, path, 0, "", "is a directory, not a file");
	if (!S_ISREG(st.st_mode))
		return config_refuse(err, -EINVAL, path, 0, "", "is not a regular file");
	if (st.st_size > CONFIG_MAX_SIZE)
		return config_refuse(err, -EFBIG, path, 0, "", "is longer than %u octets", CONFIG_MAX_SIZE);
	*ret_fd = take_fd(fd);
	return 0;
}

/* Reads to the end of the file, which may have grown since fstat(). */
static int read_whole(int fd, const char *path, char **ret, size_t *ret_size, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (size == room) {
			char *more;

			room = room ? room * 2 : 16384;
			more = realloc(text, room);
			if (!more)
				return config_refuse(err, -ENOMEM, path, 0, "", "no memory to read it");
			text = more;
		}
		n = read(fd, text + size, room - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			/* Whatever the reason, another attempt does not help. */
			return config_refuse(err, -EINVAL, path, 0, "", "cannot be read: %s", strerror(errno));
		if (n == 0)
			break;
		size += (size_t)n;
		if (size > CONFIG_MAX_SIZE)
			return config_refuse(err, -EFBIG, path, 0, "", "is longer than %u octets", CONFIG_MAX_SIZE);
	}
	*ret = take_pointer(text);
	*ret_size = size;
	return 0;
}

static int read_file(const char *path, char **ret, size_t *ret_size, struct error *err)
{
	_cleanup_close_ int fd = -1;
	int r = open_regular(path, &fd, err);

	return r ? r : read_whole(fd, path, ret, ret_size, err);
}

int config_hash(const char *path, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	struct error err = { 0 };
	size_t size;
	int r = read_file(path, &text, &size, &err);

	if (!r)
		*ret = hash_of(text, size);
	return r;
}

int config_load(const char *path, struct config **ret, uint64_t *ret_hash, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = read_file(path, &text, &size, err);

	if (r == 0)
		r = config_parse(text, size, path, ret, err);
	if (r < 0)
		return r;
	config_drop_ended(*ret, time(NULL), path);
	if (ret_hash)
		*ret_hash = hash_of(text, size);
	return 0;
}
