/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/bpffs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/log.h"
#include "base/rights.h"
#include "host/paths.h"

#define BPFFS_ROOT "/sys/fs/bpf"
/* The source of a mount, which identifies mounts made here. */
#define MOUNT_SOURCE "detnat"
/* The inode of the first PID namespace (PROC_PID_INIT_INO). */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU

bool bpffs_is(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* Shortens a path in place to its deepest existing ancestor, which may be the path itself. */
static void existing_ancestor(char *path)
{
	struct stat st;

	while (stat(path, &st)) {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path) {
			strcpy(path, "/");
			return;
		}
		*slash = '\0';
	}
}

static int make_directory(const char *path, struct error *err)
{
	struct error why;
	int r = path_make_directory(path, 0700, &why);

	if (r && *why.text)
		return error_set(err, r, "%s", why.text);
	if (r == -EPERM)
		return error_set(err, r, "%s: the directory cannot be created; names on a bpffs must not contain dots",
				 path);
	return r ? error_set(err, r, "%s: the directory cannot be created: %s", path, strerror(-r)) : 0;
}

static int visit_any(const char *name, void *arg)
{
	return -ENOTEMPTY;
}

int bpffs_check_mount_point(const char *path, struct error *err)
{
	if (directory_visit(path, visit_any, NULL) != -ENOTEMPTY)
		return 0;
	return error_set(err, -ENOTEMPTY,
			 "%s is no bpffs and not empty, and a bpffs mounted there would hide its contents; name an "
			 "empty directory",
			 path);
}

static int mount_bpffs(const char *path, struct error *err)
{
	if (mount(MOUNT_SOURCE, path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return error_set(err, -errno, "%s: a bpffs cannot be mounted there: %s", path, strerror(errno));
	log_info("mounted a bpffs at %s", path);
	return 0;
}

int bpffs_prepare(const char *path, struct error *err)
{
	char ancestor[PATH_MAX];
	int r;

	if (path[0] != '/' || strlen(path) >= sizeof(ancestor))
		return error_set(err, -EINVAL, "%s: the pin path must be absolute and shorter than %d octets", path,
				 PATH_MAX);
	strcpy(ancestor, path);
	existing_ancestor(ancestor);
	if (!bpffs_is(ancestor)) {
		bool standard = !strncmp(path, BPFFS_ROOT "/", strlen(BPFFS_ROOT "/"));
		const char *point = standard ? BPFFS_ROOT : path;

		r = standard ? 0 : make_directory(path, err);
		if (!r)
			r = bpffs_check_mount_point(point, err);
		if (!r)
			r = mount_bpffs(point, err);
		if (r)
			return r;
	}
	return make_directory(path, err);
}

/* A line of mountinfo. */
struct mounted {
	dev_t dev;
	const char *point, *type, *source;
	bool shared; /* it has peers, perhaps in other mount namespaces, or a master there */
};

static bool parse_mount(char *line, struct mounted *ret)
{
	unsigned major, minor;
	char *rest, *field;

	if (sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2)
		return false;
	field = strtok_r(line, " ", &rest);
	for (int i = 1; field && i <= 4; i++)
		field = strtok_r(NULL, " ", &rest);
	*ret = (struct mounted){ .dev = makedev(major, minor), .point = field };
	for (; field && strcmp(field, "-"); field = strtok_r(NULL, " ", &rest))
		ret->shared |= !strncmp(field, "shared:", 7) || !strncmp(field, "master:", 7);
	ret->type = field ? strtok_r(NULL, " ", &rest) : NULL;
	ret->source = ret->type ? strtok_r(NULL, " ", &rest) : NULL;
	return ret->source;
}

static bool is_any(const struct mounted *m, const char *point)
{
	return true;
}

/* Made here, at that point. */
static bool is_own(const struct mounted *m, const char *point)
{
	return !strcmp(m->point, point) && !strcmp(m->source, MOUNT_SOURCE);
}

/* In a container: whether its host has it, too; see docs/guide/INSTALL.md. */
static bool is_from_outside(const struct mounted *m, const char *point)
{
	return m->shared && strcmp(m->source, MOUNT_SOURCE) != 0;
}

/* Whether a bpffs of that device is listed that is of a kind. */
static int mount_listed(const char *list, dev_t dev, bool (*is)(const struct mounted *m, const char *point),
			const char *point)
{
	FILE *f = fopen(list, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int found = 0;

	if (!f)
		return -errno;
	while (!found && getline(&line, &size, f) > 0) {
		struct mounted m;

		found = parse_mount(line, &m) && m.dev == dev && !strcmp(m.type, "bpf") && is(&m, point);
	}
	fclose(f);
	return found;
}

bool bpffs_is_private(const char *path)
{
	struct stat pins, pids;
	bool contained = !stat("/proc/self/ns/pid", &pids) && pids.st_ino != INITIAL_PID_NAMESPACE;

	/*
	 * Comparing mount namespaces would not do: a service with a private /tmp still sees its host's /sys. In a
	 * container, process 1 is the container's own, whose mounts end with it.
	 */
	return !stat(path, &pins) &&
	       mount_listed("/proc/1/mountinfo", pins.st_dev, contained ? is_from_outside : is_any, NULL) == 0;
}

/* The kernel creates files of its own in each bpffs; their names contain a dot. */
static int visit_pin(const char *name, void *arg)
{
	return strchr(name, '.') ? 0 : -ENOTEMPTY;
}

void bpffs_release(const char *path)
{
	/* The mount, and the directory that holds it, are root's where the pins are another's; else none was made. */
	_cleanup_rights_ struct rights was = rights_full();
	_cleanup_rights_ struct rights lesser = path_rights_beside(path);
	struct stat pins;

	if (lesser.set || !bpffs_is(path))
		return;
	if (!stat(path, &pins) && mount_listed("/proc/self/mountinfo", pins.st_dev, is_own, path) > 0) {
		/* Busy or not empty: something else is using it. */
		if (!directory_visit(path, visit_pin, NULL) && !umount2(path, UMOUNT_NOFOLLOW))
			rmdir(path);
	}
}

int bpffs_lock(const char *path, int *ret_fd, struct error *err)
{
	for (;;) {
		_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct stat locked, there;

		if (fd < 0)
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
		if (flock(fd, LOCK_EX | LOCK_NB)) {
			if (errno != EWOULDBLOCK)
				return error_set(err, -errno, "%s: cannot be locked: %s", path, strerror(errno));
			return error_set(
				err, -EBUSY,
				"%s: another agent runs on these pins; stop it first, or name another pin_path", path);
		}
		/* A detach may have removed the directory between the two calls. */
		if (fstat(fd, &locked) || stat(path, &there))
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
		if (locked.st_ino == there.st_ino && locked.st_dev == there.st_dev) {
			*ret_fd = take_fd(fd);
			return 0;
		}
	}
}

static void close_directory(DIR **d)
{
	if (*d)
		closedir(*d);
}

int directory_visit_at(int dir, int (*visit)(const char *name, void *arg), void *arg)
{
	/* A descriptor of its own, as the position is part of one. */
	_cleanup_close_ int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__attribute__((cleanup(close_directory))) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return -errno;
	take_fd(fd);
	while (!r && (entry = readdir(d))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = visit(entry->d_name, arg);
	}
	return r;
}

int directory_visit(const char *path, int (*visit)(const char *name, void *arg), void *arg)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : directory_visit_at(fd, visit, arg);
}

struct removal {
	int dir;
	bool (*keep)(const char *name); /* NULL: nothing is kept */
	bool kept;
};

static int remove_pin(const char *name, void *arg)
{
	struct removal *r = arg;

	if (r->keep && r->keep(name)) {
		r->kept = true;
		return 0;
	}
	return unlinkat(r->dir, name, 0) && errno != ENOENT ? -errno : 0;
}

static int remove_below(int dir, const char *name, bool (*keep)(const char *name))
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct removal removal = { .dir = fd, .keep = keep };
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	/* A link, or something else that no agent has made: the name alone goes. */
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return unlinkat(dir, name, 0) && errno != ENOENT ? -errno : 0;
	r = fd < 0 ? -errno : directory_visit_at(fd, remove_pin, &removal);
	if (r || removal.kept)
		return r;
	return unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT ? -errno : 0;
}

int bpffs_remove_layout(int dir, const char *name)
{
	return remove_below(dir, name, NULL);
}

int bpffs_remove_others(const char *path, bool (*keep)(const char *name))
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);

	_cleanup_close_ int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	return remove_below(dir, slash + 1, keep);
}

int bpffs_remove_directory(const char *path)
{
	return bpffs_remove_others(path, NULL);
}
