// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/array_grow.h"

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

struct feeding {
	struct lease_index *index;
	char only[LEASE_ADDR_TEXT + 16]; /* "in_addr":"..." */
	uint64_t wrong;
};

/* Lines about other addresses are not even parsed. */
static bool concerns(const struct feeding *f, const char *line, size_t size)
{
	static const char any[] = "\"in_addr\":";

	return !*f->only || memmem(line, size, f->only, strlen(f->only)) || !memmem(line, size, any, strlen(any));
}

/* The time of a line that is not parsed further. */
static void note_time(struct feeding *f, const char *line, size_t size)
{
	static const char key[] = "\"time\":\"";
	const char *at = memmem(line, size, key, strlen(key));
	char text[TIME_TEXT];
	int64_t t;

	if (!at || (size_t)(line + size - at) < strlen(key) + 20)
		return;
	memcpy(text, at + strlen(key), 20);
	text[20] = '\0';
	if (!time_parse(text, &t))
		lease_index_note(f->index, t);
}

static int feed(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct feeding *f = arg;
	struct lease_line l;

	(void)name;
	(void)number;
	if (!concerns(f, line, size)) {
		note_time(f, line, size);
		return 0;
	}
	if (!lease_line_read(line, size, &l, NULL))
		return lease_index_feed(f->index, &l);
	/* A line of today says what was erased. */
	f->wrong += !chain_erased(line, size);
	return 0;
}

static int read_all(int dir, const struct lease_names *names, struct feeding *f, struct error *err)
{
	size_t torn;

	for (size_t i = 0; i < names->n; i++) {
		int r = chain_read(dir, names->name[i], feed, f, &torn);

		if (r)
			return error_set(err, r, "%s cannot be read: %s", names->name[i], strerror(-r));
	}
	return lease_index_finish(f->index) ? error_set(err, -ENOMEM, "out of memory") : 0;
}

int lease_files_read(const char *dir, const struct lease_addr *only, struct lease_index **ret, uint64_t *ret_wrong,
		     struct error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct lease_names names = { 0 };
	struct feeding f = { 0 };
	char addr[LEASE_ADDR_TEXT];
	int r = lease_names_read(dir, &names, err);

	if (r)
		return r;
	if (!names.n || fd < 0)
		r = error_set(err, -ENOENT, "no leases at %.200s: there is no leases-YYYY-MM-DD.jsonl", dir);
	else if (lease_index_new(&f.index))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r && only)
		snprintf(f.only, sizeof(f.only), "\"in_addr\":\"%s\"", lease_addr_format(only, addr));
	r = r ? r : read_all(fd, &names, &f, err);
	free(names.name);
	if (r) {
		lease_index_free(f.index);
		return r;
	}
	*ret = f.index;
	*ret_wrong = f.wrong;
	return 0;
}
