// SPDX-License-Identifier: BSD-2-Clause
#include "leases/chained_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/rights.h"

/* No line is longer. */
#define TAIL_SIZE 16384U

/* Of a line, from the comma before its hash on. */
#define HASH_BEGIN ",\"hash\":\""
#define HASH_TAIL  (sizeof(HASH_BEGIN) - 1 + HASH_TEXT - 1 + 2)

bool chain_body(const char *line, size_t size, const char **ret, size_t *ret_size)
{
	static const char begin[] = "{\"line\":";
	size_t at = strlen(begin);

	if (size < at + HASH_TAIL || memcmp(line, begin, at) != 0)
		return false;
	while (at < size && isdigit((unsigned char)line[at]))
		at++;
	if (at >= size - HASH_TAIL || line[at] != ',' ||
	    memcmp(line + size - HASH_TAIL, HASH_BEGIN, strlen(HASH_BEGIN)) != 0)
		return false;
	*ret = line + at + 1;
	*ret_size = size - HASH_TAIL - at - 1;
	return true;
}

/* The number and the hash of a line. */
static bool read_tip(const char *line, size_t size, struct chain_tip *ret)
{
	const char *body;
	size_t body_size;

	if (!chain_body(line, size, &body, &body_size))
		return false;
	ret->line = strtoull(line + strlen("{\"line\":"), NULL, 10);
	memcpy(ret->hash, line + size - HASH_TAIL + strlen(HASH_BEGIN), HASH_TEXT - 1);
	ret->hash[HASH_TEXT - 1] = '\0';
	return true;
}

/* Finds the end of a file; size is that of its complete lines. 0 or -errno. */
static int find_tip(int fd, struct chain_tip *ret)
{
	char tail[TAIL_SIZE];
	struct stat st;
	const char *end, *begin;
	size_t n;
	ssize_t got;

	*ret = (struct chain_tip){ .hash = HASH_NONE };
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADF;
	n = st.st_size < (off_t)sizeof(tail) ? (size_t)st.st_size : sizeof(tail);
	got = pread(fd, tail, n, st.st_size - (off_t)n);
	if (got != (ssize_t)n)
		return got < 0 ? -errno : -EIO;
	end = n ? memrchr(tail, '\n', n) : NULL;
	if (!end)
		return n == sizeof(tail) ? -EBADMSG : 0;
	ret->size = (uint64_t)st.st_size - n + (size_t)(end - tail) + 1;
	begin = memrchr(tail, '\n', (size_t)(end - tail));
	begin = begin ? begin + 1 : tail;
	return read_tip(begin, (size_t)(end - begin), ret) ? 0 : -EBADMSG;
}

/* Chains bodies to a tip, which moves; the lines are the caller's to free. */
static int chain(const char *bodies, size_t size, struct chain_tip *tip, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);
	const char *end = bodies + size, *newline;
	_cleanup_free_ char *line = NULL;

	if (!out)
		return -ENOMEM;
	for (; bodies < end && (newline = memchr(bodies, '\n', (size_t)(end - bodies))); bodies = newline + 1) {
		int n = asprintf(&line, "{\"line\":%" PRIu64 ",%.*s", tip->line + 1, (int)(newline - bodies), bodies);

		if (n < 0) {
			line = NULL;
			break;
		}
		history_hash_of(tip->hash, line, (size_t)n, tip->hash);
		fprintf(out, "%s" HASH_BEGIN "%s\"}\n", line, tip->hash);
		tip->line++;
		free(take_pointer(line));
	}
	return fclose(out) || bodies < end ? -ENOMEM : 0;
}

static int write_all(int fd, const char *text, size_t size, uint64_t at)
{
	while (size) {
		ssize_t n = pwrite(fd, text, size, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		text += n;
		at += (size_t)n;
		size -= (size_t)n;
	}
	return 0;
}

/* Appends to an open file, and brings it to the disk; otherwise leaves it as it was. *ret: its end then. */
static int append(int fd, const char *bodies, size_t size, struct chain_tip *ret)
{
	_cleanup_free_ char *text = NULL;
	struct chain_tip tip;
	size_t text_size = 0;
	uint64_t before;
	int r = find_tip(fd, &tip);

	if (r)
		return r;
	before = tip.size;
	r = chain(bodies, size, &tip, &text, &text_size);
	if (!r && ftruncate(fd, (off_t)before))
		r = -errno;
	r = r ? r : write_all(fd, text, text_size, before);
	if (!r && fdatasync(fd))
		r = -errno;
	if (r) {
		if (ftruncate(fd, (off_t)before))
			return r;
		return r;
	}
	tip.size = before + text_size;
	*ret = tip;
	return 0;
}

static int open_own(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

/*
 * The directory, and its ledger, locked. What root makes in another's directory belongs to the other, who goes on
 * writing it.
 */
struct ledger {
	int dir, fd;
	struct rights rights;
};

static void ledger_close(struct ledger *l)
{
	close_fd(&l->fd);
	close_fd(&l->dir);
	rights_restore(&l->rights);
}

static int ledger_open(const char *dir, struct ledger *ret)
{
	struct ledger l = { .dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .fd = -1 };
	int r;

	if (l.dir < 0)
		return -errno;
	l.rights = rights_of(l.dir);
	l.fd = open_own(l.dir, CHAIN_FILE);
	r = l.fd < 0 ? l.fd : flock(l.fd, LOCK_EX) ? -errno : 0;
	if (r) {
		ledger_close(&l);
		return r;
	}
	*ret = l;
	return 0;
}

/* Replaces the file that has the ledger's end. */
static int write_head(int dir, const struct chain_tip *tip, int64_t now)
{
	static const char temporary[] = CHAIN_HEAD_FILE ".new";
	char text[256], time[TIME_TEXT];
	int n = snprintf(text, sizeof(text), "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"hash\":\"%s\"}\n", tip->line,
			 time_format(now, time), tip->hash);
	_cleanup_close_ int fd = -1;
	int r;

	unlinkat(dir, temporary, 0);
	fd = open_own(dir, temporary);
	if (fd < 0)
		return fd;
	r = write_all(fd, text, (size_t)n, 0);
	if (!r && (fdatasync(fd) || renameat(dir, temporary, dir, CHAIN_HEAD_FILE)))
		r = -errno;
	return r;
}

/* Says in the ledger what became of a file, or leaves the ledger as it was. */
static int enter(const struct ledger *l, const char *event, const char *file, const struct chain_tip *tip, int64_t now)
{
	char body[512], time[TIME_TEXT];
	struct chain_tip before, end;
	int n = snprintf(body, sizeof(body),
			 "\"time\":\"%s\",\"event\":\"%s\",\"file\":\"%s\",\"lines\":%" PRIu64 ",\"octets\":%" PRIu64
			 ",\"tip\":\"%s\"\n",
			 time_format(now, time), event, file, tip->line, tip->size, tip->hash);
	int r = find_tip(l->fd, &before);

	r = r ? r : append(l->fd, body, (size_t)n, &end);
	if (r)
		return r;
	r = write_head(l->dir, &end, now);
	if (r && ftruncate(l->fd, (off_t)before.size))
		return r;
	return r;
}

static int say(struct error *err, int r, const char *dir, const char *file)
{
	if (r == -EBADMSG)
		return error_set(err, r, "%.200s/%s: its last line is none that detnat wrote; move the file away", dir,
				 file);
	return error_set(err, r, "%.200s/%s cannot be written: %s", dir, file, strerror(-r));
}

/* Lines that the ledger cannot name are taken back, as their writer will try again. */
static int enter_growth(const struct ledger *l, int fd, const char *file, const struct chain_tip *before,
			const struct chain_tip *tip, int64_t now)
{
	int r = fsync(l->dir) ? -errno : enter(l, "grow", file, tip, now);

	if (r && ftruncate(fd, (off_t)before->size))
		return r;
	return r;
}

int chain_append(const char *dir, const char *file, const char *bodies, size_t size, int64_t now, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct ledger l;
	struct chain_tip before, tip;
	int r = ledger_open(dir, &l);

	if (r)
		return say(err, r, dir, CHAIN_FILE);
	fd = open_own(l.dir, file);
	r = fd < 0 ? fd : find_tip(fd, &before);
	r = r ? r : append(fd, bodies, size, &tip);
	r = r ? r : enter_growth(&l, fd, file, &before, &tip, now);
	ledger_close(&l);
	return r ? say(err, r, dir, file) : 0;
}

int chain_remove(const char *dir, const char *file, int64_t now, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct ledger l;
	struct chain_tip tip = { .hash = HASH_NONE };
	int r = ledger_open(dir, &l);

	if (r)
		return say(err, r, dir, CHAIN_FILE);
	fd = openat(l.dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	r = fd < 0 ? -errno : 0;
	if (!r)
		find_tip(fd, &tip);
	r = r ? r : enter(&l, "remove", file, &tip, now);
	if (!r && unlinkat(l.dir, file, 0))
		r = -errno;
	ledger_close(&l);
	return r ? say(err, r, dir, file) : 0;
}

int chain_ledger_tip(const char *dir, struct chain_tip *ret)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd =
		at < 0 ? -1 : openat(at, CHAIN_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	*ret = (struct chain_tip){ .hash = HASH_NONE };
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return find_tip(fd, ret);
}
