/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <mntent.h>
#include <stdbool.h>
#include <string.h>

#include "base/base.h"

/* File names and keys of the two cgroup versions. */
struct version {
	const char *file_system;
	const char *limit;
	const char *usage;
	const char *cache; /* in memory.stat, including all groups below */
};

static const struct version versions[] = {
	{ "cgroup2", "memory.max", "memory.current", "inactive_file " },
	{ "cgroup", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file " },
};

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Reads the number that follows a word at the beginning of a line ("": the first line). False if there is none. */
static bool read_number(const char *path, const char *word, uint64_t *ret)
{
	__attribute__((cleanup(close_file))) FILE *f = fopen(path, "re");
	size_t length = strlen(word);
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		char *end;

		if (strncmp(line, word, length) != 0)
			continue;
		*ret = strtoull(line + length, &end, 10);
		return end != line + length;
	}
	return false;
}

static uint64_t read_group(const char *dir, const struct version *v)
{
	uint64_t limit, usage, cache = 0;
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, v->limit) >= (int)sizeof(path) || !read_number(path, "", &limit))
		return UINT64_MAX;
	if (snprintf(path, sizeof(path), "%s/%s", dir, v->usage) >= (int)sizeof(path) || !read_number(path, "", &usage))
		return UINT64_MAX;
	if (snprintf(path, sizeof(path), "%s/memory.stat", dir) < (int)sizeof(path))
		read_number(path, v->cache, &cache);
	usage -= cache < usage ? cache : usage;
	return limit > usage ? limit - usage : 0;
}

/* The minimum over a group and all groups above it, up to the mount. */
static uint64_t read_groups(const char *mount, const char *group, const struct version *v)
{
	uint64_t least = UINT64_MAX;
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof(dir), "%s%s", mount, strcmp(group, "/") ? group : "") >= (int)sizeof(dir))
		return least;
	for (;;) {
		uint64_t own = read_group(dir, v);
		char *slash = strrchr(dir, '/');

		least = own < least ? own : least;
		if (strlen(dir) <= strlen(mount) || !slash)
			return least;
		*slash = '\0';
	}
}

static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at++)
		if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length]))
			return true;
	return false;
}

/* Finds the mount point of a cgroup version. */
static bool find_mount(const char *root, const struct version *v, char ret[static PATH_MAX])
{
	char path[PATH_MAX];
	const struct mntent *m;
	bool found = false;
	FILE *mounts;

	snprintf(path, sizeof(path), "%s/proc/self/mounts", root);
	mounts = setmntent(path, "re");
	if (!mounts)
		return false;
	while (!found && (m = getmntent(mounts)))
		found = !strcmp(m->mnt_type, v->file_system) &&
			(v == &versions[0] || has_word(m->mnt_opts, "memory")) &&
			snprintf(ret, PATH_MAX, "%s%s", root, m->mnt_dir) < PATH_MAX;
	endmntent(mounts);
	return found;
}

/* Finds the group of this process: lines are "number:controllers:group"; version 2 has number 0 and no controllers. */
static bool find_group(const char *root, const struct version *v, char ret[static PATH_MAX])
{
	__attribute__((cleanup(close_file))) FILE *f = NULL;
	char path[PATH_MAX], line[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		char *rest = line, *number = strsep(&rest, ":"), *controllers = strsep(&rest, ":");

		if (!rest || (v == &versions[0] ? strcmp(number, "0") : !has_word(controllers, "memory")))
			continue;
		rest[strcspn(rest, "\n")] = '\0';
		strcpy(ret, rest);
		return true;
	}
	return false;
}

uint64_t memory_free(const char *root)
{
	uint64_t least = UINT64_MAX, kb;
	char path[PATH_MAX], mount[PATH_MAX], group[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	if (read_number(path, "MemAvailable:", &kb))
		least = kb << 10;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		uint64_t in_groups;

		if (!find_mount(root, &versions[i], mount) || !find_group(root, &versions[i], group))
			continue;
		in_groups = read_groups(mount, group, &versions[i]);
		least = in_groups < least ? in_groups : least;
	}
	return least;
}

const char *memory_format(uint64_t octets, char ret_text[static MEMORY_TEXT])
{
	if (octets >= 1U << 30)
		snprintf(ret_text, MEMORY_TEXT, "%.1f GiB", (double)octets / (1U << 30));
	else
		snprintf(ret_text, MEMORY_TEXT, "%" PRIu64 " MiB", (octets + (1U << 20) - 1) >> 20);
	return ret_text;
}
