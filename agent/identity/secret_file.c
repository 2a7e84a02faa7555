/* SPDX-License-Identifier: BSD-2-Clause */
#include "identity/secret_file.h"

#include <string.h>
#include <sys/stat.h>

#include "base/user_groups.h"
#include "host/paths.h"

/* Whoever can read it can forge leases. */
static int check(const struct stat *st, const char *path, struct error *err)
{
	uid_t own;

	if (!S_ISREG(st->st_mode))
		return error_set(err, -EINVAL, "%s is not a regular file", path);
	if (!path_trusts(st->st_uid) && (account_user(LEASES_USER, &own, NULL) || own != st->st_uid))
		return error_set(err, -EPERM,
				 "%s belongs to uid %u, who may read the secret; `chown " LEASES_USER ": %s`", path,
				 st->st_uid, path);
	if (st->st_mode & 0077)
		return error_set(err, -EPERM, "%s has mode %04o, so others may read or change it; `chmod 0600 %s`",
				 path, st->st_mode & 07777, path);
	return 0;
}

/* The text without its newline. */
static int take(const char *path, char *text, size_t size, struct radius_secret *ret, struct error *err)
{
	size -= size && text[size - 1] == '\n';
	size -= size && text[size - 1] == '\r';
	if (!size || size > RADIUS_SECRET || memchr(text, '\n', size) || memchr(text, '\0', size))
		return error_set(err, -EINVAL, "%s must have one line with the secret, 1 to %u octets", path,
				 RADIUS_SECRET);
	memcpy(ret->octet, text, size);
	ret->size = size;
	return 0;
}

int secret_file_read(const char *path, struct radius_secret *ret, struct error *err)
{
	char text[RADIUS_SECRET + 3];
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;
	int r = path_open_secret(path, LEASES_USER, &fd, &st, err);

	if (r == -ENOENT)
		return error_set(
			err, r,
			"%s does not exist; write the secret of the access servers into it, `chown " LEASES_USER
			": %s` and `chmod 0600 %s`",
			path, path, path);
	r = r ? r : check(&st, path, err);
	if (r)
		return r;
	n = read(fd, text, sizeof(text));
	r = n < 0 ? error_set(err, -errno, "%s cannot be read: %s", path, strerror(errno))
		  : take(path, text, (size_t)n, ret, err);
	explicit_bzero(text, sizeof(text));
	return r;
}
