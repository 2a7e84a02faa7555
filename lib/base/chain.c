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

int chain_open(int dir, const char *name, int flags, struct chain *ret)
{
	int fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);

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

/* The end of a file. */
struct tail {
	uint64_t size, torn;
	bool cut; /* it has no whole line */
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

/* The lines in the last octets of a file. ret: its size, and that of an incomplete line at its end; may be NULL. */
static int read_last(struct chain *c, const char *name, uint64_t most, chain_take take, void *arg, struct tail *ret)
{
	struct reader reader = { .left = UINT64_MAX };
	struct stat st;
	uint64_t from;
	int r;

	if (fstat(c->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	from = (uint64_t)st.st_size > most ? (uint64_t)st.st_size - most : 0;
	reader.cut = from;
	r = read_lines(c->fd, from, &reader, name, take, arg);
	if (ret)
		*ret = (struct tail){ (uint64_t)st.st_size, reader.used, reader.cut };
	return r;
}

static int note_tip(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct chain_tip *tip = arg;

	(void)name;
	(void)number;
	/* Without a hash it is no line. */
	tip->line = chain_check(line, size, HASH_NONE, tip->hash) == -EINVAL ? 0 : chain_number(line, size);
	return 0;
}

int chain_find_tip(struct chain *c)
{
	struct chain_tip tip = { .hash = HASH_NONE };
	struct tail tail;
	int r = read_last(c, NULL, TAIL_SIZE, note_tip, &tip, &tail);

	tip.size = r ? 0 : tail.size - tail.torn;
	if (!r && (tail.cut || (tip.size && !tip.line)))
		r = -EBADMSG;
	if (r)
		return r;
	c->tip = tip;
	c->torn = tail.torn;
	return 0;
}

int chain_tip_at(int dir, const char *name, struct chain_tip *ret)
{
	struct chain c = { .tip.hash = HASH_NONE };
	int r = chain_open(dir, name, O_RDONLY, &c);

	if (!r) {
		r = chain_find_tip(&c);
		chain_close(&c);
	}
	*ret = c.tip;
	return r == -ENOENT ? 0 : r;
}

int chain_read_part(int fd, const char *name, uint64_t from, uint64_t to, chain_take take, void *arg, size_t *ret_torn)
{
	struct reader reader = { .left = to - from };
	int r = read_lines(fd, from, &reader, name, take, arg);

	*ret_torn = reader.used;
	return r;
}

int chain_read(int dir, const char *name, chain_take take, void *arg, size_t *ret_torn)
{
	struct chain c = { .fd = -1 };
	int r = chain_open(dir, name, O_RDONLY, &c);

	if (r)
		return r;
	r = chain_read_part(c.fd, name, 0, UINT64_MAX, take, arg, ret_torn);
	chain_close(&c);
	return r;
}

int chain_read_last(int dir, const char *name, uint64_t most, chain_take take, void *arg)
{
	struct chain c = { .fd = -1 };
	int r = chain_open(dir, name, O_RDONLY, &c);

	if (r)
		return r;
	r = read_last(&c, name, most, take, arg, NULL);
	chain_close(&c);
	return r;
}
