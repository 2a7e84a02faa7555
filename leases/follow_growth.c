/* SPDX-License-Identifier: BSD-2-Clause */
/* Files to which each event is appended, as Kea's and ISC dhcpd's; from time to time their server writes them anew. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lease_follower.h"

/* Begins at the front of the open file. */
static void rewind_to_front(struct lease_follower *f)
{
	f->at = 0;
	f->tail_size = 0;
	f->header[0] = '\0';
	f->caught_up = false;
}

/* Whether the file goes on from where it was read to. It may have been truncated and have grown again. */
static bool goes_on(const struct lease_follower *f, const struct stat *st)
{
	char now[GROWTH_TAIL];
	off_t from = f->at - (off_t)f->tail_size;

	return st->st_size >= f->at && pread(f->fd, now, f->tail_size, from) == (ssize_t)f->tail_size &&
	       !memcmp(now, f->tail, f->tail_size);
}

/* The end of the last complete record. */
static size_t complete(const struct lease_follower *f, const char *text, size_t size)
{
	while (size) {
		const char *newline = memrchr(text, '\n', size);

		size = newline ? (size_t)(newline - text) + 1 : 0;
		if (f->format == FORMAT_KEA || (size >= 3 && !memcmp(text + size - 3, "\n}\n", 3)))
			return size;
		size -= size > 0;
	}
	return 0;
}

/* Kea's header is before each piece. */
static void keep_header(struct lease_follower *f, const char *text, size_t size)
{
	const char *newline = memchr(text, '\n', size);
	size_t n = newline ? (size_t)(newline - text) + 1 : 0;

	if (f->format != FORMAT_KEA || f->at || n >= sizeof(f->header))
		return;
	memcpy(f->header, text, n);
	f->header[n] = '\0';
}

static int take(void *arg, const struct lease_line *l)
{
	struct follower_lines *lines = arg;
	struct known_lease *x = known_lease_get(&lines->follower->known, &l->addr);
	uint64_t content = known_lease_hash(l, true);
	int r;

	if (x && x->content == content)
		return 0;
	r = follower_give(lines, l);
	if (x)
		x->content = content;
	return r;
}

static int take_piece(struct lease_follower *f, char *text, size_t size, int64_t at, struct lease_writer *w,
		      int64_t now, struct identity_figures *figures)
{
	struct follower_lines lines = { .follower = f, .first = !f->caught_up, .writer = w, .at = at };
	struct lease_import x = { .take = take, .live = f->begun, .since = f->looked };
	int r = follower_import(&lines, &x, text, size, now, figures);

	/* They are read again. */
	if (r)
		known_leases_free(&f->known);
	return r;
}

static void keep_place(struct lease_follower *f, const char *text, size_t size)
{
	f->at += (off_t)size;
	f->tail_size = size < GROWTH_TAIL ? size : GROWTH_TAIL;
	memcpy(f->tail, text + size - f->tail_size, f->tail_size);
}

/* Reads a piece of the open file. Returns its octets, 0: there is none, or -errno. */
static ssize_t read_piece(struct lease_follower *f, struct lease_writer *w, int64_t now,
			  struct identity_figures *figures)
{
	_cleanup_free_ char *text = malloc(sizeof(f->header) + GROWTH_PIECE);
	char *piece = text ? text + sizeof(f->header) : NULL;
	size_t before, size;
	struct stat st;
	ssize_t n = text ? pread(f->fd, piece, GROWTH_PIECE, f->at) : -1;
	int r;

	if (n < 0 || fstat(f->fd, &st))
		return -EIO;
	size = complete(f, piece, (size_t)n);
	if (!size) {
		/* No record is that long. */
		if (n == (ssize_t)GROWTH_PIECE)
			keep_place(f, piece, (size_t)n);
		return 0;
	}
	before = f->at ? strlen(f->header) : 0;
	keep_header(f, piece, size);
	memcpy(piece - before, f->header, before);
	figures->reads++;
	r = take_piece(f, piece - before, before + size, st.st_mtim.tv_sec < now ? st.st_mtim.tv_sec : now, w, now,
		       figures);
	if (r)
		return r;
	keep_place(f, piece, size);
	return n;
}

/* Takes the file that has the path now. False: there is none. */
static bool open_current(struct lease_follower *f, const char *path)
{
	struct stat st;
	int fd = follower_open(f, path, &st);

	if (fd < 0)
		return false;
	close_fd(&f->fd);
	f->fd = fd;
	f->inode = st.st_ino;
	f->device = st.st_dev;
	rewind_to_front(f);
	return true;
}

/* Whether a file has the path that is not open yet. */
static bool replaced(const struct lease_follower *f)
{
	struct stat st;

	return !stat(f->rules.path, &st) && (st.st_ino != f->inode || st.st_dev != f->device);
}

static void read_all(struct lease_follower *f, struct lease_writer *w, int64_t now, struct identity_figures *figures)
{
	while (read_piece(f, w, now, figures) > 0)
		;
	close_fd(&f->fd);
	f->fd = -1;
}

/* What Kea's cleanup has taken out of its file: the result of the last one, and what it works on (LFC). */
static void read_earlier(struct lease_follower *f, struct lease_writer *w, int64_t now,
			 struct identity_figures *figures)
{
	static const char *const suffixes[] = { ".completed", ".2", ".1" };
	char path[CONFIG_LEASE_PATH + 16];

	for (size_t i = 0; f->format == FORMAT_KEA && i < ARRAY_SIZE(suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", f->rules.path, suffixes[i]);
		if (open_current(f, path))
			read_all(f, w, now, figures);
	}
	f->trouble.text[0] = '\0';
}

bool follow_growth(struct lease_follower *f, struct lease_writer *w, int64_t now, struct identity_figures *figures)
{
	struct stat st;
	ssize_t n;

	if (f->fd < 0) {
		if (!f->begun)
			read_earlier(f, w, now, figures);
		if (!open_current(f, f->rules.path))
			return false;
	}
	if (fstat(f->fd, &st) || !goes_on(f, &st)) {
		rewind_to_front(f);
		f->begun = false;
	}
	n = read_piece(f, w, now, figures);
	if (n > 0)
		return true;
	if (n < 0)
		return false;
	/* All that there was: what comes now has just happened. */
	f->begun = true;
	f->caught_up = true;
	f->looked = now;
	if (replaced(f) && open_current(f, f->rules.path))
		return true;
	if (access(f->rules.path, F_OK))
		error_set(&f->trouble, 0, "%.255s is gone; it is read once it is there again", f->rules.path);
	else
		f->trouble.text[0] = '\0';
	return false;
}
