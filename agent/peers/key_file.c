/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/key_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "host/paths.h"

/* The command that makes a new key which the agent may read. */
#define MAKE_KEY "`head -c 32 /dev/urandom > %s; chown " AGENT_USER ": %s; chmod 0600 %s`"

void key_forget(void *secret, size_t size)
{
	explicit_bzero(secret, size);
}

static int check(const struct stat *st, const char *path, struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err, -EINVAL, "%s is not a regular file; " MAKE_KEY " makes one", path, path, path,
				 path);
	if (!path_trusts(st->st_uid))
		return error_set(err, -EPERM,
				 "%s belongs to uid %u, which may read the key; `chown " AGENT_USER ": %s`", path,
				 st->st_uid, path);
	if (st->st_mode & 0077)
		return error_set(err, -EPERM, "%s has mode %04o, so others may read the key; `chmod 0600 %s`", path,
				 st->st_mode & 07777, path);
	if (st->st_size != REPLICATION_KEY)
		return error_set(err, -EINVAL,
				 "%s has %lld octets, not %u; " MAKE_KEY
				 " makes a key; copy it to all gateways of the group",
				 path, (long long)st->st_size, REPLICATION_KEY, path, path, path);
	return 0;
}

int key_file_read(const char *path, uint8_t ret_key[static REPLICATION_KEY], struct error *err)
{
	uint8_t key[REPLICATION_KEY + 1];
	_cleanup_close_ int fd = -1;
	struct stat st;
	ssize_t n;
	int r = path_open_secret(path, AGENT_USER, &fd, &st, err);

	if (r == -ENOENT)
		return error_set(err, r,
				 "%s does not exist; copy the key of the other gateways, or make one: " MAKE_KEY, path,
				 path, path, path);
	r = r ? r : check(&st, path, err);
	if (r)
		return r;
	errno = 0;
	n = read(fd, key, sizeof(key));
	if (n == REPLICATION_KEY)
		memcpy(ret_key, key, REPLICATION_KEY);
	else
		r = error_set(err, errno_or(EIO), "%s cannot be read, or has changed meanwhile", path);
	key_forget(key, sizeof(key));
	return r;
}
