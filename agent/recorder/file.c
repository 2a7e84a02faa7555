/* SPDX-License-Identifier: BSD-2-Clause */
#include "recorder/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

#include "base/query_ledger.h"
#include "base/whole_file.h"
#include "base/log.h"
#include "history/history_read.h"
#include "host/accounts.h"
#include "host/paths.h"
#include "recorder/grant_files.h"
#include "history/history_grant_days.h"

/* Damaged places of a file that are logged. */
#define MAX_LOGGED 5U

static int refuse(const struct history_file *f, int r, const char *what, struct error *err)
{
	return error_set(err, r, "mapping history %s%s: %s", f->path, what, strerror(-r));
}

/* Members of the control socket's group may run `who`. */
static void show_to_readers(const struct history_file *f)
{
	const int fds[] = { f->dir, f->chain.fd, f->head };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		int r = give_to_readers(fds[i]);

		if (r)
			log_warning("mapping history %s: cannot be given to the group " GROUP_READERS ": %s", f->path,
				    strerror(-r));
	}
}

static int open_files(const char *dir, struct history_file *f, struct error *err)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct error why;
	int r = path_make_directory(dir, 0750, &why);

	if (r && *why.text)
		return error_set(err, r, "state_dir %s: %s", dir, why.text);
	if (!r) {
		f->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = f->dir < 0 ? -errno : 0;
	}
	if (r)
		return error_set(err, r, "state_dir %s: %s", dir, strerror(-r));
	r = chain_open(f->dir, HISTORY_FILE, O_RDWR | O_CREAT, &f->chain);
	if (r)
		return refuse(f, r, "", err);
	r = path_check_file(f->chain.fd, f->path, &why);
	if (r)
		return error_set(err, r, "mapping history: %s", why.text);
	if (flock(f->chain.fd, LOCK_EX | LOCK_NB))
		return error_set(err, -errno, "mapping history %s: %s", f->path,
				 errno == EWOULDBLOCK ? "another agent uses it" : strerror(errno));
	f->head = openat(f->dir, HISTORY_HEAD_FILE, flags, 0640);
	if (f->head < 0)
		return refuse(f, -errno, ", " HISTORY_HEAD_FILE " beside it", err);
	show_to_readers(f);
	return 0;
}

static void tell_damage(const struct history_file *f, const struct history_files *files)
{
	const struct history_index *x = &f->index;

	for (size_t i = 0; i < x->n_damages && i < MAX_LOGGED; i++)
		log_error("mapping history %s: line %" PRIu64 " %s", f->path, x->damages[i].line, x->damages[i].text);
	if (x->n_damages > MAX_LOGGED)
		log_error("mapping history %s: and %zu more places; see detnatctl history verify", f->path,
			  x->n_damages - MAX_LOGGED);
	if (files->end == END_MISSING)
		log_error("mapping history %s: lines %" PRIu64 " to %" PRIu64 " are missing at its end", f->path,
			  x->number + 1, files->head.line);
	if (files->end == END_OTHER)
		log_error("mapping history %s: a line that it once had, with checksum %s, is missing", f->path,
			  files->head.hash);
}

/*
 * Takes over the lines read, and removes an incomplete one: a crash interrupted its write, so its change never took
 * effect.
 */
static int mend(struct history_file *f, struct history_files *files, struct error *err)
{
	struct chain_tip tip = { .line = files->index.number, .size = files->size - files->torn };
	int r;

	f->index = files->index;
	history_index_init(&files->index);
	f->days = take_pointer(files->days);
	grant_days_clear(f->days);
	memcpy(tip.hash, f->index.hash, HASH_TEXT);
	f->chain.tip = tip;
	if (!files->torn)
		return 0;
	r = chain_take_back(&f->chain, &tip);
	if (!r && fsync(f->chain.fd))
		r = -errno;
	if (r)
		return refuse(f, r, ": an incomplete line at its end cannot be removed", err);
	log_warning("mapping history %s: %zu octets of an incomplete line were removed from its end; the change they "
		    "recorded did not take effect",
		    f->path, files->torn);
	return 0;
}

/* The directory's name stays; a new directory, or one of an earlier version, gets one (RFC 9562, version 4). */
static int name_gateway(struct history_file *f, const char *started, const char *in_head)
{
	const char *known = *started ? started : in_head;
	uint16_t x[8];

	if (history_gateway_valid(known)) {
		memcpy(f->gateway, known, GATEWAY_TEXT);
		return 0;
	}
	if (getrandom(x, sizeof(x), 0) != (ssize_t)sizeof(x))
		return errno_or(EIO);
	x[3] = (uint16_t)((x[3] & 0x0fff) | 0x4000);
	x[4] = (uint16_t)((x[4] & 0x3fff) | 0x8000);
	snprintf(f->gateway, sizeof(f->gateway), "%04x%04x-%04x-%04x-%04x-%04x%04x%04x", x[0], x[1], x[2], x[3], x[4],
		 x[5], x[6], x[7]);
	return 0;
}

static int open_locked(const char *dir, struct history_file *f, struct error *err)
{
	struct history_files files = { 0 };
	int r = open_files(dir, f, err);

	if (r)
		return r;
	r = history_files_read_at(f->dir, f->chain.fd, &files);
	if (r)
		return refuse(f, r, "", err);
	f->known_until = history_files_known_until(&files);
	f->audit_queries = files.head.audit_queries;
	f->was = files.end == END_AGREES ? files.head : (struct history_head){ 0 };
	r = name_gateway(f, files.index.gateway, files.head.gateway);
	r = r ? refuse(f, r, ": no name for the gateway", err) : mend(f, &files, err);
	if (!r)
		tell_damage(f, &files);
	history_files_free(&files);
	/* Makes the directory entry of a new file survive a crash. */
	if (!r && fsync(f->dir))
		r = refuse(f, -errno, ": its directory", err);
	return r;
}

void history_file_init(struct history_file *f)
{
	*f = (struct history_file){ .dir = -1, .chain.fd = -1, .head = -1 };
	history_index_init(&f->index);
}

int history_file_open(const char *dir, struct history_file *ret, struct error *err)
{
	struct history_file f;
	int r;

	history_file_init(&f);
	if (asprintf(&f.path, "%s/" HISTORY_FILE, dir) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	r = open_locked(dir, &f, err);
	if (r) {
		history_file_close(&f);
		return r;
	}
	*ret = f;
	return 0;
}

void history_file_close(struct history_file *f)
{
	close_fd(&f->dir);
	chain_close(&f->chain);
	close_fd(&f->head);
	f->dir = f->head = -1;
	history_index_free(&f->index);
	grant_days_free(take_pointer(f->days));
	free(take_pointer(f->path));
}

/* Checks that the path still leads to the file and that no other program has written to it. */
static int check_file(struct history_file *f, struct error *err)
{
	int r = chain_same(&f->chain, f->dir, HISTORY_FILE);

	if (r == -ESTALE)
		return error_set(err, r, "mapping history %s: was moved or removed; put it back, or restart the agent",
				 f->path);
	if (r == -EBUSY)
		return error_set(err, -ESTALE, "mapping history %s: was changed by another program; restart the agent",
				 f->path);
	return r ? refuse(f, r, f->chain.torn ? ": the remains of a failed write cannot be removed" : "", err) : 0;
}

static int write_records(struct history_record *records, size_t n, struct chain_tip *tip, char **ret_text,
			 size_t *ret_size)
{
	FILE *memory = open_memstream(ret_text, ret_size);
	int r = 0;

	if (!memory)
		return -ENOMEM;
	for (size_t i = 0; i < n && !r; i++) {
		r = history_record_write(memory, &records[i], tip);
		records[i].line = tip->line;
	}
	return fclose(memory) && !r ? -ENOMEM : r;
}

int history_file_append(struct history_file *f, struct history_record *records, size_t n, bool sync, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	struct chain_tip tip = f->chain.tip;
	size_t size = 0;
	int r = check_file(f, err);

	r = r ? r : grant_files_append(f, records, n, err);
	if (r)
		return r;
	r = write_records(records, n, &tip, &text, &size);
	r = r ? r : chain_append(&f->chain, text, size, &tip, sync);
	r = r ? r : history_index_feed_all(&f->index, text, size, NULL);
	grant_days_trim(f->days);
	return r ? refuse(f, r, "", err) : 0;
}

int history_file_sync(struct history_file *f, struct error *err)
{
	int r = chain_sync(&f->chain);

	return r ? refuse(f, r, "", err) : 0;
}

int history_file_probe(struct history_file *f, struct error *err)
{
	int r = check_file(f, err);

	if (r)
		return r;
	r = chain_probe(&f->chain);
	return r ? refuse(f, r, "", err) : 0;
}

/* With this many lines, a question takes some milliseconds. */
#define CACHE_LINES 2000U

void history_file_cache(struct history_file *f)
{
	_cleanup_close_ int fd = -1;
	uint64_t more = f->index.lines - f->cached;

	if (more < CACHE_LINES || more < f->index.lines / 16)
		return;
	/* Not again before as many lines have been added, even after a failure. */
	f->cached = f->index.lines;
	if (!history_cache_write(f->dir, f->chain.fd, f->chain.tip.size, &f->index, &fd))
		give_to_readers(fd);
}

/* The kernel's name of this boot of the machine; "" if it has none. */
static void boot_name(char ret[static BOOT_TEXT])
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, BOOT_TEXT - 1);

	ret[n > 0 ? n : 0] = '\0';
	ret[strspn(ret, "0123456789abcdef-")] = '\0';
}

bool history_head_of_this_boot(const struct history_head *head)
{
	char now[BOOT_TEXT];

	boot_name(now);
	return !*head->boot || !*now || !strcmp(head->boot, now);
}

int history_file_mark(struct history_file *f, int64_t time, struct clock_reading now, struct clock_state state,
		      bool unrecorded)
{
	_cleanup_free_ char *text = NULL;
	char when[TIME_TEXT], boot[BOOT_TEXT];
	size_t size = 0;
	FILE *memory = open_memstream(&text, &size);
	int r;

	if (!memory)
		return -ENOMEM;
	boot_name(boot);
	fprintf(memory, "{\"line\":%" PRIu64 ",\"time\":\"%s\",\"hash\":\"%s\",\"real_ms\":%" PRId64, f->index.number,
		time_format(time, when), f->index.hash, now.real_ns / 1000000);
	fprintf(memory, ",\"boot_ms\":%" PRId64 ",\"boot\":\"%s\",\"gateway\":\"%s\"", now.steady_ns / 1000000, boot,
		f->gateway);
	clock_state_write(memory, state);
	if (unrecorded)
		fputs(",\"unrecorded\":true", memory);
	fputs(f->audit_queries ? QUERY_AUDIT "}\n" : "}\n", memory);
	if (fclose(memory))
		return -ENOMEM;
	r = file_write(f->head, text, size, 0);
	if (!r && (ftruncate(f->head, (off_t)size) || (unrecorded && fsync(f->head))))
		r = -errno;
	return r;
}
