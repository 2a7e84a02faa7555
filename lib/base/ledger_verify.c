/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/ledger_verify.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/array_grow.h"
#include "base/whole_file.h"
#include "base/json_scan.h"
#include "base/json_text.h"
#include "base/ledger.h"

/* A place in a file, with the begin of its hash, as the ledger has it. */
struct entry {
	uint64_t line, tip;
	uint64_t first; /* of lines that were found, 0: they were written */
};

struct file {
	char name[LEDGER_NAME];
	bool there, known; /* in the directory, and by the ledger, which has no removal of it */
	uint64_t size;	   /* octets, if it is there */
	struct entry *entry;
	size_t n, room;
	char tip[HASH_TEXT]; /* of the last entry */
	uint64_t erased;     /* lines, by the last erasure */
};

struct verification {
	int dir;
	ledger_found found;
	void *arg;
	struct ledger_state *state;
	struct file *file;
	size_t n, room;
	char *head; /* LEDGER_HEAD_FILE; NULL: there is none */
	uint64_t ledger;
	/* Of the file that is being read. */
	struct file *of;
	const char *name;
	uint64_t line;
	char hash[HASH_TEXT];
	size_t next; /* the entry that is compared next */
	uint64_t damaged, erased;
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
	v->found(v->arg, file, line, false, text);
}

/* Checks the number and the hash of the next line of a file. */
static void check_line(struct verification *v, const char *line, size_t size)
{
	uint64_t number = chain_number(line, size);
	int hash = chain_check(line, size, v->hash, v->hash);

	v->line++;
	if (hash == -EBADMSG && v->of && chain_erased(line, size)) {
		v->erased++;
		hash = 0;
		v->found(v->arg, v->name, v->line, true, "was erased");
	}
	if (hash == -EINVAL)
		find(v, v->name, v->line, "has no checksum: it was added, or changed");
	else if (number != v->line)
		find(v, v->name, v->line, "has the number %" PRIu64 ": lines before it are missing, or were added",
		     number);
	else if (hash)
		find(v, v->name, v->line, "was changed, or the end of the line before it: its checksum is wrong");
	v->damaged += hash || number != v->line;
	/* One fault is told once. */
	if (!hash)
		v->line = number;
}

/* The file of a name, which is mostly the one asked for last; NULL: no memory. */
static struct file *file_of(struct verification *v, const char *name)
{
	for (size_t i = v->n; i-- > 0;)
		if (!strcmp(v->file[i].name, name))
			return &v->file[i];
	if (array_grow(&v->file, v->n, &v->room, sizeof(*v->file)))
		return NULL;
	v->file[v->n] = (struct file){ 0 };
	snprintf(v->file[v->n].name, LEDGER_NAME, "%s", name);
	return &v->file[v->n++];
}

static uint64_t begin_of(const char *hash)
{
	char text[17];

	snprintf(text, sizeof(text), "%.16s", hash);
	return strtoull(text, NULL, 16);
}

static int add_entry(struct verification *v, const cJSON *json)
{
	const char *name = json_text(json, "file", ""), *tip = json_text(json, "tip", "");
	const char *event = json_text(json, "event", "");
	struct file *f;
	struct entry e = { .tip = begin_of(tip) };

	if (strlen(name) >= LEDGER_NAME || !*name || strlen(tip) != HASH_TEXT - 1)
		return 0;
	f = file_of(v, name);
	if (!f || array_grow(&f->entry, f->n, &f->room, sizeof(*f->entry)))
		return -ENOMEM;
	f->known = strcmp(event, "remove") != 0;
	/* A file that was removed and is there again begins anew. */
	if (!f->known) {
		f->n = 0;
		f->erased = 0;
		return 0;
	}
	if (!strcmp(event, "erase"))
		json_count(json, "erased", &f->erased);
	json_count(json, "lines", &e.line);
	if (!strcmp(event, "found"))
		json_count(json, "first", &e.first);
	if (f->n && f->entry[f->n - 1].line >= e.line + !strcmp(event, "erase"))
		find(v, f->name, e.line, "was written where line %" PRIu64 " had been: the end was cut off before",
		     f->entry[f->n - 1].line);
	f->entry[f->n++] = e;
	memcpy(f->tip, tip, HASH_TEXT);
	return 0;
}

static int ledger_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct verification *v = arg;
	_cleanup_json_ cJSON *json = cJSON_ParseWithLength(line, size);
	uint64_t format;

	(void)name;
	(void)number;
	check_line(v, line, size);
	if (json_count(json, "format", &format) && format > LEDGER_FORMAT)
		find(v, LEDGER_FILE, v->line, "is of a later version");
	return add_entry(v, json);
}

static void begin_file(struct verification *v, struct file *f, const char *name)
{
	v->of = f;
	v->name = name;
	v->line = v->damaged = v->erased = 0;
	v->next = 0;
	memcpy(v->hash, HASH_NONE, HASH_TEXT);
}

/* chain.head has the number and the hash of the ledger's last line. */
static void check_head(struct verification *v)
{
	_cleanup_json_ cJSON *json = v->head ? cJSON_Parse(v->head) : NULL;
	const cJSON *line = cJSON_GetObjectItemCaseSensitive(json, "line");

	/* The first writer has made the ledger, and no line of it yet. */
	if (!v->head && !v->line)
		return;
	if (!cJSON_IsNumber(line))
		find(v, LEDGER_HEAD_FILE, 0, "is missing or damaged: whether the ledger's end was cut cannot be seen");
	else if (line->valuedouble > (double)v->line)
		find(v, LEDGER_FILE, 0, "ends at line %" PRIu64 ", and had %.0f: its end was cut off", v->line,
		     line->valuedouble);
	else if (line->valuedouble == (double)v->line && strcmp(json_text(json, "hash", ""), v->hash) != 0)
		find(v, LEDGER_FILE, 0, "has another last line than " LEDGER_HEAD_FILE " says");
}

static int check_ledger(struct verification *v, int fd)
{
	size_t torn = 0;
	int r;

	begin_file(v, NULL, LEDGER_FILE);
	r = chain_read_part(fd, LEDGER_FILE, 0, v->ledger, ledger_line, v, &torn);
	if (r)
		return r;
	v->state->ledger = v->line;
	memcpy(v->state->hash, v->hash, HASH_TEXT);
	if (torn)
		find(v, LEDGER_FILE, v->line + 1, "is incomplete, as of a crash");
	check_head(v);
	return 0;
}

static int file_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct verification *v = arg;
	const struct file *f = v->of;

	(void)name;
	check_line(v, line, size);
	v->state->lines++;
	for (; v->next < f->n && f->entry[v->next].line <= number; v->next++) {
		const struct entry *e = &f->entry[v->next];

		if (e->line == number && e->tip != begin_of(v->hash))
			find(v, name, number, "is another line than the ledger has");
		else if (e->line == number && e->first)
			find(v, name, e->first, "and what follows to line %" PRIu64 " was added: no writer entered it",
			     number);
	}
	return 0;
}

static void check_end(struct verification *v, const struct file *f, size_t torn)
{
	const struct entry *last = f->known ? &f->entry[f->n - 1] : NULL;

	if (torn)
		find(v, f->name, v->line + 1, "is incomplete, as of a crash");
	if (!last)
		find(v, f->name, 0, "is not in the ledger: it was added");
	else if (v->line < last->line)
		find(v, f->name, 0, "ends at line %" PRIu64 ", and had %" PRIu64 ": its end was cut off", v->line,
		     last->line);
	else if (v->line > last->line && !v->damaged)
		find(v, f->name, last->line + 1, "and what follows is not in the ledger: added, or written at a crash");
	else if (v->line == last->line && !v->damaged && strcmp(v->hash, f->tip) != 0)
		find(v, f->name, v->line, "is another line than the ledger has");
	if (v->erased != f->erased)
		find(v, f->name, 0, "has %" PRIu64 " erased lines, and the ledger says %" PRIu64, v->erased, f->erased);
}

static int check_file(struct verification *v, struct file *f)
{
	_cleanup_close_ int fd = file_open(v->dir, f->name);
	size_t torn = 0;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0; /* it was removed meanwhile */
	if (fd < 0)
		return -errno;
	begin_file(v, f, f->name);
	v->state->files++;
	r = chain_read_part(fd, f->name, 0, f->size, file_line, v, &torn);
	if (r)
		return r;
	check_end(v, f, torn);
	v->state->erased += v->erased;
	return 0;
}

static int list_files(struct verification *v, DIR *d)
{
	const struct dirent *entry;
	struct stat st;

	while ((entry = readdir(d))) {
		struct file *f;

		if (!ledger_file_named(entry->d_name) || fstatat(v->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (!S_ISREG(st.st_mode))
			return -EBADF;
		f = file_of(v, entry->d_name);
		if (!f)
			return -ENOMEM;
		f->there = true;
		f->size = (uint64_t)st.st_size;
	}
	return 0;
}

static void read_head(struct verification *v)
{
	_cleanup_close_ int fd = file_open(v->dir, LEDGER_HEAD_FILE);
	size_t size;

	free(take_pointer(v->head));
	if (fd >= 0 && !file_read(fd, 4096, &v->head, &size))
		v->head[size] = '\0';
}

/* What is there at one moment: a writer waits meanwhile. *ret_fd: the ledger, -1: there is none. */
static int look(struct verification *v, int *ret_fd)
{
	int fd = file_open(v->dir, LEDGER_FILE), r;
	struct stat st;
	DIR *d;

	if (fd < 0 && errno != ENOENT)
		return -errno;
	/* A copy may be where there are no locks. */
	if (fd >= 0)
		flock(fd, LOCK_SH);
	d = fdopendir(openat(v->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	r = d ? list_files(v, d) : -errno;
	if (d)
		closedir(d);
	read_head(v);
	if (fd >= 0 && !fstat(fd, &st))
		v->ledger = (uint64_t)st.st_size;
	if (fd >= 0)
		flock(fd, LOCK_UN);
	/* The first writer made it meanwhile, before its file. */
	if (!r && fd < 0 && v->n && !faccessat(v->dir, LEDGER_FILE, F_OK, AT_SYMLINK_NOFOLLOW))
		return look(v, ret_fd);
	*ret_fd = fd;
	return r;
}

static int verify(struct verification *v)
{
	_cleanup_close_ int fd = -1;
	int r = look(v, &fd);

	if (!r && fd >= 0)
		r = check_ledger(v, fd);
	for (size_t i = 0; i < v->n && !r; i++) {
		if (v->file[i].there)
			r = check_file(v, &v->file[i]);
		else if (v->file[i].known)
			find(v, v->file[i].name, 0, "is gone, and the ledger has no removal of it");
	}
	return r;
}

int ledger_verify(const char *dir, ledger_found found, void *arg, struct ledger_state *ret, struct error *err)
{
	struct ledger_state state = { .hash = HASH_NONE };
	struct verification v = {
		.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .found = found, .arg = arg, .state = &state
	};
	int r = v.dir < 0 ? -errno : verify(&v);

	close_fd(&v.dir);
	for (size_t i = 0; i < v.n; i++)
		free(v.file[i].entry);
	free(v.file);
	free(v.head);
	if (r)
		return error_set(err, r, "%.200s cannot be read: %s", dir, strerror(-r));
	*ret = state;
	return 0;
}
