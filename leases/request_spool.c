/* SPDX-License-Identifier: BSD-2-Clause */
#include "request_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/fnv.h"
#include "base/hash.h"
#include "base/whole_file.h"

#define REQUEST_MAX 4096U
#define NUMBER_MAX  (1ULL << 62)
#define SPOOL_FLAGS (O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

/* In host byte order: the file does not leave the machine. */
struct record {
	uint64_t number;
	int64_t received;
	uint32_t size; /* of the request that follows; 0: the request of that number has ended */
	uint32_t sum;  /* of the members above and of the request */
};
_Static_assert(sizeof(struct record) == 24, "no padding");

struct request_spool {
	int fd;
	char *path;
	off_t size;
	uint64_t next;
	uint64_t waiting;
};

static uint32_t sum_of(const struct record *r, const uint8_t *request)
{
	return fnv1a_32(fnv1a_32(FNV1A_BEGIN32, r, offsetof(struct record, sum)), request, r->size);
}

/* A file as it was read, and the numbers that have ended. */
struct reading {
	char *text;
	size_t size;
	struct hash_index ended;
};

/* The record at an offset, which moves behind it. False: there is no whole one. */
static bool next_record(const struct reading *x, size_t *at, struct record *ret, const uint8_t **ret_request)
{
	if (x->size - *at < sizeof(*ret))
		return false;
	memcpy(ret, x->text + *at, sizeof(*ret));
	*ret_request = (const uint8_t *)x->text + *at + sizeof(*ret);
	if (ret->number > NUMBER_MAX || ret->size > REQUEST_MAX || ret->size > x->size - *at - sizeof(*ret) ||
	    ret->sum != sum_of(ret, *ret_request))
		return false;
	*at += sizeof(*ret) + ret->size;
	return true;
}

/* The file's end, the next number, and which requests have ended. */
static int find_ends(struct request_spool *s, struct reading *x)
{
	const uint8_t *request;
	struct record r;
	size_t at = 0;
	int ret = 0;

	while (!ret && next_record(x, &at, &r, &request)) {
		if (!r.size)
			ret = hash_set_add(&x->ended, HASH_OF(r.number));
		if (r.number >= s->next)
			s->next = r.number + 1;
	}
	s->size = (off_t)at;
	return ret;
}

static int give(struct request_spool *s, const struct reading *x, spool_take take, void *arg)
{
	struct record r;
	struct spooled waiting;
	size_t at = 0;
	int ret = 0;

	while (!ret && next_record(x, &at, &r, &waiting.request)) {
		if (!r.size || hash_set_has(&x->ended, HASH_OF(r.number)))
			continue;
		waiting.number = r.number;
		waiting.received = r.received;
		waiting.size = r.size;
		s->waiting++;
		ret = take(arg, &waiting);
	}
	return ret;
}

static int load(struct request_spool *s, spool_take take, void *arg)
{
	struct reading x = { 0 };
	int r = file_read(s->fd, 2ULL * SPOOL_MAX, &x.text, &x.size);

	r = r ? r : find_ends(s, &x);
	if (!r && ftruncate(s->fd, s->size))
		r = -errno;
	r = r ? r : give(s, &x, take, arg);
	free(x.text);
	hash_index_free(&x.ended);
	return r;
}

/* The name of a file is on the disk once its directory is. */
static int sync_directory(const char *path)
{
	_cleanup_free_ char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	_cleanup_close_ int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 || fsync(fd) ? -errno : 0;
}

int spool_open(const char *path, spool_take take, void *arg, struct request_spool **ret)
{
	struct request_spool *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->path = strdup(path);
	s->next = 1;
	s->fd = open(path, SPOOL_FLAGS, 0600);
	if (s->fd < 0)
		r = -errno;
	r = r ? r : s->path ? sync_directory(path) : -ENOMEM;
	r = r ? r : load(s, take, arg);
	if (r) {
		spool_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void spool_free(struct request_spool *s)
{
	if (!s)
		return;
	close_fd(&s->fd);
	free(s->path);
	free(s);
}

/* Writes a record to a file. What a full disk cuts is overwritten by the next. */
static int append(int fd, off_t *size, const struct spooled *x)
{
	uint8_t text[sizeof(struct record) + REQUEST_MAX];
	struct record r = { .number = x->number, .received = x->received, .size = (uint32_t)x->size };
	int ret;

	r.sum = sum_of(&r, x->request);
	memcpy(text, &r, sizeof(r));
	if (x->size)
		memcpy(text + sizeof(r), x->request, x->size);
	ret = *size + (off_t)sizeof(text) > 2 * (off_t)SPOOL_MAX
		      ? -ENOSPC
		      : file_write(fd, text, sizeof(r) + x->size, (uint64_t)*size);
	if (!ret)
		*size += (off_t)(sizeof(r) + x->size);
	return ret;
}

int spool_add(struct request_spool *s, const uint8_t *request, size_t size, int64_t received, uint64_t *ret_number)
{
	const struct spooled x = { s->next, received, request, size };
	int r = size && size <= REQUEST_MAX ? append(s->fd, &s->size, &x) : -EINVAL;

	if (r)
		return r;
	s->waiting++;
	*ret_number = s->next++;
	return 0;
}

int spool_sync(struct request_spool *s)
{
	return fdatasync(s->fd) ? -errno : 0;
}

void spool_end(struct request_spool *s, uint64_t number)
{
	const struct spooled x = { .number = number };

	/* Without room for the end, the server gets the request again after a restart. */
	if (--s->waiting) {
		append(s->fd, &s->size, &x);
		return;
	}
	if (!ftruncate(s->fd, 0))
		s->size = 0;
}

bool spool_is_long(const struct request_spool *s)
{
	return s->size > (off_t)SPOOL_MAX;
}

/* Puts a file with what waits in the place of the former. */
static int replace(struct request_spool *s, int *fd, const char *temporary, off_t size)
{
	if (fdatasync(*fd) || rename(temporary, s->path))
		return -errno;
	close_fd(&s->fd);
	s->fd = take_fd(*fd);
	s->size = size;
	return sync_directory(s->path);
}

int spool_renew(struct request_spool *s, const struct spooled *waiting, size_t n)
{
	char temporary[PATH_MAX];
	_cleanup_close_ int fd = -1;
	off_t size = 0;
	int r = 0;

	if (snprintf(temporary, sizeof(temporary), "%s.new", s->path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open(temporary, SPOOL_FLAGS | O_TRUNC, 0600);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < n && !r; i++)
		r = append(fd, &size, &waiting[i]);
	r = r ? r : replace(s, &fd, temporary, size);
	if (r)
		unlink(temporary);
	return r;
}
