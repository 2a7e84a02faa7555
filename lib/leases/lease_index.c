// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/hash.h"
#include "base/rights.h"
#include "base/search.h"
#include "base/whole_file.h"
#include "leases/lease_files.h"

/* A program with another byte order, or another version of this file, does not read it. */
#define MAGIC 0x3278646e69736c64ULL

#define BLOCK_ROWS 1024U
#define PIECE	   (256U << 10)

/* A file has grown by so much that reading the rest takes longer than making the index anew does once. */
#define GROWN_BY(size) ((size) / 8 + (256U << 10))

/* The day that still grows has an index once that takes longer to read than to write. */
#define LIVE_LEAST (64 << 10)

/* A file system may keep times of change in steps of so long; where its times have whole seconds alone, of two. */
#define STEP_NS	    20000000LL
#define LONG_STEP_S 2

struct lease_block {
	uint64_t key; /* of its first row */
	uint64_t sum; /* of its rows */
};

/* What a file was when it was read. A change leaves another time behind, which no program can set. */
struct stamp {
	uint64_t device, inode, size;
	int64_t changed_s, changed_ns;
};

struct header {
	uint64_t magic;
	uint64_t sizes;	 /* of the records */
	uint64_t sum;	 /* of all but the rows; 0 while it is reckoned */
	uint64_t octets; /* sum of what the file has up to the end */
	struct stamp stamp;
	uint64_t n_remarks, n_doubtful, n_blocks, n_rows;
	struct lease_extent extent;
};

static uint64_t record_sizes(void)
{
	return (((uint64_t)sizeof(struct header) * 1009 + sizeof(struct lease_row)) * 1009 +
		sizeof(struct lease_remark)) *
		       1009 +
	       BLOCK_ROWS;
}

/* A sum that goes on from the one before. */
static uint64_t sum_of(uint64_t before, const void *data, size_t size)
{
	uint64_t rest[3] = { before, size, 0 };

	memcpy(&rest[2], (const char *)data + size / 8 * 8, size % 8);
	rest[0] = siphash13(lease_key, rest, 3);
	return siphash13((const uint64_t[]){ lease_key[0] ^ rest[0], lease_key[1] }, data, size / 8);
}

static int sum_file(int fd, uint64_t size, uint64_t *ret)
{
	_cleanup_free_ void *piece = malloc(PIECE);
	uint64_t sum = 0;

	for (uint64_t at = 0; piece && at < size; at += PIECE) {
		size_t wanted = size - at < PIECE ? (size_t)(size - at) : PIECE;
		ssize_t n = pread(fd, piece, wanted, (off_t)at);

		if (n != (ssize_t)wanted)
			return n < 0 ? -errno : -ESTALE;
		sum = sum_of(sum, piece, wanted);
	}
	*ret = sum;
	return piece ? 0 : -ENOMEM;
}

static struct stamp stamp_of(const struct stat *st)
{
	return (struct stamp){ st->st_dev, st->st_ino, (uint64_t)st->st_size, st->st_ctim.tv_sec, st->st_ctim.tv_nsec };
}

/* ---- Writing */

/* A change after the file was read must show: its time of change is to be another one. */
static bool settles(int fd, const struct stat *st)
{
	struct timespec now, wait = { .tv_nsec = STEP_NS };
	struct stat after;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!st->st_ctim.tv_nsec && now.tv_sec - st->st_ctim.tv_sec <= LONG_STEP_S)
		return false;
	if (now.tv_sec - st->st_ctim.tv_sec <= 1)
		nanosleep(&wait, NULL);
	return !fstat(fd, &after) && after.st_ctim.tv_sec == st->st_ctim.tv_sec &&
	       after.st_ctim.tv_nsec == st->st_ctim.tv_nsec && after.st_size == st->st_size;
}

static struct lease_block *sum_blocks(const struct lease_day *day, size_t *ret_n)
{
	size_t n = (day->n + BLOCK_ROWS - 1) / BLOCK_ROWS;
	struct lease_block *block = calloc(n + 1, sizeof(*block));

	for (size_t i = 0; block && i < n; i++) {
		const struct lease_row *row = &day->row[i * BLOCK_ROWS];
		size_t rows = day->n - i * BLOCK_ROWS < BLOCK_ROWS ? day->n - i * BLOCK_ROWS : BLOCK_ROWS;

		block[i] = (struct lease_block){ row->key, sum_of(i, row, rows * sizeof(*row)) };
	}
	*ret_n = n;
	return block;
}

/* Of the header, and of what follows it but for the rows. */
static uint64_t sum_head(struct header h, const char *rest, size_t size)
{
	h.sum = 0;
	return sum_of(sum_of(0, &h, sizeof(h)), rest, size);
}

/* An array of no elements may be NULL, which fwrite() does not take. */
static void put(FILE *out, const void *array, size_t size, size_t n)
{
	if (n)
		fwrite(array, size, n, out);
}

static int print(FILE *out, struct header *h, const struct lease_day *day, const struct lease_block *block)
{
	put(out, h, sizeof(*h), 1);
	put(out, day->remark, sizeof(*day->remark), day->n_remarks);
	put(out, day->doubtful, sizeof(*day->doubtful), day->n_doubtful);
	put(out, block, sizeof(*block), h->n_blocks);
	put(out, day->row, sizeof(*day->row), day->n);
	return ferror(out) || fflush(out) ? -ENOMEM : 0;
}

static int write_file(int dir, const struct lease_day *day, struct header *h, const struct lease_block *block)
{
	_cleanup_rights_ struct rights lesser = rights_of(dir);
	_cleanup_free_ char *text = NULL;
	char name[LEDGER_NAME];
	size_t size = 0;
	struct stat st;
	FILE *out = open_memstream(&text, &size);
	int r = out ? print(out, h, day, block) : -ENOMEM;

	if (out && fclose(out))
		r = -ENOMEM;
	if (r)
		return r;
	h->sum = sum_head(*h, text + sizeof(*h), size - sizeof(*h) - day->n * sizeof(*day->row));
	memcpy(text, h, sizeof(*h));
	/* Whoever may read the leases may read it. */
	if (fstatat(dir, day->name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return file_replace(dir, ledger_index_name(day->name, name), text, size, &st, true, NULL);
}

/* Writes the index of a day that was read from an open file, and keeps its rows there alone. st: of the file before. */
static int write_index(int dir, struct lease_day *day, int fd, const struct stat *st)
{
	_cleanup_free_ struct lease_block *block = NULL;
	struct header h;
	size_t n;
	int r;

	if (faccessat(dir, ".", W_OK, AT_EACCESS))
		return -errno;
	memset(&h, 0, sizeof(h));
	h.magic = MAGIC;
	h.sizes = record_sizes();
	h.n_remarks = day->n_remarks;
	h.n_doubtful = day->n_doubtful;
	h.n_rows = day->n;
	h.extent = day->extent;
	h.stamp = stamp_of(st);
	if (!settles(fd, st))
		h.stamp.changed_s = h.stamp.changed_ns = 0;
	r = sum_file(fd, day->extent.end.size, &h.octets);
	block = r ? NULL : sum_blocks(day, &n);
	if (!block)
		return r ? r : -ENOMEM;
	h.n_blocks = n;
	r = write_file(dir, day, &h, block);
	if (r)
		return r;
	free(day->row);
	day->row = NULL;
	day->n_indexed = day->n;
	day->n = day->room = 0;
	day->block = take_pointer(block);
	day->n_blocks = n;
	day->indexed = true;
	return 0;
}

/* ---- Reading */

static int open_index(int dir, const struct lease_day *day, struct stat *ret)
{
	char name[LEDGER_NAME];
	int fd = file_open(dir, ledger_index_name(day->name, name));

	if (fd >= 0 && !fstat(fd, ret) && S_ISREG(ret->st_mode))
		return fd;
	close_fd(&fd);
	return -ESTALE;
}

static bool read_all(int fd, void *to, size_t size, uint64_t at)
{
	return pread(fd, to, size, (off_t)at) == (ssize_t)size;
}

/* Octets before the rows; 0: the numbers cannot be. */
static uint64_t head_size(const struct header *h, uint64_t size)
{
	uint64_t most = size / sizeof(struct lease_block), head;

	if (h->n_remarks > most || h->n_doubtful > most || h->n_blocks > most || h->n_rows > most ||
	    h->n_blocks != (h->n_rows + BLOCK_ROWS - 1) / BLOCK_ROWS)
		return 0;
	head = sizeof(*h) + h->n_remarks * sizeof(struct lease_remark) + h->n_doubtful * sizeof(struct lease_doubtful) +
	       h->n_blocks * sizeof(struct lease_block);
	return head + h->n_rows * sizeof(struct lease_row) == size ? head : 0;
}

/* Takes n elements out of what follows the header. NULL: no memory. */
static void *take_array(const char **at, size_t n, size_t size)
{
	void *array = calloc(n + 1, size);

	if (array)
		memcpy(array, *at, n * size);
	*at += n * size;
	return array;
}

static int take_head(const struct header *h, const char *rest, struct lease_day *day)
{
	day->remark = take_array(&rest, h->n_remarks, sizeof(*day->remark));
	day->n_remarks = day->remark_room = h->n_remarks;
	day->doubtful = take_array(&rest, h->n_doubtful, sizeof(*day->doubtful));
	day->n_doubtful = day->doubtful_room = h->n_doubtful;
	day->block = take_array(&rest, h->n_blocks, sizeof(*day->block));
	day->n_blocks = h->n_blocks;
	day->n_indexed = h->n_rows;
	day->extent = h->extent;
	day->indexed = true;
	return day->remark && day->doubtful && day->block ? 0 : -ENOMEM;
}

static int read_head(int fd, uint64_t size, struct lease_day *day, struct header *ret)
{
	_cleanup_free_ char *rest = NULL;
	uint64_t head;

	if (!read_all(fd, ret, sizeof(*ret), 0) || ret->magic != MAGIC || ret->sizes != record_sizes())
		return -ESTALE;
	head = head_size(ret, size);
	rest = head ? malloc(head - sizeof(*ret) + 1) : NULL;
	if (!rest || !read_all(fd, rest, head - sizeof(*ret), sizeof(*ret)) ||
	    sum_head(*ret, rest, head - sizeof(*ret)) != ret->sum)
		return -ESTALE;
	return take_head(ret, rest, day);
}

/* Whether the file has the octets that were read, and little more. Reads what is more. */
static int read_rest(int dir, struct lease_day *day, const struct header *h)
{
	_cleanup_close_ int fd = lease_day_open(dir, day);
	uint64_t sum, size = h->extent.end.size;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return fd < 0 ? fd : -errno;
	if (st.st_dev != h->stamp.device || st.st_ino != h->stamp.inode || (uint64_t)st.st_size < size ||
	    (uint64_t)st.st_size - size > GROWN_BY(size))
		return -ESTALE;
	r = sum_file(fd, size, &sum);
	if (r || sum != h->octets)
		return r ? r : -ESTALE;
	return lease_day_read_on(fd, day);
}

/* Reads the index of a day, and what the file has since. 0; -ESTALE: there is none that fits, or another -errno. */
static int read_index(int dir, struct lease_day *day)
{
	_cleanup_close_ int fd = -1;
	struct stat st, own;
	struct header h;
	struct stamp now;
	int r;

	fd = open_index(dir, day, &own);
	if (fd < 0 || fstatat(dir, day->name, &st, AT_SYMLINK_NOFOLLOW))
		return -ESTALE;
	/* Whoever may write the leases, or root. */
	r = own.st_uid && own.st_uid != st.st_uid ? -ESTALE : read_head(fd, (uint64_t)own.st_size, day, &h);
	now = stamp_of(&st);
	if (!r && memcmp(&now, &h.stamp, sizeof(now)) != 0)
		r = read_rest(dir, day, &h);
	if (r)
		lease_day_clear(day);
	return r;
}

/* The first block that may have a key. */
static size_t first_block(const struct lease_day *day, uint64_t key)
{
	size_t n = count_while(i, day->n_blocks, day->block[i].key < key);

	return n ? n - 1 : 0;
}

/* Gives the rows of a block, those with a key alone if there is one. */
static int give_block(int fd, const struct lease_day *day, uint64_t rows_at, size_t i, const uint64_t *key,
		      lease_take_row take, void *arg)
{
	struct lease_row row[BLOCK_ROWS];
	size_t left = day->n_indexed - i * BLOCK_ROWS, n = left < BLOCK_ROWS ? left : BLOCK_ROWS;
	int r = 0;

	if (!read_all(fd, row, n * sizeof(*row), rows_at + i * sizeof(row)) ||
	    sum_of(i, row, n * sizeof(*row)) != day->block[i].sum)
		return -ESTALE;
	for (size_t k = 0; k < n && !r; k++)
		if (!key || row[k].key == *key)
			r = take(arg, &row[k]);
	return r;
}

/* key NULL: any. */
static int rows_on_disk(int dir, const struct lease_day *day, const uint64_t *key, lease_take_row take, void *arg)
{
	_cleanup_close_ int fd = -1;
	uint64_t rows_at;
	struct stat st;
	int r = 0;

	if (!day->indexed)
		return 0;
	fd = open_index(dir, day, &st);
	if (fd < 0)
		return -ESTALE;
	rows_at = (uint64_t)st.st_size - day->n_indexed * sizeof(struct lease_row);
	for (size_t i = key ? first_block(day, *key) : 0; i < day->n_blocks && !r; i++) {
		if (key && day->block[i].key > *key)
			break;
		r = give_block(fd, day, rows_at, i, key, take, arg);
	}
	return r;
}

static int read_file(int dir, struct lease_day *day)
{
	_cleanup_close_ int fd = lease_day_open(dir, day);
	struct stat st;
	int r = fd < 0 ? fd : fstat(fd, &st) ? -errno : lease_day_read(fd, day);

	if (!r && !day->evidence && (st.st_size >= LIVE_LEAST || day->begin + DAY_S <= time(NULL)))
		write_index(dir, day, fd, &st);
	return r;
}

int lease_index_ready(int dir, struct lease_day *day, uint64_t most, struct error *err)
{
	struct stat st;
	int r;

	if (day->ready)
		return 0;
	r = day->distrusted || day->evidence ? -ESTALE : read_index(dir, day);
	if (r == -ESTALE) {
		if (!day->evidence && !fstatat(dir, day->name, &st, AT_SYMLINK_NOFOLLOW) && (uint64_t)st.st_size > most)
			return -EFBIG;
		r = read_file(dir, day);
	}
	r = r ? r : lease_day_finish(day);
	day->ready = !r;
	return r ? lease_day_failed(day, r, err) : 0;
}

int lease_index_rows(int dir, const struct lease_day *day, uint64_t key, lease_take_row take, void *arg)
{
	int r = rows_on_disk(dir, day, &key, take, arg);

	return r ? r : lease_day_rows(day, key, take, arg);
}

size_t lease_index_most(const struct lease_day *day, uint64_t key)
{
	size_t blocks = count_while(i, day->n_blocks, day->block[i].key <= key) - first_block(day, key);

	return blocks * BLOCK_ROWS + count_while(i, day->n, day->row[i].key <= key) -
	       count_while(i, day->n, day->row[i].key < key);
}

int lease_index_each(int dir, const struct lease_day *day, lease_take_row take, void *arg)
{
	int r = rows_on_disk(dir, day, NULL, take, arg);

	for (size_t i = 0; i < day->n && !r; i++)
		r = take(arg, &day->row[i]);
	return r;
}
