// SPDX-License-Identifier: BSD-2-Clause
/* A directory of evidence as a tar archive: POSIX ustar, headers and contents in blocks of 512 octets. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "evidence_files.h"

#define BLOCK 512U

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
		version[2];
	char user[32], group[32], major[8], minor[8], prefix[155], padding[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* The sum of the header's octets, its own counted as blanks. */
static unsigned checksum_of(const struct header *h)
{
	const unsigned char *at = (const unsigned char *)h;
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(*h); i++)
		sum += at[i];
	return sum;
}

/* 0, or -ENAMETOOLONG or -EFBIG for what ustar cannot say. */
static int write_header(FILE *out, const char *name, const struct stat *st)
{
	struct header h = { .mode = "0000640",
			    .uid = "0000000",
			    .gid = "0000000",
			    .type = '0',
			    .magic = "ustar",
			    .version = { '0', '0' },
			    .user = "detnat",
			    .group = "detnat" };

	if (strlen(name) >= sizeof(h.name))
		return -ENAMETOOLONG;
	if (st->st_size >= INT64_C(1) << 33)
		return -EFBIG;
	strcpy(h.name, name);
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)st->st_size);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo", (unsigned long long)st->st_mtime & 077777777777ULL);
	memset(h.checksum, ' ', sizeof(h.checksum));
	snprintf(h.checksum, sizeof(h.checksum) - 1, "%06o", checksum_of(&h));
	fwrite(&h, sizeof(h), 1, out);
	return 0;
}

/* Exactly as many octets as the header says. */
static int write_contents(FILE *out, FILE *in, uint64_t size)
{
	static const char zeros[BLOCK];
	char buffer[16384];
	uint64_t left = size;

	while (left) {
		size_t n = fread(buffer, 1, left < sizeof(buffer) ? left : sizeof(buffer), in);

		if (!n)
			return -EIO;
		fwrite(buffer, 1, n, out);
		left -= n;
	}
	fwrite(zeros, 1, (BLOCK - size % BLOCK) % BLOCK, out);
	return 0;
}

static int write_file(FILE *out, int dir, const char *file, const char *name)
{
	int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	struct stat st;
	int r;

	if (!in) {
		close_fd(&fd);
		return errno_or(ENOMEM);
	}
	r = fstat(fd, &st) ? -errno : write_header(out, name, &st);
	r = r ? r : write_contents(out, in, (uint64_t)st.st_size);
	fclose(in);
	return r;
}

static int write_files(int dir, const char *name, FILE *out)
{
	struct dirent **list;
	int n = scandirat(dir, ".", &list, NULL, alphasort), r = n < 0 ? -errno : 0;
	char path[EVIDENCE_PATH];

	for (int i = 0; i < n; i++) {
		if (!r && list[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", name, list[i]->d_name);
			r = write_file(out, dir, list[i]->d_name, path);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return r;
}

int evidence_tar(const struct evidence *e, const char *name, FILE *out, struct error *err)
{
	static const char end[2 * BLOCK];
	_cleanup_close_ int dir = open(e->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = dir < 0 ? -errno : write_files(dir, name, out);

	if (!r)
		fwrite(end, sizeof(end), 1, out);
	if (!r && (ferror(out) || fflush(out)))
		r = errno_or(EIO);
	return r ? error_set(err, r, "the archive cannot be written: %s", strerror(-r)) : 0;
}
