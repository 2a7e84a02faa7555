// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK_SIZE (256U << 10)

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_name(struct lease_names *names, size_t *room, const char *name)
{
	void *larger = names->name;

	if (names->n == *room) {
		*room = *room ? *room * 2 : 64;
		larger = reallocarray(names->name, *room, sizeof(*names->name));
		if (!larger)
			return -ENOMEM;
		names->name = larger;
	}
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

/* A file that is read in chunks; the line at the end of one continues in the next. */
struct reader {
	char *text;
	size_t used;
	uint64_t number;
};

/* Gives all complete lines, and moves the rest to the front. */
static int give_lines(struct reader *r, const char *name, lease_line_take take, void *arg)
{
	char *at = r->text, *end = r->text + r->used, *newline;
	int ret = 0;

	while (!ret && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		ret = take(arg, name, ++r->number, at, (size_t)(newline - at));
		at = newline + 1;
	}
	r->used = (size_t)(end - at);
	memmove(r->text, at, r->used);
	return ret;
}

/* Removes the first line; false: there is no whole one. */
static bool drop_line(struct reader *r)
{
	const char *newline = memchr(r->text, '\n', r->used);

	if (!newline)
		return false;
	r->used -= (size_t)(newline + 1 - r->text);
	memmove(r->text, newline + 1, r->used);
	return true;
}

/* The line that is cut by the place where reading begins is none. */
static int read_on(int fd, struct reader *reader, const char *name, lease_line_take take, void *arg, bool cut)
{
	ssize_t n = 1;
	int r = 0;

	while (!r && n) {
		n = read(fd, reader->text + reader->used, CHUNK_SIZE - reader->used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		reader->used += (size_t)n;
		if (cut && !drop_line(reader))
			return 0;
		cut = false;
		r = give_lines(reader, name, take, arg);
		/* No line is that long. */
		if (!r && reader->used == CHUNK_SIZE)
			return -EFBIG;
	}
	return r;
}

int lease_file_read_last(int dir, const char *name, uint64_t most, lease_line_take take, void *arg, size_t *ret_torn)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	_cleanup_free_ char *text = malloc(CHUNK_SIZE);
	struct reader reader = { .text = text };
	struct stat st;
	bool cut;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !text)
		return text ? -EBADF : -ENOMEM;
	cut = (uint64_t)st.st_size > most;
	if (cut && lseek(fd, st.st_size - (off_t)most, SEEK_SET) < 0)
		return -errno;
	r = read_on(fd, &reader, name, take, arg, cut);
	*ret_torn = reader.used;
	return r;
}

int lease_file_read(int dir, const char *name, lease_line_take take, void *arg, size_t *ret_torn)
{
	return lease_file_read_last(dir, name, UINT64_MAX, take, arg, ret_torn);
}
