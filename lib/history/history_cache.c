/* SPDX-License-Identifier: BSD-2-Clause */
#include "history/history_read.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <detnat/mapping.h>

#include "base/whole_file.h"

/* A program with another byte order, or another version of this file, does not read it. */
#define MAGIC 0x357865646e696864ULL

/* The arrays of an index, in the order of the file. */
struct array {
	void **at;
	size_t n;
	size_t size; /* of an element */
};

#define ARRAYS (3 * FACT_KINDS + 6)

static void list_arrays(struct history_index *x, struct array ret[static ARRAYS])
{
	const struct array rest[] = {
		{ (void **)&x->listed, x->n_listed, sizeof(*x->listed) },
		{ (void **)&x->times.moment, x->times.n, sizeof(*x->times.moment) },
		{ (void **)&x->times.epoch, x->times.n_epochs, sizeof(*x->times.epoch) },
		{ (void **)&x->gaps.at, x->gaps.n, sizeof(*x->gaps.at) },
		{ (void **)&x->clocks.at, x->clocks.n, sizeof(*x->clocks.at) },
		{ (void **)&x->damages, x->n_damages, sizeof(*x->damages) },
	};

	for (enum fact_kind k = 0; k < FACT_KINDS; k++) {
		struct history_facts *f = &x->facts[k];
		const size_t size = sizeof(struct history_span) + fact_rows[k].size;

		*ret++ = (struct array){ &f->interval, f->n, size };
		*ret++ = (struct array){ (void **)&f->open, f->n_open, sizeof(*f->open) };
		*ret++ = (struct array){ (void **)&f->pauses.at, f->pauses.n, sizeof(*f->pauses.at) };
	}
	memcpy(ret, rest, sizeof(rest));
}

struct header {
	uint64_t magic;
	uint64_t sizes;	  /* of the records, so that a program with different records does not read it */
	uint64_t covered; /* octets of the history */
	uint8_t history[SHA256_DIGEST_SIZE]; /* of them */
	uint8_t content[SHA256_DIGEST_SIZE]; /* of the header without this, and of the rest of the file */
	struct history_index index;	     /* its pointers are invalid */
};

/* What the file does not have. The hashes are made anew, as each process has hashes of its own. */
static void forget_pointers(struct history_index *x)
{
	struct array array[ARRAYS];

	x->days = NULL;
	list_arrays(x, array);
	for (size_t i = 0; i < ARRAYS; i++)
		*array[i].at = NULL;
	x->times.past = (struct hash_index){ 0 };
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		x->facts[k].by_place = (struct hash_index){ 0 };
	x->times.past_line = 0;
}

static uint64_t record_sizes(void)
{
	struct history_index x = { 0 };
	uint64_t sum = sizeof(x);
	struct array array[ARRAYS];

	list_arrays(&x, array);
	for (size_t i = 0; i < ARRAYS; i++)
		sum = sum * 1009 + array[i].size;
	return sum;
}

/* Room for n elements of an array that grows at powers of two. */
static size_t room_for(size_t n)
{
	size_t room = 8;

	while (room < n)
		room *= 2;
	return room;
}

static void hash_text(const char *text, size_t size, uint8_t ret[static SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, size, (const uint8_t *)text);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret);
}

static void hash_content(struct header h, const char *content, size_t size, uint8_t ret[static SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	memset(h.content, 0, sizeof(h.content));
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(h), (const uint8_t *)&h);
	sha256_update(&ctx, size, (const uint8_t *)content);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret);
}

static int hash_file(int fd, uint64_t size, uint8_t ret[static SHA256_DIGEST_SIZE])
{
	enum { BLOCK = 1 << 18 };
	_cleanup_free_ uint8_t *block = malloc(BLOCK);
	struct sha256_ctx ctx;
	uint64_t at = 0;

	if (!block)
		return -ENOMEM;
	sha256_init(&ctx);
	while (at < size) {
		ssize_t n = pread(fd, block, size - at < BLOCK ? (size_t)(size - at) : BLOCK, (off_t)at);

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return n ? -errno : -ESTALE;
		if (n > 0) {
			sha256_update(&ctx, (size_t)n, block);
			at += (uint64_t)n;
		}
	}
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret);
	return 0;
}

/* ---- Writing */

/* What the virtual addresses of mappings mean: those of IPv6 subscribers. */
static void note_virtual(const struct history_index *x)
{
	for (size_t i = 0; i < x->mappings.n; i++)
		virtual6_prefixes(x->mappings.interval[i].mapping.in, &x->mappings.interval[i].mapping.six);
}

static int write_content(FILE *out, const struct array array[static ARRAYS])
{
	for (size_t i = 0; i < ARRAYS; i++)
		if (array[i].n && fwrite(*array[i].at, array[i].size, array[i].n, out) != array[i].n)
			return -ENOMEM;
	return 0;
}

static size_t content_size(const struct array array[static ARRAYS])
{
	size_t size = 0;

	for (size_t i = 0; i < ARRAYS; i++)
		size += array[i].n * array[i].size;
	return size;
}

/* Room that is reserved for the history itself. */
static bool has_room(int dir, size_t size)
{
	struct statvfs v;

	return !fstatvfs(dir, &v) && (uint64_t)v.f_bavail * v.f_frsize > 8 * (uint64_t)size + (16 << 20);
}

int history_cache_write(int dir, int history, uint64_t size, const struct history_index *x, int *ret_fd)
{
	_cleanup_free_ char *content = NULL;
	struct history_index arrays_of = *x;
	struct array array[ARRAYS];
	struct header h;
	size_t length = 0;
	FILE *memory;
	int r;

	note_virtual(x);
	list_arrays(&arrays_of, array);
	if (content_size(array) + sizeof(h) > HISTORY_CACHE_MAX)
		return -EFBIG;
	if (!has_room(dir, content_size(array)))
		return -ENOSPC;
	memset(&h, 0, sizeof(h));
	h.magic = MAGIC;
	h.sizes = record_sizes();
	h.covered = size;
	h.index = *x;
	forget_pointers(&h.index);
	memory = open_memstream(&content, &length);
	if (!memory)
		return -ENOMEM;
	fwrite(&h, sizeof(h), 1, memory);
	r = write_content(memory, array);
	if (fclose(memory) || r)
		return -ENOMEM;
	r = hash_file(history, size, h.history);
	if (r)
		return r;
	hash_content(h, content + sizeof(h), length - sizeof(h), h.content);
	memcpy(content, &h, sizeof(h));
	return file_replace(dir, HISTORY_CACHE_FILE, content, length, NULL, false, ret_fd);
}

/* ---- Reading */

static bool moment_valid(const struct history_index *x, uint32_t moment)
{
	return moment < x->times.n;
}

static bool text_valid(const char *text, size_t size)
{
	return memchr(text, '\0', size);
}

static bool pauses_valid(const struct history_index *x, const struct history_pauses *p, size_t n)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i].of >= n || !moment_valid(x, p->at[i].begin) || !moment_valid(x, p->at[i].end))
			return false;
	return true;
}

static bool times_valid(const struct history_times *t)
{
	if ((t->n && !t->n_epochs) || t->n_settled > t->n)
		return false;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct history_moment *m = &t->moment[i];

		if (m->epoch >= t->n_epochs || m->late_epoch >= t->n_epochs || m->run >= t->n ||
		    (m->undoes != MOMENT_NONE && m->undoes >= t->n) || (m->undone != MOMENT_NONE && m->undone >= t->n))
			return false;
	}
	return true;
}

static bool facts_valid(const struct history_index *x, enum fact_kind kind)
{
	const struct history_facts *f = &x->facts[kind];

	for (size_t i = 0; i < f->n; i++) {
		const struct history_span *v = history_facts_number(kind, f, i);

		if (!moment_valid(x, v->begin) || (v->end != MOMENT_NONE && !moment_valid(x, v->end)) ||
		    !history_fact_valid(kind, history_fact_of(v)))
			return false;
	}
	for (size_t i = 0; i < f->n_open; i++)
		if (f->open[i] >= f->n)
			return false;
	return pauses_valid(x, &f->pauses, f->n);
}

static bool records_valid(const struct history_index *x)
{
	for (enum fact_kind k = 0; k < FACT_KINDS; k++)
		if (!facts_valid(x, k))
			return false;
	for (size_t i = 0; i < x->n_damages; i++)
		if (!text_valid(x->damages[i].text, sizeof(x->damages[i].text)))
			return false;
	return true;
}

static bool valid(const struct history_index *x)
{
	return times_valid(&x->times) && records_valid(x) &&
	       moment_valid(x, x->times.n ? x->moment : 0) == (x->times.n > 0) &&
	       text_valid(x->hash, sizeof(x->hash)) && text_valid(x->gateway, sizeof(x->gateway));
}

/* Whether virtual addresses mean in this process what they meant in the one that wrote the file. */
static bool claim_virtual(const struct history_index *x)
{
	for (size_t i = 0; i < x->mappings.n; i++) {
		const struct history_mapping *m = &x->mappings.interval[i].mapping;

		if (prefix_is_virtual(m->in) &&
		    (m->six.last != prefix_last(m->in) - m->in.base || virtual6_claim(&m->six, m->in.base)))
			return false;
	}
	return true;
}

/* Fills an index whose pointers are NULL with arrays of their own. 0 or -errno; the caller frees it in any case. */
static int take_content(struct history_index *x, const char *content)
{
	struct array array[ARRAYS];

	list_arrays(x, array);
	for (size_t i = 0; i < ARRAYS; i++) {
		*array[i].at = calloc(room_for(array[i].n), array[i].size);
		if (!*array[i].at)
			return -ENOMEM;
		memcpy(*array[i].at, content, array[i].n * array[i].size);
		content += array[i].n * array[i].size;
	}
	if (!valid(x) || !claim_virtual(x))
		return -EBADMSG;
	return history_index_open(x);
}

static int read_cache(int dir, char **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = file_open(dir, HISTORY_CACHE_FILE);
	int r = fd < 0 ? -errno : file_read(fd, HISTORY_CACHE_MAX, ret, ret_size);

	return !r && *ret_size < sizeof(struct header) ? -EBADMSG : r;
}

/* Whether the counts of a header are those of a content of this size. */
static bool counts_fit(struct history_index *x, size_t size)
{
	struct array array[ARRAYS];

	list_arrays(x, array);
	for (size_t i = 0; i < ARRAYS; i++) {
		if (array[i].n > size / array[i].size)
			return false;
		size -= array[i].n * array[i].size;
	}
	return !size;
}

int history_cache_read(int dir, const char *text, size_t size, struct history_index *ret, size_t *ret_used)
{
	_cleanup_free_ char *file = NULL;
	uint8_t hash[SHA256_DIGEST_SIZE];
	struct history_index x;
	struct header h;
	size_t length = 0;
	int r = read_cache(dir, &file, &length);

	if (r)
		return r;
	memcpy(&h, file, sizeof(h));
	length -= sizeof(h);
	if (h.magic != MAGIC || h.sizes != record_sizes() || h.covered > size || !counts_fit(&h.index, length))
		return -EBADMSG;
	hash_content(h, file + sizeof(h), length, hash);
	if (memcmp(hash, h.content, sizeof(hash)))
		return -EBADMSG;
	hash_text(text, h.covered, hash);
	if (memcmp(hash, h.history, sizeof(hash)))
		return -ESTALE;
	x = h.index;
	forget_pointers(&x);
	r = take_content(&x, file + sizeof(h));
	if (r) {
		history_index_free(&x);
		return r;
	}
	*ret = x;
	*ret_used = h.covered;
	return 0;
}
