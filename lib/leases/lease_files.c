// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array_grow.h"
#include "base/cleanup.h"
#include "base/ledger.h"
#include "leases/lease_index.h"

bool lease_record_named(const char *name)
{
	return lease_file_named(name) || !strcmp(name, RECORDED_SOURCES_FILE) ||
	       !strncmp(name, SPOOL_PREFIX, strlen(SPOOL_PREFIX));
}

const char *lease_directory(const char *state_dir, char ret[static PATH_MAX])
{
	struct stat st;

	if (snprintf(ret, PATH_MAX, "%s/" LEASES_DIR, state_dir) >= PATH_MAX || lstat(ret, &st) || !S_ISDIR(st.st_mode))
		snprintf(ret, PATH_MAX, "%s", state_dir);
	return ret;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_name(struct lease_names *names, size_t *room, const char *name)
{
	if (array_grow(&names->name, names->n, room, sizeof(*names->name)))
		return -ENOMEM;
	memcpy(names->name[names->n++], name, strlen(name) + 1); /* it has the length of the form */
	return 0;
}

int lease_names_read(const char *dir, struct lease_names *ret, struct error *err)
{
	struct lease_names names = { 0 };
	const struct dirent *entry;
	DIR *d = opendir(dir);
	size_t room = 0;
	int r = 0;

	if (!d)
		return error_set(err, -errno, "no leases at %.200s: %s; --leases names their directory", dir,
				 strerror(errno));
	while (!r && (entry = readdir(d)))
		if (lease_file_named(entry->d_name))
			r = add_name(&names, &room, entry->d_name);
	closedir(d);
	if (r) {
		free(names.name);
		return error_set(err, r, "out of memory");
	}
	if (names.n)
		qsort(names.name, names.n, sizeof(*names.name), compare_names);
	*ret = names;
	return 0;
}

int lease_file_remove(const char *dir, const char *name, int64_t now, struct error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = ledger_remove(dir, name, now, err);

	if (!r && fd >= 0)
		lease_index_remove(fd, name);
	return r;
}
