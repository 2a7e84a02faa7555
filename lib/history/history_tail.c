// SPDX-License-Identifier: BSD-2-Clause
/*
 * The end of a history, behind a line that is known. It is looked for by bisection, as each line begins with its
 * number: how long the history is does not matter. What is behind has to follow by its hashes up to the one of the
 * head. Whatever else is the case is for a reading of the whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chain.h"
#include "base/whole_file.h"
#include "base/withheld.h"
#include "history/history_grant_days.h"
#include "history/history_read.h"

/* A longer line is not looked for. */
#define LONGEST_LINE (4U << 20)

/* So much of a file tells where a line begins, in most cases. */
#define LOOK (64U << 10)

/* Octets from..to of a file, with a NUL behind them. 0 or -errno; -EAGAIN: the file has become shorter. */
static int read_part(int fd, uint64_t from, uint64_t to, char **ret)
{
	_cleanup_free_ char *text = malloc(to - from + 1);
	uint64_t have = 0;

	if (!text)
		return -ENOMEM;
	while (have < to - from) {
		ssize_t n = pread(fd, text + have, to - from - have, (off_t)(from + have));

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return n < 0 ? -errno : -EAGAIN;
		have += n > 0 ? (uint64_t)n : 0;
	}
	text[have] = '\0';
	*ret = take_pointer(text);
	return 0;
}

/* A whole line of the file. */
struct placed {
	uint64_t begin, end; /* with its newline */
	uint64_t number;
	char hash[HASH_TEXT];
};

/* The first whole line that begins at a place or behind it, before `to`. 0, -ENOENT: there is none, or -errno. */
static int line_from(int fd, uint64_t at, uint64_t to, struct placed *ret)
{
	for (uint64_t most = LOOK; most <= LONGEST_LINE; most *= 4) {
		/* The octet before tells whether a line begins here. */
		uint64_t from = at ? at - 1 : 0, end = to - from > most ? from + most : to;
		_cleanup_free_ char *text = NULL;
		const char *begin, *newline;
		int r = read_part(fd, from, end, &text);

		if (r)
			return r;
		begin = at ? memchr(text, '\n', end - from) : text;
		begin = begin && at ? begin + 1 : begin;
		newline = begin ? memchr(begin, '\n', end - from - (uint64_t)(begin - text)) : NULL;
		if (!newline && end < to)
			continue;
		if (!newline)
			return -ENOENT;
		ret->begin = from + (uint64_t)(begin - text);
		ret->end = from + (uint64_t)(newline - text) + 1;
		ret->number = chain_number(begin, (size_t)(newline - begin));
		/* Only the form is looked at: by the hash the line is known. */
		r = chain_check(begin, (size_t)(newline - begin), HASH_NONE, ret->hash);
		return !ret->number || (r && r != -EBADMSG) ? -EBADMSG : 0;
	}
	return -EFBIG;
}

/* The line of a number. 0, -ENOENT or -errno. */
static int find_line(int fd, uint64_t size, uint64_t number, struct placed *ret)
{
	uint64_t low = 0, high = size;

	/* The line begins at low or behind it, and before high. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int r = line_from(fd, middle, size, ret);

		if (r && r != -ENOENT)
			return r;
		if (r || ret->number > number || ret->begin >= high)
			high = middle;
		else if (ret->number == number)
			return 0;
		else
			low = ret->end;
	}
	return -ENOENT;
}

/* Where a text of so many lines begins that ends at a place. 0 or -errno. */
static int lines_before(int fd, uint64_t at, unsigned lines, uint64_t *ret)
{
	for (uint64_t most = LOOK; lines; most *= 4) {
		uint64_t from = at > most ? at - most : 0;
		_cleanup_free_ char *text = NULL;
		const char *p;
		unsigned n = 0;
		int r = read_part(fd, from, at, &text);

		if (r)
			return r;
		for (p = text + (at - from); p > text && n <= lines; p--)
			n += p[-1] == '\n';
		if (n > lines || !from) {
			*ret = n > lines ? from + (uint64_t)(p - text) + 1 : 0;
			return 0;
		}
	}
	*ret = at;
	return 0;
}

/* Whether all lines behind a place follow, up to that of the head. */
static bool follows(const struct history_files *f, const char *at, const struct placed *after)
{
	const char *end = f->text + f->size, *newline;
	char hash[HASH_TEXT];
	uint64_t number = after->number;
	bool head = f->head.line == number && !strcmp(f->head.hash, after->hash);

	memcpy(hash, after->hash, sizeof(hash));
	for (; at < end; at = newline + 1) {
		newline = memchr(at, '\n', (size_t)(end - at));
		if (!newline || chain_number(at, (size_t)(newline - at)) != ++number ||
		    chain_check(at, (size_t)(newline - at), hash, hash))
			return false;
		head |= f->head.line == number && !strcmp(f->head.hash, hash);
	}
	return head;
}

int history_tail_read(const char *dir, uint64_t line, const char *hash, unsigned before, struct history_files *ret,
		      const char **ret_at)
{
	_cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = dir_fd < 0 ? -1 : file_open(dir_fd, HISTORY_FILE);
	struct history_files f = { 0 };
	struct placed after;
	struct stat st;
	uint64_t from;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !line || !faccessat(dir_fd, EVIDENCE_QUESTION, F_OK, 0))
		return -ENOENT;
	history_index_init(&f.index);
	r = history_head_read(dir_fd, &f.head, &f.head_text);
	/* What an agent has appended since the head was read. */
	r = r ? r : fstat(fd, &st) ? -errno : 0;
	r = r ? r : find_line(fd, (uint64_t)st.st_size, line, &after);
	r = r ? r : strcmp(after.hash, hash) != 0 ? -ENOENT : lines_before(fd, after.end, before, &from);
	r = r ? r : read_part(fd, from, (uint64_t)st.st_size, &f.text);
	r = r ? r : grant_days_new(dir_fd, false, &f.days);
	if (!r) {
		f.size = (size_t)((uint64_t)st.st_size - from);
		f.end = END_AGREES;
		r = follows(&f, f.text + (after.end - from), &after) ? 0 : -EBADMSG;
	}
	if (r) {
		history_files_free(&f);
		return r;
	}
	*ret = f;
	*ret_at = f.text + (after.end - from);
	return 0;
}
