/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_read.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/whole_file.h"
#include "base/withheld.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/query_ledger.h"
#include "history/history_claims.h"
#include "history/history_grant_days.h"

#define HEAD_MAX_SIZE 512

/* What is still incomplete after so many looks, with so much time between, was left by a crash. */
#define LOOKS	5U
#define LOOK_NS 10000000

int history_head_read(int dir, struct history_head *ret, char **ret_text)
{
	_cleanup_close_ int fd = file_open(dir, HISTORY_HEAD_FILE);
	char *text = NULL;
	_cleanup_json_ cJSON *json = NULL;
	uint64_t real_ms = 0, boot_ms = 0;
	size_t size;
	int r = fd < 0 ? -errno : file_read(fd, HEAD_MAX_SIZE, &text, &size);

	if (r)
		return r;
	/* Whoever damages the head does not get rid of it by that. */
	ret->audit_queries = memmem(text, size, QUERY_AUDIT, strlen(QUERY_AUDIT));
	*ret_text = text;
	text[size] = '\0';
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

/* One that still knows what has been forgotten since does not count. */
static int read_cache(int dir, struct history_files *f, size_t *ret_before)
{
	int r = history_cache_read(dir, f->text, f->size, &f->index, ret_before);

	if (r || !history_grants_gone(&f->index, dir, false))
		return r;
	history_index_free(&f->index);
	*ret_before = 0;
	return -ESTALE;
}

static int read_files(int dir, int fd, bool cached, bool evidence, struct history_files *ret)
{
	struct history_files f = { 0 };
	/*
	 * The head first: an agent that is appending writes it last, so the lines it covers are in the file by then.
	 */
	int head = history_head_read(dir, &f.head, &f.head_text);
	size_t before = 0, used;
	int r = file_read(fd, UINT64_MAX, &f.text, &f.size);

	r = r ? r : grant_days_new(dir, evidence, &f.days);
	if (r) {
		history_files_free(&f);
		return r;
	}
	if (!cached || read_cache(dir, &f, &before))
		history_index_init(&f.index);
	f.index.evidence = evidence;
	f.index.days = f.days;
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
	return read_files(dir, fd, false, false, ret);
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

/* An agent may have been writing that line: once it is whole, the next one is being written. */
static int read_again(int dir, int fd, bool cached, bool evidence, struct history_files *ret)
{
	const struct timespec wait = { .tv_nsec = LOOK_NS };
	uint64_t lines = ret->index.lines;
	int r;

	history_files_free(ret);
	nanosleep(&wait, NULL);
	r = read_files(dir, fd, cached, evidence, ret);
	if (r || ret->index.lines == lines)
		return r;
	ret->size -= ret->torn;
	ret->torn = 0;
	return 0;
}

/* What the head says of the time since the last line. */
static int take_head(struct history_files *f)
{
	int r = 0;

	if (!is_current(f))
		return 0;
	if (!f->index.withheld)
		r = history_clocks_extend(&f->index.clocks, f->head.time, f->head.clock);
	return !r && f->head.unrecorded ? history_index_lose(&f->index, history_files_known_until(f)) : r;
}

int history_files_of_text(const struct history_files *from, const char *text, size_t size, struct history_files *ret)
{
	struct history_files f = { .text = malloc(size + 1), .size = size, .end = from->end, .head = from->head };
	int r;

	history_index_init(&f.index);
	f.index.evidence = true;
	f.index.days = from->index.days;
	if (f.text)
		memcpy(f.text, text, size);
	r = f.text ? history_index_feed_all(&f.index, text, size, NULL) : -ENOMEM;
	r = r ? r : take_head(&f);
	if (r)
		history_files_free(&f);
	else
		*ret = f;
	return r;
}

static int read_named(const char *dir, bool cached, struct history_files *ret, struct error *err)
{
	_cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = dir_fd < 0 ? -1 : file_open(dir_fd, HISTORY_FILE);
	bool evidence;
	int r;

	if (dir_fd < 0)
		return error_set(err, -errno, "no mapping history at %s: %s; --state-dir names its directory", dir,
				 strerror(errno));
	if (fd < 0 && errno == ENOENT && !read_nothing(dir_fd, ret))
		return 0;
	if (fd < 0)
		return error_set(err, -errno, "no mapping history: %s/" HISTORY_FILE ": %s", dir, file_why(-errno));
	evidence = !faccessat(dir_fd, EVIDENCE_QUESTION, F_OK, 0);
	r = read_files(dir_fd, fd, cached, evidence, ret);
	for (unsigned i = 0; !r && ret->torn && i < LOOKS; i++)
		r = read_again(dir_fd, fd, cached, evidence, ret);
	if (!r && take_head(ret)) {
		history_files_free(ret);
		r = -ENOMEM;
	}
	return r ? error_set(err, r, "%s/" HISTORY_FILE " cannot be read: %s", dir, file_why(r)) : 0;
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
	free(take_pointer(f->text));
	free(take_pointer(f->head_text));
	grant_days_free(take_pointer(f->days));
}

int64_t history_files_known_until(const struct history_files *f)
{
	return is_current(f) && f->head.time > f->index.last_time ? f->head.time : f->index.last_time;
}
