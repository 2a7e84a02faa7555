// SPDX-License-Identifier: BSD-2-Clause
#include "leases/chain_verify.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "leases/chained_file.h"
#include "leases/lease_files.h"

#define NAME_TEXT 32

/* What the ledger says about a file at a time. */
struct entry {
	char file[NAME_TEXT];
	uint64_t lines;
	char tip[HASH_TEXT];
	bool removed;
};

struct verification {
	int dir;
	chain_found found;
	void *arg;
	struct chain_state *state;
	struct entry *entry;
	size_t n, room;
	/* Of the file that is being read. */
	const char *file;
	uint64_t line;
	char hash[HASH_TEXT];
	size_t next; /* the entry that is compared next */
	uint64_t damaged;
};

static void __attribute__((format(printf, 4, 5)))
find(struct verification *v, const char *file, uint64_t line, const char *format, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	v->state->wrong++;
	v->found(v->arg, file, line, text);
}

/* Checks the number and the hash of the next line of a file. */
static void check_line(struct verification *v, const char *line, size_t size)
{
	static const char begin[] = "{\"line\":";
	uint64_t number = 0;
	int hash;

	if (size > strlen(begin) && !memcmp(line, begin, strlen(begin)))
		number = strtoull(line + strlen(begin), NULL, 10);
	v->line++;
	hash = history_hash_check(line, size, v->hash, v->hash);
	if (hash == -EINVAL)
		find(v, v->file, v->line, "has no checksum: it was added, or changed");
	else if (number != v->line)
		find(v, v->file, v->line, "has the number %" PRIu64 ": lines before it are missing, or were added",
		     number);
	else if (hash)
		find(v, v->file, v->line, "was changed, or the end of the line before it: its checksum is wrong");
	v->damaged += hash || number != v->line;
	/* One fault is told once. */
	if (!hash)
		v->line = number;
}

static const char *text_of(const cJSON *json, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));

	return text ? text : "";
}

static int add_entry(struct verification *v, const cJSON *json)
{
	const cJSON *lines = cJSON_GetObjectItemCaseSensitive(json, "lines");
	const char *file = text_of(json, "file"), *tip = text_of(json, "tip");
	struct entry *larger;

	if (strlen(file) >= NAME_TEXT || !*file || strlen(tip) != HASH_TEXT - 1 || !cJSON_IsNumber(lines) ||
	    lines->valuedouble < 0 || lines->valuedouble > 1e15)
		return 0;
	if (v->n == v->room) {
		v->room = v->room ? v->room * 2 : 256;
		larger = reallocarray(v->entry, v->room, sizeof(*v->entry));
		if (!larger)
			return -ENOMEM;
		v->entry = larger;
	}
	v->entry[v->n] = (struct entry){ .lines = (uint64_t)lines->valuedouble,
					 .removed = !strcmp(text_of(json, "event"), "remove") };
	memcpy(v->entry[v->n].file, file, strlen(file) + 1);
	memcpy(v->entry[v->n++].tip, tip, HASH_TEXT);
	return 0;
}

static int ledger_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct verification *v = arg;
	cJSON *json = cJSON_ParseWithLength(line, size);
	int r = add_entry(v, json);

	(void)name;
	(void)number;
	check_line(v, line, size);
	cJSON_Delete(json);
	return r;
}

static void begin_file(struct verification *v, const char *file)
{
	v->file = file;
	v->line = 0;
	v->damaged = 0;
	v->next = 0;
	memcpy(v->hash, HASH_NONE, HASH_TEXT);
}

/* chain.head has the number and the hash of the ledger's last line. */
static void check_head(struct verification *v)
{
	_cleanup_close_ int fd = openat(v->dir, CHAIN_HEAD_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[257];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	cJSON *json = n > 0 ? cJSON_ParseWithLength(text, (size_t)n) : NULL;
	const cJSON *line = cJSON_GetObjectItemCaseSensitive(json, "line");

	if (!cJSON_IsNumber(line))
		find(v, CHAIN_HEAD_FILE, 0, "is missing or damaged: whether the ledger's end was cut cannot be seen");
	else if (line->valuedouble > (double)v->line)
		find(v, CHAIN_FILE, 0, "ends at line %" PRIu64 ", and had %.0f: its end was cut off", v->line,
		     line->valuedouble);
	else if (line->valuedouble == (double)v->line && strcmp(text_of(json, "hash"), v->hash) != 0)
		find(v, CHAIN_FILE, 0, "has another last line than " CHAIN_HEAD_FILE " says");
	cJSON_Delete(json);
}

static int read_ledger(struct verification *v)
{
	size_t torn = 0;
	int r;

	begin_file(v, CHAIN_FILE);
	r = lease_file_read(v->dir, CHAIN_FILE, ledger_line, v, &torn);
	if (r == -ENOENT)
		return 0;
	if (r)
		return r;
	v->state->ledger = v->line;
	memcpy(v->state->hash, v->hash, HASH_TEXT);
	if (torn)
		find(v, CHAIN_FILE, v->line + 1, "is incomplete: it is being written, or was at a crash");
	check_head(v);
	return 0;
}

/* The next entry about the current file, from v->next on; NULL: there is none. */
static const struct entry *next_entry(struct verification *v)
{
	while (v->next < v->n && (strcmp(v->entry[v->next].file, v->file) != 0 || v->entry[v->next].removed))
		v->next++;
	return v->next < v->n ? &v->entry[v->next] : NULL;
}

static int file_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct verification *v = arg;
	const struct entry *e;

	(void)name;
	check_line(v, line, size);
	v->state->lines++;
	while ((e = next_entry(v)) && e->lines <= number) {
		if (e->lines == number && strcmp(e->tip, v->hash) != 0)
			find(v, v->file, number, "is another line than the ledger has");
		v->next++;
	}
	return 0;
}

/* What the ledger says last about a file; NULL: nothing. */
static const struct entry *last_entry(const struct verification *v, const char *file)
{
	for (size_t i = v->n; i-- > 0;)
		if (!strcmp(v->entry[i].file, file))
			return &v->entry[i];
	return NULL;
}

/* A file that was removed and is there again begins anew. */
static void skip_removed(struct verification *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->entry[i].removed && !strcmp(v->entry[i].file, v->file))
			v->next = i + 1;
}

static int check_file(struct verification *v, const char *file)
{
	const struct entry *last = last_entry(v, file);
	size_t torn = 0;
	int r;

	begin_file(v, file);
	skip_removed(v);
	v->state->files++;
	if (!last || last->removed)
		find(v, file, 0, "is not in the ledger: it was added");
	r = lease_file_read(v->dir, file, file_line, v, &torn);
	if (r)
		return r;
	if (torn)
		find(v, file, v->line + 1, "is incomplete: it is being written, or was at a crash");
	if (last && !last->removed && v->line < last->lines)
		find(v, file, 0, "ends at line %" PRIu64 ", and had %" PRIu64 ": its end was cut off", v->line,
		     last->lines);
	if (last && !last->removed && v->line > last->lines && !v->damaged)
		find(v, file, last->lines + 1, "and what follows is not in the ledger: added, or written at a crash");
	return 0;
}

static bool is_ours(const char *name)
{
	size_t n = strlen(name);

	return lease_file_named(name) || (n == strlen("queries-2026-01.jsonl") && !strncmp(name, "queries-", 8) &&
					  !strcmp(name + n - 6, ".jsonl"));
}

static int check_files(struct verification *v, const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return -errno;
	while (!r && (entry = readdir(d)))
		if (is_ours(entry->d_name))
			r = check_file(v, entry->d_name);
	closedir(d);
	return r;
}

static void check_gone(struct verification *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct entry *e = &v->entry[i];

		if (last_entry(v, e->file) != e || e->removed || !faccessat(v->dir, e->file, F_OK, AT_SYMLINK_NOFOLLOW))
			continue;
		find(v, e->file, 0, "is gone, and the ledger has no removal of it");
	}
}

int chain_verify(const char *dir, chain_found found, void *arg, struct chain_state *ret, struct error *err)
{
	struct chain_state state = { .hash = HASH_NONE };
	struct verification v = {
		.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .found = found, .arg = arg, .state = &state
	};
	int r = v.dir < 0 ? -errno : read_ledger(&v);

	r = r ? r : check_files(&v, dir);
	if (!r)
		check_gone(&v);
	close_fd(&v.dir);
	free(v.entry);
	if (r)
		return error_set(err, r, "%.200s cannot be read: %s", dir, strerror(-r));
	*ret = state;
	return 0;
}
