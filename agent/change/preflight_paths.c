/* SPDX-License-Identifier: BSD-2-Clause */
#include "change/preflight.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "datapath/bpffs.h"
#include "history/history_record.h"
#include "host/paths.h"

/* Removes the last component of a path in place; "/" stays. */
static void cut_name(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		slash[slash == path] = '\0';
}

/* Whether root may make directories in it. The kernel's own file systems refuse that whatever their modes. */
static int check_writable(const char *dir)
{
	struct statfs fs;
	struct stat st;

	if (stat(dir, &st) || statfs(dir, &fs))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC)
		return -EPERM;
	return access(dir, W_OK | X_OK) ? -errno : 0;
}

/* Whether a directory exists, or can be made in its closest ancestor that does. */
static int check_directory(const char *path, char at[static PATH_MAX])
{
	struct stat st;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(at, path);
	while (stat(at, &st)) {
		if (errno != ENOENT || !strcmp(at, "/"))
			return -errno;
		cut_name(at);
	}
	return check_writable(at);
}

/* Whether the existing files of the history can be written. */
static int check_history(const char *dir, char at[static PATH_MAX], struct error *why)
{
	static const char *const files[] = { HISTORY_FILE, HISTORY_HEAD_FILE };

	why->text[0] = '\0';

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct stat st;
		int r;

		if (snprintf(at, PATH_MAX, "%s/%s", dir, files[i]) >= PATH_MAX)
			return -ENAMETOOLONG;
		if (lstat(at, &st)) {
			if (errno != ENOENT)
				return -errno;
			continue;
		}
		if (!S_ISREG(st.st_mode))
			return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
		r = path_check(at, why);
		if (r)
			return r;
		if (access(at, W_OK))
			return -errno;
	}
	return 0;
}

/* Under the default root of pins the agent mounts a bpffs first. */
static bool is_under_bpffs_root(const char *path)
{
	static const char root[] = "/sys/fs/bpf/";

	return !strncmp(path, root, strlen(root));
}

int check_paths(const struct config *c, const char *name, struct error *err)
{
	_cleanup_free_ char *socket_dir = strdup(c->control_socket);

	if (!socket_dir)
		return error_set(err, -ENOMEM, "out of memory");
	cut_name(socket_dir);

	const struct {
		const char *key;
		const char *path;
		unsigned line;
	} directories[] = {
		{ "control_socket", socket_dir, c->control_socket_line },
		{ "pin_path", is_under_bpffs_root(c->pin_path) ? NULL : c->pin_path, c->pin_path_line },
		{ "state_dir", c->state_dir, c->state_dir_line },
	};

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		const char *path = directories[i].path;
		struct error why = { 0 };
		char at[PATH_MAX];
		int r = path ? path_check(path, &why) : 0;

		if (!r && path && !strcmp(directories[i].key, "pin_path") && !bpffs_is(path))
			r = bpffs_check_mount_point(path, &why);
		if (r && *why.text)
			return config_refuse(err, r, name, directories[i].line, directories[i].key, "%s", why.text);
		r = path ? check_directory(path, at) : 0;

		if (r && strcmp(path, at) != 0)
			return config_refuse(err, r, name, directories[i].line, directories[i].key,
					     "the directory %s cannot be made in %s: %s", path, at, strerror(-r));
		if (r)
			return config_refuse(err, r, name, directories[i].line, directories[i].key,
					     "the directory %s cannot be used: %s", path, strerror(-r));
	}

	char at[PATH_MAX];
	struct error why;
	int r = check_history(c->state_dir, at, &why);

	if (r && *why.text)
		return config_refuse(err, r, name, c->state_dir_line, "state_dir", "%s", why.text);

	if (r)
		return config_refuse(err, r, name, c->state_dir_line, "state_dir", "%s cannot be used: %s", at,
				     r == -EINVAL ? "it is not a regular file" : strerror(-r));
	return 0;
}
