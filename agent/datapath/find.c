/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds a datapath by the configuration file that it was created from, for a start whose file cannot be read. A
 * symbolic link to the file is beside the pins.
 */
#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <string.h>
#include <sys/stat.h>

#include "datapath/bpffs.h"
#include "datapath/datapath_private.h"

#define LINK_NAME DATAPATH_NOTE

/* How deep to search a bpffs for pin paths. */
#define MAX_DEPTH 3

/* Makes a path absolute without following links, as the file may be gone. */
static bool make_absolute(const char *path, char ret[static PATH_MAX])
{
	char dir[PATH_MAX];

	if (*path == '/')
		return snprintf(ret, PATH_MAX, "%s", path) < PATH_MAX;
	return getcwd(dir, sizeof(dir)) && snprintf(ret, PATH_MAX, "%s/%s", dir, path) < PATH_MAX;
}

void datapath_note_config(const struct datapath *d, const char *config_path)
{
	char target[PATH_MAX], name[PATH_MAX], there[PATH_MAX];
	ssize_t n;

	if (!make_absolute(config_path, target) ||
	    snprintf(name, sizeof(name), "%s/" LINK_NAME, d->pin_dir) >= (int)sizeof(name))
		return;
	n = readlink(name, there, sizeof(there) - 1);
	if (n >= 0) {
		there[n] = '\0';
		if (!strcmp(there, target))
			return;
		unlink(name);
	}
	/* Without it, only a start whose file cannot be read fails to find the pins. */
	if (symlink(target, name))
		return;
}

struct search {
	const char *config; /* absolute */
	const char *dir;    /* where to look */
	unsigned depth;
	char *ret;
};

static int visit(const char *name, void *arg)
{
	const struct search *s = arg;
	char path[PATH_MAX], there[PATH_MAX], link[PATH_MAX];
	struct search deeper = *s;
	struct stat st;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/%s", s->dir, name) >= (int)sizeof(path) || lstat(path, &st) ||
	    !S_ISDIR(st.st_mode))
		return 0;
	if (snprintf(link, sizeof(link), "%s/" LINK_NAME, path) >= (int)sizeof(link))
		return 0;
	n = readlink(link, there, sizeof(there) - 1);
	if (n > 0) {
		there[n] = '\0';
		if (!strcmp(there, s->config)) {
			strcpy(s->ret, s->dir);
			return 1;
		}
	}
	deeper.dir = path;
	deeper.depth++;
	return deeper.depth < MAX_DEPTH ? directory_visit(path, visit, &deeper) > 0 : 0;
}

int datapath_find(const char *config_path, char ret_pin_path[static PATH_MAX])
{
	char config[PATH_MAX];
	struct search s = { .config = config, .ret = ret_pin_path };
	const struct mntent *m;
	FILE *mounts;
	bool found = false;

	if (!make_absolute(config_path, config))
		return -ENAMETOOLONG;
	mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return -errno;
	while (!found && (m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, "bpf") != 0)
			continue;
		s.dir = m->mnt_dir;
		found = directory_visit(s.dir, visit, &s) > 0;
	}
	endmntent(mounts);
	return found ? 0 : -ENOENT;
}
