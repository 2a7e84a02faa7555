/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/ledger.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/whole_file.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/rights.h"
#include "base/timestamp.h"

/* Larger than a line of the ledger. */
#define ENTRY_MAX   1024U
#define BLOCK_SIZE  (64U << 10)
#define HEAD_MAX    1024U
#define NAME_MAX_OF 100

/*
 * The directory, and its ledger, locked. What root makes in another's directory belongs to the other, who goes on
 * writing it.
 */
struct ledger {
	int dir;
	struct chain chain;
	struct rights rights;
};

static void ledger_close(struct ledger *l)
{
	chain_close(&l->chain);
	close_fd(&l->dir);
	rights_restore(&l->rights);
}

/* Replaces the file that has the ledger's end. file: that is being written from a place on, NULL: none is. */
static int write_head(const struct ledger *l, const char *file, const struct chain_tip *from, int64_t now)
{
	char text[HEAD_MAX], time[TIME_TEXT];
	int n = snprintf(text, sizeof(text), "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"hash\":\"%s\"", l->chain.tip.line,
			 time_format(now, time), l->chain.tip.hash);

	if (file)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      ",\"writing\":{\"file\":\"%.*s\",\"lines\":%" PRIu64 ",\"octets\":%" PRIu64
			      ",\"tip\":\"%s\"}",
			      NAME_MAX_OF, file, from->line, from->size, from->hash);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "}\n");
	return file_replace(l->dir, LEDGER_HEAD_FILE, text, (size_t)n, NULL, !file, NULL);
}

/* Reads a place in a file. */
static bool read_place(const cJSON *json, struct chain_tip *ret)
{
	const char *tip = json_text(json, "tip", "");

	if (strlen(tip) != HASH_TEXT - 1 || !json_count(json, "lines", &ret->line) ||
	    !json_count(json, "octets", &ret->size))
		return false;
	memcpy(ret->hash, tip, HASH_TEXT);
	return true;
}

/* Reads what a line of the ledger says of a file; false: it is not about it. */
static bool read_entry(const char *line, size_t size, const char *file, struct chain_tip *ret)
{
	_cleanup_json_ cJSON *json = cJSON_ParseWithLength(line, size);

	if (strcmp(json_text(json, "file", ""), file) != 0 || !read_place(json, ret))
		return false;
	if (!strcmp(json_text(json, "event", ""), "remove"))
		*ret = (struct chain_tip){ .hash = HASH_NONE };
	return true;
}

/* The last of some whole lines, the first of which may be cut, that is about a file. */
static bool last_entry(const char *text, size_t size, const char *file, struct chain_tip *ret)
{
	for (const char *begin; size; size = (size_t)(begin - text)) {
		const char *newline = size > 1 ? memrchr(text, '\n', size - 1) : NULL;

		begin = newline ? newline + 1 : text;
		if (memmem(begin, size - (size_t)(begin - text), file, strlen(file)) &&
		    read_entry(begin, size - (size_t)(begin - text), file, ret))
			return true;
	}
	return false;
}

/* What the ledger says last of a file. 0 or -errno. */
static int find_entry(const struct ledger *l, const char *file, struct chain_tip *ret)
{
	_cleanup_free_ char *block = malloc(BLOCK_SIZE);
	uint64_t end = l->chain.tip.size;

	*ret = (struct chain_tip){ .hash = HASH_NONE };
	while (block && end) {
		size_t n = end < BLOCK_SIZE ? (size_t)end : BLOCK_SIZE;
		ssize_t got = pread(l->chain.fd, block, n, (off_t)(end - n));

		if (got != (ssize_t)n)
			return got < 0 ? -errno : -EIO;
		if (last_entry(block, n, file, ret))
			return 0;
		/* The line that this block has cut is in the next one as a whole. */
		end -= n > ENTRY_MAX && end > n ? n - ENTRY_MAX : n;
	}
	return block ? 0 : -ENOMEM;
}

/* Says in the ledger what became of a file, or leaves the ledger as it was. more: of the line, with a comma before. */
static int enter(struct ledger *l, const char *event, const char *file, const struct chain_tip *tip, const char *more,
		 int64_t now)
{
	_cleanup_free_ char *line = NULL;
	char body[ENTRY_MAX], time[TIME_TEXT];
	struct chain_tip before = l->chain.tip, after = before;
	int n = snprintf(body, sizeof(body),
			 "\"time\":\"%s\",\"event\":\"%s\",\"file\":\"%.*s\",\"lines\":%" PRIu64 ",\"octets\":%" PRIu64
			 ",\"tip\":\"%s\"%s\n",
			 time_format(now, time), event, NAME_MAX_OF, file, tip->line, tip->size, tip->hash, more);
	size_t size = 0;
	int r = chain_write_all(body, (size_t)n, &after, &line, &size);

	r = r ? r : chain_append(&l->chain, line, size, &after, true);
	if (r)
		return r;
	r = write_head(l, NULL, NULL, now);
	if (r)
		chain_take_back(&l->chain, &before);
	return r;
}

static int say(struct error *err, int r, const char *dir, const char *file)
{
	if (r == -EBADMSG)
		return error_set(err, r, "%.200s/%s: its last line is none that detnat wrote; move the file away", dir,
				 file);
	return error_set(err, r, "%.200s/%s cannot be written: %s", dir, file, strerror(-r));
}

/* Takes back what a crash left of a writing that the ledger does not have. 0 or -errno. */
static int recover(const struct ledger *l)
{
	_cleanup_close_ int fd = file_open(l->dir, LEDGER_HEAD_FILE);
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ cJSON *json = NULL;
	struct chain c = { .fd = -1 };
	struct chain_tip from, entry;
	const cJSON *writing;
	const char *file;
	size_t size;
	int r;

	if (fd < 0 || file_read(fd, HEAD_MAX, &text, &size))
		return 0;
	json = cJSON_ParseWithLength(text, size);
	writing = cJSON_GetObjectItemCaseSensitive(json, "writing");
	file = json_text(writing, "file", "/");
	if (strchr(file, '/') || !read_place(writing, &from))
		return 0;
	r = find_entry(l, file, &entry);
	if (r || entry.line != from.line || strcmp(entry.hash, from.hash) != 0)
		return r;
	if (!chain_open(l->dir, file, O_RDWR, &c) && !chain_find_tip(&c) && c.tip.line > from.line)
		r = chain_take_back(&c, &from);
	chain_close(&c);
	return r;
}

static int ledger_open(const char *dir, struct ledger *ret)
{
	struct ledger l = { .dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .chain.fd = -1 };
	int r;

	if (l.dir < 0)
		return -errno;
	l.rights = rights_of(l.dir);
	r = chain_open(l.dir, LEDGER_FILE, O_RDWR | O_CREAT, &l.chain);
	if (!r && flock(l.chain.fd, LOCK_EX))
		r = -errno;
	r = r ? r : chain_find_tip(&l.chain);
	r = r ? r : recover(&l);
	if (r) {
		ledger_close(&l);
		return r;
	}
	*ret = l;
	return 0;
}

/* Tells the ledger of lines that are no writer's. */
static int settle(struct ledger *l, struct chain *c, const char *file, int64_t now)
{
	struct chain_tip entry;
	char more[64];
	int r = c->tip.line ? find_entry(l, file, &entry) : 0;

	if (r || !c->tip.line || c->tip.line <= entry.line)
		return r;
	snprintf(more, sizeof(more), ",\"first\":%" PRIu64 ",\"format\":%u", entry.line + 1, LEDGER_FORMAT);
	return enter(l, "found", file, &c->tip, more, now);
}

/* Lines that the ledger cannot name are taken back, as their writer will try again. */
static int grow(struct ledger *l, struct chain *c, const char *file, const char *bodies, size_t size, int64_t now)
{
	_cleanup_free_ char *lines = NULL;
	struct chain_tip before = c->tip, after = before;
	size_t n = 0;
	int r = chain_write_all(bodies, size, &after, &lines, &n);

	r = r ? r : write_head(l, file, &before, now);
	r = r ? r : chain_append(c, lines, n, &after, true);
	if (r)
		return r;
	r = fsync(l->dir) ? -errno : enter(l, "grow", file, &after, "", now);
	if (r)
		chain_take_back(c, &before);
	return r;
}

/* The index of a file, which would have traces of what is gone from it. */
static void remove_index(const struct ledger *l, const char *file)
{
	char name[LEDGER_NAME];

	unlinkat(l->dir, ledger_index_name(file, name), 0);
}

/* Opens the ledger of a directory, and one of its files. 0, or -errno with err. */
static int open_both(const char *dir, const char *file, int flags, struct ledger *l, struct chain *c, struct error *err)
{
	int r = ledger_open(dir, l);

	if (r)
		return say(err, r, dir, LEDGER_FILE);
	r = chain_open(l->dir, file, flags, c);
	if (r) {
		ledger_close(l);
		return say(err, r, dir, file);
	}
	return 0;
}

static int close_both(const char *dir, const char *file, struct ledger *l, struct chain *c, int r, struct error *err)
{
	chain_close(c);
	ledger_close(l);
	return r ? say(err, r, dir, file) : 0;
}

int ledger_append(const char *dir, const char *file, const char *bodies, size_t size, int64_t now, struct error *err)
{
	struct chain c = { .fd = -1 };
	struct ledger l;
	int r = open_both(dir, file, O_RDWR | O_CREAT, &l, &c, err);

	if (r)
		return r;
	r = chain_find_tip(&c);
	r = r ? r : settle(&l, &c, file, now);
	r = r ? r : grow(&l, &c, file, bodies, size, now);
	return close_both(dir, file, &l, &c, r, err);
}

int ledger_remove(const char *dir, const char *file, int64_t now, struct error *err)
{
	struct chain c = { .fd = -1 };
	struct ledger l;
	int r = open_both(dir, file, O_RDONLY, &l, &c, err);

	if (r)
		return r;
	/* One without an end goes, too. */
	chain_find_tip(&c);
	r = enter(&l, "remove", file, &c.tip, "", now);
	if (!r && unlinkat(l.dir, file, 0))
		r = -errno;
	if (!r)
		remove_index(&l, file);
	return close_both(dir, file, &l, &c, r, err);
}

/* Names have the order of their times. */
int ledger_expire(const struct ledger_expiry *x, int64_t now, unsigned *ret, struct error *err)
{
	struct ledger_names names = { 0 };
	char first[LEDGER_NAME];
	int r = ledger_files_list(x->dir, x->kind, &names, err);

	*ret = 0;
	ledger_file_name(x->kind, x->before, first);
	for (size_t i = 0; i < names.n && !r && strcmp(names.name[i], first) < 0; i++) {
		if (x->stays && x->stays(x->arg, names.name[i]))
			continue;
		r = x->dry ? 0 : ledger_remove(x->dir, names.name[i], now, err);
		if (!r && x->gone)
			x->gone(x->arg, names.name[i]);
		*ret += !r;
	}
	free(names.name);
	return r;
}

/* A file on its way, without the lines that are picked. */
struct erasure {
	ledger_pick pick;
	void *arg;
	FILE *out;
	uint64_t n;
	uint64_t before; /* were erased before */
};

static int take_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct erasure *e = arg;

	(void)name;
	(void)number;
	if (chain_erased(line, size)) {
		e->before++;
	} else if (e->pick(e->arg, line, size)) {
		e->n++;
		return chain_erase(e->out, line, size);
	}
	return fprintf(e->out, "%.*s\n", (int)size, line) < 0 ? -ENOMEM : 0;
}

/* Puts the other file in the place of one, once the ledger knows of it. */
static int replace(struct ledger *l, const struct chain *c, const char *file, const char *text, size_t size,
		   uint64_t erased, int64_t now)
{
	struct chain_tip tip = c->tip, before = l->chain.tip;
	char more[64];
	struct stat st;
	int r = fstat(c->fd, &st) ? -errno : 0;

	tip.size = size;
	snprintf(more, sizeof(more), ",\"erased\":%" PRIu64 ",\"format\":%u", erased, LEDGER_FORMAT);
	r = r ? r : enter(l, "erase", file, &tip, more, now);
	if (r)
		return r;
	r = file_replace(l->dir, file, text, size, &st, true, NULL);
	if (r && !chain_take_back(&l->chain, &before))
		write_head(l, NULL, NULL, now);
	return r;
}

static int erase(struct ledger *l, struct chain *c, const char *file, struct erasure *e, int64_t now)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, torn;
	int r;

	e->out = open_memstream(&text, &size);
	if (!e->out)
		return -ENOMEM;
	r = chain_read_part(c->fd, file, 0, c->tip.size, take_line, e, &torn);
	if (fclose(e->out) && !r)
		r = -ENOMEM;
	return r || !e->n ? r : replace(l, c, file, text, size, e->n + e->before, now);
}

int ledger_erase(const char *dir, const char *file, ledger_pick pick, void *arg, int64_t now, uint64_t *ret,
		 struct error *err)
{
	struct erasure e = { .pick = pick, .arg = arg };
	struct chain c = { .fd = -1 };
	struct ledger l;
	int r = open_both(dir, file, O_RDONLY, &l, &c, err);

	*ret = 0;
	if (r)
		return r;
	r = chain_find_tip(&c);
	r = r ? r : settle(&l, &c, file, now);
	r = r ? r : erase(&l, &c, file, &e, now);
	*ret = e.n;
	if (!r && e.n)
		remove_index(&l, file);
	return close_both(dir, file, &l, &c, r, err);
}

int ledger_tip(const char *dir, struct chain_tip *ret)
{
	_cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = at < 0 ? -errno : chain_tip_at(at, LEDGER_FILE, ret);

	if (at < 0)
		*ret = (struct chain_tip){ .hash = HASH_NONE };
	return r == -ENOENT ? 0 : r;
}
