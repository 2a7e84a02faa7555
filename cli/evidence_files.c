// SPDX-License-Identifier: BSD-2-Clause
#include "evidence_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "leases/lease_files.h"

#define SUMS	  "SHA256SUMS"
#define NAMESPACE "detnat-evidence"

static int fail(struct error *err, int r, const char *what)
{
	return error_set(err, r, "%.300s: %s", what, strerror(-r));
}

int evidence_begin(struct evidence *e, const char *dir, const char *name, struct error *err)
{
	if (strlen(dir) + strlen(name) + 16 > EVIDENCE_PATH)
		return fail(err, -ENAMETOOLONG, dir);
	snprintf(e->place, sizeof(e->place), "%s/%s", dir, name);
	snprintf(e->path, sizeof(e->path), "%s/.%s.XXXXXX", dir, name);
	if (!access(e->place, F_OK)) {
		e->path[0] = '\0';
		return error_set(err, -EEXIST, "%.300s is there already; evidence is not replaced: name another case",
				 e->place);
	}
	if (!mkdtemp(e->path)) {
		e->path[0] = '\0';
		return fail(err, -errno, dir);
	}
	return 0;
}

int evidence_begin_temporary(struct evidence *e, struct error *err)
{
	const char *dir = getenv("TMPDIR");
	int n = snprintf(e->path, sizeof(e->path), "%s/detnat-evidence.XXXXXX", dir && *dir ? dir : "/tmp");

	if (n < (int)sizeof(e->path) && mkdtemp(e->path))
		return 0;
	e->path[0] = '\0';
	return fail(err, n < (int)sizeof(e->path) ? -errno : -ENAMETOOLONG, dir && *dir ? dir : "/tmp");
}

static FILE *open_in(const struct evidence *e, const char *file, const char *mode)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", e->path, file) < 0) {
		path = NULL;
		return NULL;
	}
	return fopen(path, mode);
}

static int close_written(FILE *out, const char *file, struct error *err)
{
	bool failed = ferror(out) || fflush(out) || fsync(fileno(out));
	int r = failed ? errno_or(EIO) : 0;

	if (fclose(out) && !r)
		r = errno_or(EIO);
	return r ? fail(err, r, file) : 0;
}

int evidence_write(const struct evidence *e, const char *file, const char *text, size_t size, struct error *err)
{
	FILE *out = open_in(e, file, "wxe");

	if (!out)
		return fail(err, errno_or(ENOMEM), file);
	fwrite(text, 1, size, out);
	return close_written(out, file, err);
}

int evidence_copy(const struct evidence *e, const char *from, const char *file, struct error *err)
{
	_cleanup_free_ char *path = NULL;
	char buffer[16384];
	FILE *in, *out;
	size_t n;
	int r;

	if (asprintf(&path, "%s/%s", from, file) < 0) {
		path = NULL;
		return fail(err, -ENOMEM, file);
	}
	in = fopen(path, "re");
	if (!in)
		return errno == ENOENT ? 0 : fail(err, -errno, path);
	out = open_in(e, file, "wxe");
	while (out && (n = fread(buffer, 1, sizeof(buffer), in)))
		fwrite(buffer, 1, n, out);
	r = !out ? fail(err, errno_or(ENOMEM), file) : close_written(out, file, err);
	fclose(in);
	return r;
}

/* Lines on their way, and the hash of the one before. */
struct lines {
	FILE *out;
	char wanted[LEASE_ADDR_TEXT + 16];
	char tenant[LABEL_TEXT + 16]; /* "": of any */
	char file[LEASE_FILE_TEXT];
	char previous[HASH_TEXT];
};

/* Customers of other tenants who had the same address are none of the case. */
static bool is_of_others(const struct lines *l, const char *line, size_t size)
{
	return *l->tenant && memmem(line, size, "\"tenant\":", 9) && !memmem(line, size, l->tenant, strlen(l->tenant));
}

/* Lines without an address tell when recording began, events were lost and servers were restarted. */
static bool concerns(const struct lines *l, const char *line, size_t size)
{
	if (is_of_others(l, line, size))
		return false;
	return memmem(line, size, l->wanted, strlen(l->wanted)) ||
	       (!memmem(line, size, "\"in_addr\":", 10) && !memmem(line, size, "\"mark\"", 6));
}

static int take_line(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct lines *l = arg;

	if (number == 1)
		memcpy(l->previous, HASH_NONE, HASH_TEXT);
	if (concerns(l, line, size))
		fprintf(l->out, "{\"file\":\"%s\",\"previous\":\"%s\",\"line\":%.*s}\n", name, l->previous, (int)size,
			line);
	/* Of a line without a checksum, the next shows that it is damaged. */
	history_hash_check(line, size, l->previous, l->previous);
	return 0;
}

int evidence_leases(const struct evidence *e, const char *from, const char *in_addr, const char *tenant,
		    struct error *err)
{
	_cleanup_close_ int dir = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct lease_names names = { 0 };
	struct lines l = { .out = open_in(e, "leases.jsonl", "wxe") };
	int r = dir < 0 || !l.out ? fail(err, errno_or(ENOMEM), from) : lease_names_read(from, &names, err);
	size_t torn;

	snprintf(l.wanted, sizeof(l.wanted), "\"in_addr\":\"%.24s\"", in_addr);
	if (*tenant)
		snprintf(l.tenant, sizeof(l.tenant), "\"tenant\":\"%.63s\"", tenant);
	for (size_t i = 0; i < names.n && !r; i++) {
		r = lease_file_read(dir, names.name[i], take_line, &l, &torn);
		r = r ? fail(err, r, names.name[i]) : 0;
	}
	free(names.name);
	if (l.out && r)
		fclose(l.out);
	else if (l.out)
		r = close_written(l.out, "leases.jsonl", err);
	return r;
}

void evidence_digest(const char *text, size_t size, char ret[static SHA256_TEXT])
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, size, (const uint8_t *)text);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static int digest_file(const struct evidence *e, const char *file, char ret[static SHA256_TEXT])
{
	FILE *in = open_in(e, file, "re");
	uint8_t digest[SHA256_DIGEST_SIZE], buffer[16384];
	struct sha256_ctx ctx;
	size_t n;

	if (!in)
		return errno_or(ENOMEM);
	sha256_init(&ctx);
	while ((n = fread(buffer, 1, sizeof(buffer), in)))
		sha256_update(&ctx, n, buffer);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	n = (size_t)ferror(in);
	fclose(in);
	return n ? -EIO : 0;
}

static int is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int write_sums(const struct evidence *e, struct error *err)
{
	struct dirent **list;
	char digest[SHA256_TEXT];
	int n = scandir(e->path, &list, is_file, alphasort), r = 0;
	FILE *out;

	if (n < 0)
		return fail(err, -errno, e->path);
	out = open_in(e, SUMS, "wxe");
	for (int i = 0; i < n; i++) {
		r = r ? r : digest_file(e, list[i]->d_name, digest);
		if (!r && out)
			fprintf(out, "%s  %s\n", digest, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	if (!out || r) {
		if (out)
			fclose(out);
		return fail(err, r ? r : -EIO, SUMS);
	}
	return close_written(out, SUMS, err);
}

/* What ssh-keygen prints is no output of ours. */
static void run_keygen(const char *key, const char *sums)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	execlp("ssh-keygen", "ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key, sums, (char *)NULL);
	_exit(127);
}

static int sign_sums(const struct evidence *e, const char *key, struct error *err)
{
	_cleanup_free_ char *sums = NULL;
	int status = 0;
	pid_t pid;

	if (asprintf(&sums, "%s/" SUMS, e->path) < 0) {
		sums = NULL;
		return fail(err, -ENOMEM, SUMS);
	}
	pid = fork();
	if (pid < 0)
		return fail(err, -errno, "ssh-keygen");
	if (!pid)
		run_keygen(key, sums);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(err, -errno, "ssh-keygen");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return error_set(err, -ENOENT, "ssh-keygen is not installed: it signs the evidence");
	if (status)
		return error_set(err, -EINVAL, "ssh-keygen did not sign with %.200s", key);
	return 0;
}

int evidence_sign(const struct evidence *e, const char *key, struct error *err)
{
	int r = write_sums(e, err);

	return r || !key ? r : sign_sums(e, key, err);
}

int evidence_finish(const struct evidence *e, struct error *err)
{
	if (chmod(e->path, 0750) || rename(e->path, e->place))
		return fail(err, -errno, e->place);
	return 0;
}

void evidence_discard(const struct evidence *e)
{
	struct dirent **list;
	int n = *e->path ? scandir(e->path, &list, is_file, NULL) : -1;
	_cleanup_close_ int dir = n < 0 ? -1 : open(e->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < n; i++) {
		unlinkat(dir, list[i]->d_name, 0);
		free(list[i]);
	}
	if (n < 0)
		return;
	free(list);
	rmdir(e->path);
}
