/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/unit_groups.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/user_groups.h"

#define KEY "SupplementaryGroups="

/* Where files of units are; the first one counts. */
static const char *const directories[] = {
	"/etc/systemd/system.control",	 "/run/systemd/system.control", "/etc/systemd/system", "/run/systemd/system",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system",	"/lib/systemd/system",
};

/* Drop-ins of all directories, each name once. */
struct drop_ins {
	char **path;
	size_t n;
};

void unit_groups_add(struct unit_groups *g, gid_t gid)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->gid[i] == gid)
			return;
	if (g->n < UNIT_GROUPS)
		g->gid[g->n++] = gid;
}

static void add_named(const char *name, struct unit_groups *g)
{
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	gid_t gid;

	if (!account_group(name, &gid))
		unit_groups_add(g, gid);
	else if (!*end && number < (gid_t)-1)
		unit_groups_add(g, (gid_t)number);
}

/* The value of a line; an empty one takes back what was before. */
static void take(char *value, struct unit_groups *g)
{
	static const char space[] = " \t\r\n\"'";
	char *rest, *name = strtok_r(value, space, &rest);

	if (!name)
		g->n = 0;
	for (; name; name = strtok_r(NULL, space, &rest))
		add_named(name, g);
}

static void read_file(const char *path, struct unit_groups *g)
{
	FILE *in = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!in)
		return;
	while (getline(&line, &size, in) >= 0) {
		char *text = line + strspn(line, " \t");

		if (!strncmp(text, KEY, strlen(KEY)))
			take(text + strlen(KEY), g);
	}
	fclose(in);
}

static const char *name_of(const char *path)
{
	return strrchr(path, '/') + 1;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(name_of(*(char *const *)a), name_of(*(char *const *)b));
}

static bool is_overridden(const struct drop_ins *d, const char *path)
{
	for (size_t i = 0; i < d->n; i++)
		if (!strcmp(name_of(d->path[i]), name_of(path)))
			return true;
	return false;
}

static void add_drop_ins(struct drop_ins *d, const char *pattern)
{
	glob_t found = { 0 };

	if (!glob(pattern, GLOB_NOSORT, NULL, &found))
		for (size_t i = 0; i < found.gl_pathc; i++) {
			char **path = reallocarray(d->path, d->n + 1, sizeof(*path));

			d->path = path ? path : d->path;
			if (path && !is_overridden(d, found.gl_pathv[i]) && (path[d->n] = strdup(found.gl_pathv[i])))
				d->n++;
		}
	globfree(&found);
}

void unit_groups_read(const char *top, const char *unit, struct unit_groups *ret)
{
	struct drop_ins d = { 0 };
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s%s/%s", top, directories[i], unit);
		if (!found && !access(path, F_OK)) {
			read_file(path, ret);
			found = true;
		}
		snprintf(path, sizeof(path), "%s%s/%s.d/*.conf", top, directories[i], unit);
		add_drop_ins(&d, path);
	}
	if (d.n)
		qsort(d.path, d.n, sizeof(*d.path), by_name);
	for (size_t i = 0; i < d.n; i++) {
		read_file(d.path[i], ret);
		free(d.path[i]);
	}
	free(d.path);
}
