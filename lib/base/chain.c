/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/whole_file.h"

/* Of the end of a file, for its last line. */
#define TAIL_SIZE 16384U

#define CHUNK_SIZE (256U << 10)

/* Room that a change may need: a line has about 450 octets. */
#define PROBE_OCTETS 4096

int chain_open(int dir, const char *name, bool make, struct chain *ret)
{
	int fd =
		openat(dir, name, O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);

	if (fd < 0)
		return -errno;
	*ret = (struct chain){ .fd = fd, .tip.hash = HASH_NONE };
	return 0;
}

void chain_close(struct chain *c)
{
	close_fd(&c->fd);
	c->fd = -1;
}

int chain_take_back(struct chain *c, const struct chain_tip *to)
{
	c->tip = *to;
	c->torn = ftruncate(c->fd, (off_t)to->size) != 0;
	return c->torn ? -errno : 0;
}

int chain_same(struct chain *c, int dir, const char *name)
{
	struct stat open, found;
	int r = c->torn ? chain_take_back(c, &c->tip) : 0;

	if (r || fstat(c->fd, &open))
		return r ? r : -errno;
	if (fstatat(dir, name, &found, AT_SYMLINK_NOFOLLOW) || found.st_ino != open.st_ino ||
	    found.st_dev != open.st_dev)
		return -ESTALE;
	return (uint64_t)open.st_size == c->tip.size ? 0 : -EBUSY;
}

int chain_append(struct chain *c, const char *lines, size_t size, const struct chain_tip *tip, bool sync)
{
	int r = c->torn ? chain_take_back(c, &c->tip) : 0;

	if (r)
		return r;
	r = file_write(c->fd, lines, size, c->tip.size);
	if (!r && sync && fsync(c->fd))
		r = -errno;
	if (r) {
		chain_take_back(c, &c->tip);
		return r;
	}
	c->tip = *tip;
	c->unsynced = !sync;
	return 0;
}

int chain_sync(struct chain *c)
{
	if (c->unsynced && fsync(c->fd))
		return -errno;
	c->unsynced = false;
	return 0;
}

int chain_probe(struct chain *c)
{
	bool full = fallocate(c->fd, FALLOC_FL_KEEP_SIZE, (off_t)c->tip.size, PROBE_OCTETS) && errno != EOPNOTSUPP &&
		    errno != ENOSYS && errno != EINTR;

	return full ? -errno : 0;
}

/* A file that is read in chunks; the line at the end of one continues in the next. */
struct reader {
	char *text;
	size_t used;
	uint64_t number, left; /* octets to read */
	bool cut;	       /* reading began in the middle of a line */
};

/* Gives all complete lines, and moves the rest to the front. */
static int give_lines(struct reader *r, const char *name, chain_take take, void *arg)
{
	char *at = r->text, *end = r->text + r->used, *newline;
	int ret = 0;

	for (; !ret && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
		if (!r->cut)
			ret = take(arg, name, ++r->number, at, (size_t)(newline - at));
		r->cut = false;
	}
	r->used = (size_t)(end - at);
	memmove(r->text, at, r->used);
	return ret;
}

static int read_lines(int fd, uint64_t at, struct reader *r, const char *name, chain_take take, void *arg)
{
	_cleanup_free_ char *text = r->text = malloc(CHUNK_SIZE);
	int ret = text ? 0 : -ENOMEM;

	while (!ret && r->left) {
		size_t room = CHUNK_SIZE - r->used;
		ssize_t n = pread(fd, text + r->used, room < r->left ? room : (size_t)r->left, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : 0;
		at += (uint64_t)n;
		r->used += (size_t)n;
		r->left -= (uint64_t)n;
		ret = give_lines(r, name, take, arg);
		/* No line is that long. */
		if (!ret && r->used == CHUNK_SIZE)
			return -EFBIG;
	}
	return ret;
}

/* Of the last lines of a file. */
static int note_tip(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct chain_tip *tip = arg;

	(void)name;
	(void)number;
	tip->line = chain_number(line, size);
	/* Without a hash it stays that of no line. */
	return chain_check(line, size, HASH_NONE, tip->hash) == -EINVAL ? (tip->line = 0) : 0;
}

int chain_find_tip(struct chain *c)
{
	struct chain_tip tip = { .hash = HASH_NONE };
	struct reader reader = { .left = UINT64_MAX };
	struct stat st;
	uint64_t from;
	int r;

	if (fstat(c->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	from = st.st_size > TAIL_SIZE ? (uint64_t)st.st_size - TAIL_SIZE : 0;
	reader.cut = from;
	r = read_lines(c->fd, from, &reader, NULL, note_tip, &tip);
	tip.size = (uint64_t)st.st_size - reader.used;
	if (!r && (reader.cut || (tip.size && !tip.line)))
		r = -EBADMSG;
	if (r)
		return r;
	c->tip = tip;
	c->torn = reader.used;
	return 0;
}

int chain_read_first(int fd, const char *name, uint64_t size, chain_take take, void *arg, size_t *ret_torn)
{
	struct reader reader = { .left = size };
	int r = read_lines(fd, 0, &reader, name, take, arg);

	*ret_torn = reader.used;
	return r;
}

static int open_regular(int dir, const char *name, struct stat *ret)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

	if (fd < 0 || fstat(fd, ret))
		return -errno;
	return S_ISREG(ret->st_mode) ? take_fd(fd) : -EBADF;
}

int chain_read(int dir, const char *name, chain_take take, void *arg, size_t *ret_torn)
{
	struct stat st;
	_cleanup_close_ int fd = open_regular(dir, name, &st);

	return fd < 0 ? fd : chain_read_first(fd, name, UINT64_MAX, take, arg, ret_torn);
}

int chain_read_last(int dir, const char *name, uint64_t most, chain_take take, void *arg)
{
	struct stat st;
	_cleanup_close_ int fd = open_regular(dir, name, &st);
	uint64_t size = fd < 0 ? 0 : (uint64_t)st.st_size;
	struct reader reader = { .left = UINT64_MAX, .cut = size > most };

	return fd < 0 ? fd : read_lines(fd, reader.cut ? size - most : 0, &reader, name, take, arg);
}
