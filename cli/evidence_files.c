// SPDX-License-Identifier: BSD-2-Clause
#include "evidence_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/rights.h"
#include "base/whole_file.h"
#include "evidence_text.h"

#define NAMESPACE "detnat-evidence"

static int fail(struct error *err, int r, const char *what)
{
	return error_set(err, r, "%.300s: %s", what, strerror(-r));
}

/* Octets from a position, or -errno. */
static ssize_t read_at(int fd, void *buffer, size_t size, off_t at)
{
	ssize_t n;

	do
		n = pread(fd, buffer, size, at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int open_place(struct evidence *e, const char *dir, struct error *err)
{
	e->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	e->begun = e->dir >= 0;
	return e->begun ? 0 : fail(err, -errno, dir);
}

int evidence_begin(struct evidence *e, const char *dir, const char *name, struct error *err)
{
	/* The hidden name beside it, while it is made, is longer. */
	if (snprintf(e->place, sizeof(e->place), "%s/%s", dir, name) + sizeof("..XXXXXX") > sizeof(e->place))
		return fail(err, -ENAMETOOLONG, dir);
	e->name = strrchr(e->place, '/') + 1;
	if (!access(e->place, F_OK))
		return error_set(err, -EEXIST, "%.300s is there already; evidence is not replaced: name another case",
				 e->place);
	return open_place(e, dir, err);
}

int evidence_begin_temporary(struct evidence *e, struct error *err)
{
	const char *dir = getenv("TMPDIR");

	return open_place(e, dir && *dir ? dir : "/tmp", err);
}

/* A file without a name, which ends with the process; in memory where the file system has no such files. */
static int open_nameless(const struct evidence *e, const char *name)
{
	int fd = openat(e->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
		fd = memfd_create(name, MFD_CLOEXEC);
	return fd;
}

/* Adds a file, at its place in the order of names. Its descriptor, or -errno. */
static int add_file(struct evidence *e, const char *name)
{
	int fd = e->n < EVIDENCE_FILES ? open_nameless(e, name) : -1;
	unsigned at = e->n;

	if (fd < 0)
		return errno_or(ENOSPC);
	for (; at && strcmp(e->file[at - 1].name, name) > 0; at--)
		e->file[at] = e->file[at - 1];
	e->file[at].fd = fd;
	snprintf(e->file[at].name, sizeof(e->file[at].name), "%s", name);
	e->n++;
	return fd;
}

/* A stream to a file that is added; NULL with errno. */
static FILE *new_file(struct evidence *e, const char *name)
{
	int fd = add_file(e, name);
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return own < 0 ? NULL : fdopen(own, "w");
}

static int close_written(FILE *out, const char *file, struct error *err)
{
	bool failed = ferror(out) || fflush(out) || fsync(fileno(out));
	int r = failed ? errno_or(EIO) : 0;

	if (fclose(out) && !r)
		r = errno_or(EIO);
	return r ? fail(err, r, file) : 0;
}

int evidence_write(struct evidence *e, const char *file, const char *text, size_t size, struct error *err)
{
	FILE *out = new_file(e, file);

	if (!out)
		return fail(err, errno_or(ENOMEM), file);
	fwrite(text, 1, size, out);
	return close_written(out, file, err);
}

/* The directory is the agent's user's, who must not choose which file root hands out. */
static FILE *open_copied(int dir, const char *file)
{
	_cleanup_rights_ struct rights lesser = rights_of(dir);
	int fd = file_open(dir, file);

	return fd < 0 ? NULL : fdopen(fd, "r");
}

int evidence_copy(struct evidence *e, const char *from, const char *file, struct error *err)
{
	_cleanup_close_ int dir = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buffer[16384];
	FILE *in, *out;
	size_t n;
	int r;

	if (dir < 0)
		return fail(err, -errno, from);
	in = open_copied(dir, file);
	if (!in)
		return errno == ENOENT ? 0 : fail(err, -errno, file);
	out = new_file(e, file);
	while (out && (n = fread(buffer, 1, sizeof(buffer), in)))
		fwrite(buffer, 1, n, out);
	r = !out ? fail(err, errno_or(ENOMEM), file) : close_written(out, file, err);
	fclose(in);
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

static int digest_file(int fd, char ret[static SHA256_TEXT])
{
	uint8_t digest[SHA256_DIGEST_SIZE], buffer[16384];
	struct sha256_ctx ctx;
	off_t at = 0;
	ssize_t n;

	sha256_init(&ctx);
	while ((n = read_at(fd, buffer, sizeof(buffer), at)) > 0) {
		sha256_update(&ctx, (size_t)n, buffer);
		at += n;
	}
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return n < 0 ? (int)n : 0;
}

int evidence_sums(const struct evidence *e, char **ret, struct error *err)
{
	char *text = NULL, digest[SHA256_TEXT];
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r = out ? 0 : -ENOMEM;

	for (unsigned i = 0; i < e->n && !r; i++) {
		r = digest_file(e->file[i].fd, digest);
		fprintf(out, "%s  %s\n", digest, e->file[i].name);
	}
	if (out && fclose(out))
		r = -ENOMEM;
	if (r) {
		free(text);
		return fail(err, r, EVIDENCE_SUMS);
	}
	*ret = text;
	return 0;
}

static int write_sums(struct evidence *e, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int r = evidence_sums(e, &text, err);

	return r ? r : evidence_write(e, EVIDENCE_SUMS, text, strlen(text), err);
}

static int sums_of(const struct evidence *e)
{
	for (unsigned i = 0; i < e->n; i++)
		if (!strcmp(e->file[i].name, EVIDENCE_SUMS))
			return e->file[i].fd;
	return -1;
}

int evidence_sums_digest(const struct evidence *e, char ret[static HASH_TEXT], struct error *err)
{
	int sums = sums_of(e), r = sums < 0 ? -ENOENT : digest_file(sums, ret);

	return r ? fail(err, r, EVIDENCE_SUMS) : 0;
}

/* Reads standard input, and writes the signature to standard output. */
static void run_keygen(const char *key, int sums, int signature)
{
	if (lseek(sums, 0, SEEK_SET) || dup2(sums, STDIN_FILENO) < 0 || dup2(signature, STDOUT_FILENO) < 0)
		_exit(126);
	execlp("ssh-keygen", "ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key, (char *)NULL);
	_exit(127);
}

static int sign_sums(struct evidence *e, const char *key, struct error *err)
{
	int sums = sums_of(e), signature = add_file(e, EVIDENCE_SUMS ".sig"), status = 0;
	pid_t pid;

	if (signature < 0)
		return fail(err, signature, EVIDENCE_SUMS ".sig");
	pid = fork();
	if (pid < 0)
		return fail(err, -errno, "ssh-keygen");
	if (!pid)
		run_keygen(key, sums, signature);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(err, -errno, "ssh-keygen");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return error_set(err, -ENOENT, "ssh-keygen is not installed: it signs the evidence");
	if (status)
		return error_set(err, -EINVAL, "ssh-keygen did not sign with %.200s", key);
	return fsync(signature) ? fail(err, -errno, EVIDENCE_SUMS ".sig") : 0;
}

int evidence_sign(struct evidence *e, const char *key, struct error *err)
{
	int r = write_sums(e, err);

	return r || !key ? r : sign_sums(e, key, err);
}

static int copy_file(int dir, const struct evidence_file *f)
{
	_cleanup_close_ int out = openat(dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	char buffer[16384];
	off_t at = 0;
	ssize_t n = 0;

	if (out < 0)
		return -errno;
	while ((n = read_at(f->fd, buffer, sizeof(buffer), at)) > 0) {
		if (write(out, buffer, (size_t)n) != n)
			return errno_or(EIO);
		at += n;
	}
	return n < 0 ? (int)n : fsync(out) ? -errno : 0;
}

/* Gives a file its name in a directory. */
static int name_file(int dir, const struct evidence_file *f)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, path, dir, f->name, AT_SYMLINK_FOLLOW) ? copy_file(dir, f) : 0;
}

/* So many directories of others may have the names that are tried. */
#define NAMES_MAX 100

/* A new directory with a hidden name beside the place; -errno. */
static int make_beside(const struct evidence *e, char name[static NAME_MAX + 1])
{
	int r = -EEXIST;

	for (unsigned i = 0; i < NAMES_MAX && r == -EEXIST; i++) {
		uint32_t number;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number) ||
		    snprintf(name, NAME_MAX + 1, ".%s.%06x", e->name, number & 0xffffff) > NAME_MAX)
			return -ENAMETOOLONG;
		r = mkdirat(e->dir, name, 0700) ? -errno : 0;
	}
	return r;
}

/* The place may be in another user's directory: its name leads to the new one, or nothing is done. */
static int open_made(const struct evidence *e, const char *name)
{
	_cleanup_close_ int dir = openat(e->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dir < 0 || fstat(dir, &st))
		return -errno;
	return st.st_uid == geteuid() ? take_fd(dir) : -EPERM;
}

static int name_files(const struct evidence *e, const char *name)
{
	_cleanup_close_ int dir = open_made(e, name);
	int r = dir < 0 ? dir : 0;

	for (unsigned i = 0; i < e->n && !r; i++)
		r = name_file(dir, &e->file[i]);
	if (!r && (fchmod(dir, 0750) || fsync(dir) || renameat(e->dir, name, e->dir, e->name)))
		r = -errno;
	for (unsigned i = 0; i < e->n && r && dir >= 0; i++)
		unlinkat(dir, e->file[i].name, 0);
	return r;
}

/* No signal ends the process between the first name and the last. */
int evidence_finish(const struct evidence *e, struct error *err)
{
	char name[NAME_MAX + 1];
	sigset_t all, before;
	int r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	r = make_beside(e, name);
	if (!r) {
		r = name_files(e, name);
		if (r)
			unlinkat(e->dir, name, AT_REMOVEDIR);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r ? fail(err, r, e->place) : 0;
}

void evidence_close(const struct evidence *e)
{
	for (unsigned i = 0; i < e->n; i++)
		close(e->file[i].fd);
	if (e->begun)
		close(e->dir);
}
