// SPDX-License-Identifier: BSD-2-Clause
/* A directory of evidence as a tar archive: POSIX ustar, headers and contents in blocks of 512 octets. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
static int write_contents(FILE *out, int in, uint64_t size)
{
	static const char zeros[BLOCK];
	char buffer[16384];
	uint64_t done = 0;

	while (done < size) {
		uint64_t left = size - done;
		ssize_t n = pread(in, buffer, left < sizeof(buffer) ? left : sizeof(buffer), (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		fwrite(buffer, 1, (size_t)n, out);
		done += (uint64_t)n;
	}
	fwrite(zeros, 1, (BLOCK - size % BLOCK) % BLOCK, out);
	return 0;
}

static int write_file(FILE *out, const char *name, const struct evidence_file *f)
{
	char path[EVIDENCE_PATH];
	struct stat st;
	int r;

	snprintf(path, sizeof(path), "%s/%s", name, f->name);
	r = fstat(f->fd, &st) ? -errno : write_header(out, path, &st);
	return r ? r : write_contents(out, f->fd, (uint64_t)st.st_size);
}

int evidence_tar(const struct evidence *e, const char *name, FILE *out, struct error *err)
{
	static const char end[2 * BLOCK];
	int r = 0;

	for (unsigned i = 0; i < e->n && !r; i++)
		r = write_file(out, name, &e->file[i]);
	if (!r)
		fwrite(end, sizeof(end), 1, out);
	if (!r && (ferror(out) || fflush(out)))
		r = errno_or(EIO);
	return r ? error_set(err, r, "the archive cannot be written: %s", strerror(-r)) : 0;
}
