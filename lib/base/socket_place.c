/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/socket_place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

const char *socket_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int socket_directory(const char *path)
{
	int length = (int)(socket_name(path) - path);
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof(dir), "%.*s", length ? length : 1, length ? path : ".") >= (int)sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool socket_names_are_own(int dir)
{
	struct stat st;

	return !fstat(dir, &st) && st.st_uid == geteuid() && (!(st.st_mode & 0022) || st.st_mode & S_ISVTX);
}

bool socket_at(int dir, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", dir, name) <
	       (int)sizeof(ret->sun_path);
}
