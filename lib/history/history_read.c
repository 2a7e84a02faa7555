/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_read.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/whole_file.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "history/history_claims.h"

#define HEAD_MAX_SIZE 512
#define AUDIT	      "\"audit_queries\":true"

static int read_head(int dir, struct history_head *ret)
{
	_cleanup_close_ int fd = openat(dir, HISTORY_HEAD_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ cJSON *json = NULL;
	uint64_t real_ms = 0, boot_ms = 0;
	size_t size;
	int r = fd < 0 ? -errno : file_read(fd, HEAD_MAX_SIZE, &text, &size);

	if (r)
		return r;
	/* Whoever damages the head does not get rid of it by that. */
	ret->audit_queries = memmem(text, size, HISTORY_HEAD_AUDIT, strlen(HISTORY_HEAD_AUDIT));
	json = cJSON_ParseWithLength(text, size);
	if (strlen(json_text(json, "hash", "")) != HASH_TEXT - 1 || !json_count(json, "line", &ret->line) ||
	    !json_time(json, "time", &ret->time)) {
		ret->line = 0;
		return -EBADMSG;
	}
	memcpy(ret->hash, json_text(json, "hash", ""), HASH_TEXT);
	json_count(json, "real_ms", &real_ms);
	json_count(json, "boot_ms", &boot_ms);
	ret->real_ms = (int64_t)real_ms;
	ret->boot_ms = (int64_t)boot_ms;
	snprintf(ret->boot, sizeof(ret->boot), "%s", json_text(json, "boot", ""));
	snprintf(ret->gateway, sizeof(ret->gateway), "%s", json_text(json, "gateway", ""));
	ret->clock = clock_state_of(json);
	ret->unrecorded = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "unrecorded"));
	return 0;
}

bool history_audits_queries(const char *dir)
{
	_cleanup_close_ int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct history_head head = { 0 };

	if (at >= 0)
		read_head(at, &head);
	return head.audit_queries;
}

static bool has_hash(const char *text, size_t size, const char *hash)
{
	char end[HASH_TEXT + 16];
	int length = snprintf(end, sizeof(end), "\"%.64s\"}\n", hash);

	return memmem(text, size, end, (size_t)length);
}

bool history_has_hash(int fd, const char *hash)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	return !file_read(fd, UINT64_MAX, &text, &size) && has_hash(text, size, hash);
}

/* Lines beyond those covered by the head were appended by an agent that died before it wrote the head. */
static enum history_end compare_end(const struct history_files *f)
{
	if (f->head.line > f->index.number)
		return END_MISSING;
	return !f->head.line || has_hash(f->text, f->size, f->head.hash) ? END_AGREES : END_OTHER;
}

static int read_files(int dir, int fd, bool cached, struct history_files *ret)
{
	struct history_files f = { 0 };
	/*
	 * The head first: an agent that is appending writes it last, so the lines it covers are in the file by then.
	 */
	int head = read_head(dir, &f.head);
	size_t before = 0, used;
	int r = file_read(fd, UINT64_MAX, &f.text, &f.size);

	if (r)
		return r;
	if (!cached || history_cache_read(dir, f.text, f.size, &f.index, &before))
		history_index_init(&f.index);
	r = history_index_feed_all(&f.index, f.text + before, f.size - before, &used);
	if (r) {
		history_files_free(&f);
		return r;
	}
	f.torn = f.size - before - used;
	f.end = !head ? compare_end(&f) : head == -ENOENT ? END_NO_HEAD : END_BAD_HEAD;
	*ret = f;
	return 0;
}

int history_files_read_at(int dir, int fd, struct history_files *ret)
{
	return read_files(dir, fd, false, ret);
}

/* Claims may be there before the first start of an agent: the history is empty then. */
static int read_nothing(int dir, struct history_files *ret)
{
	if (faccessat(dir, CLAIMS_FILE, F_OK, 0))
		return -ENOENT;
	*ret = (struct history_files){ .text = strdup(""), .end = END_AGREES };
	history_index_init(&ret->index);
	return ret->text ? 0 : -ENOMEM;
}

/* Whether the head file is that of the last line. */
static bool is_current(const struct history_files *f)
{
	return f->end == END_AGREES && f->head.line == f->index.number && !strcmp(f->head.hash, f->index.hash);
}

static int read_named(const char *dir, bool cached, struct history_files *ret, struct error *err)
{
	_cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd =
		dir_fd < 0 ? -1 : openat(dir_fd, HISTORY_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (dir_fd < 0)
		return error_set(err, -errno, "no mapping history at %s: %s; --state-dir names its directory", dir,
				 strerror(errno));
	if (fd < 0 && errno == ENOENT && !read_nothing(dir_fd, ret))
		return 0;
	if (fd < 0)
		return error_set(err, -errno, "no mapping history: %s/" HISTORY_FILE ": %s", dir, strerror(errno));
	r = read_files(dir_fd, fd, cached, ret);
	/* An agent may have been writing that line: it is whole by now. */
	if (!r && ret->torn) {
		history_files_free(ret);
		r = read_files(dir_fd, fd, cached, ret);
	}
	if (!r && is_current(ret)) {
		r = history_clocks_extend(&ret->index.clocks, ret->head.time, ret->head.clock);
		r = !r && ret->head.unrecorded ? history_index_lose(&ret->index, history_files_known_until(ret)) : r;
		if (r)
			history_files_free(ret);
	}
	return r ? error_set(err, r, "%s/" HISTORY_FILE " cannot be read: %s", dir,
			     r == -EBADF ? "it is no regular file" : strerror(-r))
		 : 0;
}

int history_files_read(const char *dir, struct history_files *ret, struct error *err)
{
	return read_named(dir, false, ret, err);
}

int history_files_read_cached(const char *dir, struct history_files *ret, struct error *err)
{
	return read_named(dir, true, ret, err);
}

void history_files_free(struct history_files *f)
{
	history_index_free(&f->index);
	free(f->text);
	f->text = NULL;
}

int64_t history_files_known_until(const struct history_files *f)
{
	return is_current(f) && f->head.time > f->index.last_time ? f->head.time : f->index.last_time;
}
