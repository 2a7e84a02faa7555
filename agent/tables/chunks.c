/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/bpffs.h"
#include "datapath/pinned.h"
#include "tables/chunks.h"

/* Octets cleared per step: a few tenths of a millisecond. */
#define CLEAR_STEP (1U << 20)

static size_t chunk_size(const struct chunks *c)
{
	return (size_t)c->record_size << c->shift;
}

static uint32_t last_chunk(const struct chunks *c, uint32_t first, uint64_t count)
{
	return (uint32_t)((first + count - 1) >> c->shift);
}

static int map_memory(const struct chunks *c, int fd, uint8_t **ret)
{
	void *base = mmap(NULL, chunk_size(c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	*ret = base;
	return 0;
}

int chunks_open(struct chunks *c, int outer, uint32_t shift, uint32_t record_size, uint32_t max, struct error *err)
{
	*c = (struct chunks){ .outer = outer, .shift = shift, .record_size = record_size, .max = max };
	ranges_init(&c->ranges, (uint64_t)max << shift);
	c->base = calloc(max, sizeof(*c->base));
	c->users = calloc(max, sizeof(*c->users));
	if (!c->base || !c->users) {
		chunks_close(c);
		return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

/* Path of a chunk's pin, or NULL if chunks are not pinned. */
static const char *pin_of(const struct chunks *c, uint32_t chunk, char text[static PATH_MAX])
{
	if (!c->pin_dir || !c->name)
		return NULL;
	return chunk_pin(c->pin_dir, c->name, chunk, text);
}

/*
 * A chunk is pinned before the datapath can find it and unpinned afterwards, so a chunk in use can always be reopened.
 */
static int pin(const struct chunks *c, uint32_t chunk, int fd)
{
	char text[PATH_MAX];
	const char *path = pin_of(c, chunk, text);

	if (!path)
		return 0;
	unlink(path);
	return bpf_obj_pin(fd, path);
}

static void unpin(const struct chunks *c, uint32_t chunk)
{
	char text[PATH_MAX];
	const char *path = pin_of(c, chunk, text);

	if (path)
		unlink(path);
}

/* After this many lookups it is known whether they are slow here. */
#define SLOW_LOOKUPS 8

/* Maps the chunk of that number, if an earlier agent left one, and pins it again if its pin is gone. */
static int find_chunk(struct chunks *c, uint32_t chunk, struct error *err)
{
	_cleanup_close_ int fd = -1;
	const char *pinned;
	char path[PATH_MAX];
	int r;

	if (c->base[chunk])
		return 0;
	pinned = pin_of(c, chunk, path);
	r = fd = outer_chunk(c->outer, chunk, pinned);
	/* -ESTALE: an agent was killed while it replaced a chunk that no range needed. */
	if (r == -ENOENT || r == -ESTALE)
		return 0;
	/* If that fails, `check` names it. */
	if (r >= 0 && pinned && access(pinned, F_OK))
		bpf_obj_pin(fd, pinned);
	if (r >= 0)
		r = map_memory(c, fd, &c->base[chunk]);
	if (r < 0)
		return error_set(err, r, "cannot map chunk %u of the session tables: %s", chunk, strerror(-r));
	c->n_present++;
	return 0;
}

int chunks_find_all(struct chunks *c, struct error *err)
{
	uint64_t started = monotonic_us();

	for (uint32_t chunk = 0; chunk < c->max; chunk++) {
		int r = find_chunk(c, chunk, err);

		if (r < 0)
			return r;
		/* On 6.1 each lookup waits for a grace period: minutes in all. */
		if (chunk == SLOW_LOOKUPS && monotonic_us() - started > SLOW_LOOKUPS * 2000ULL)
			return 1;
	}
	return 0;
}

int chunks_find(struct chunks *c, uint64_t first, uint64_t count, struct error *err)
{
	int r = 0;

	if (!count || first + count > (uint64_t)c->max << c->shift)
		return 0;
	for (uint64_t chunk = first >> c->shift; !r && chunk <= (first + count - 1) >> c->shift; chunk++)
		r = find_chunk(c, (uint32_t)chunk, err);
	return r;
}

static int make(const struct chunks *c, struct chunk_change *change)
{
	static const struct table_types none = { .fd = -1 };
	char name[BPF_OBJ_NAME_LEN];

	snprintf(name, sizeof(name), "%.10s.%u", c->name ? c->name : "chunk", change->chunk);
	change->fd = table_types_array(c->types ? c->types : &none, name, c->type, c->record_size, 1U << c->shift);
	if (change->fd < 0)
		return change->fd;

	int r = map_memory(c, change->fd, &change->base);

	return r ? r : pin(c, change->chunk, change->fd);
}

/*
 * Runs in the thread: the kernel takes milliseconds to zero a chunk, and a change of the outer map waits for a grace
 * period.
 */
static void make_batch(void *arg)
{
	struct chunks *c = arg;
	struct outer_change changes[CHUNKS_BATCH];
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_batch; i++) {
		struct chunk_change *change = &c->batch[i];

		change->r = make(c, change);
		if (change->r)
			break;
		changes[n++] = (struct outer_change){ .outer = c->outer, .index = change->chunk, .fd = change->fd };
	}
	outer_apply(changes, n);
	for (unsigned i = 0; i < n; i++)
		c->batch[i].r = changes[i].r;
}

static void remove_batch(void *arg)
{
	struct chunks *c = arg;
	struct outer_change changes[CHUNKS_BATCH];

	for (unsigned i = 0; i < c->n_batch; i++) {
		if (c->batch[i].base)
			munmap(c->batch[i].base, chunk_size(c));
		changes[i] = (struct outer_change){ .outer = c->outer, .index = c->batch[i].chunk, .fd = -1 };
	}
	outer_apply(changes, c->n_batch);
	for (unsigned i = 0; i < c->n_batch; i++)
		if (!changes[i].r || changes[i].r == -ENOENT)
			unpin(c, changes[i].index);
}

/* Queues a chunk without users for removal. From here on it counts as missing. */
static void list_unused(struct chunks *c, uint32_t chunk)
{
	c->batch[c->n_batch++] = (struct chunk_change){ .chunk = chunk, .base = c->base[chunk] };
	if (c->base[chunk])
		c->n_present--;
	c->base[chunk] = NULL;
}

static void start_removal(struct chunks *c)
{
	c->making = false;
	background_start(&c->thread, remove_batch, c);
}

/* Enters new chunks. An array that could not be removed is replaced when its chunk is made again. */
static void finish_batch(struct chunks *c)
{
	unsigned n = c->n_batch;

	c->n_batch = 0;
	for (unsigned i = 0; c->making && i < n; i++) {
		struct chunk_change change = c->batch[i];

		if (change.fd >= 0)
			close(change.fd);
		if (change.r && change.base)
			munmap(change.base, chunk_size(c));
		if (change.r)
			unpin(c, change.chunk);
		if (change.r) {
			c->error = change.r == -ECANCELED ? c->error : change.r;
			continue;
		}
		c->base[change.chunk] = change.base;
		c->n_present++;
		if (c->users[change.chunk])
			c->n_missing--;
		else
			list_unused(c, change.chunk); /* no longer needed */
	}
	if (c->n_batch)
		start_removal(c);
}

bool chunks_busy(struct chunks *c)
{
	while (c->n_batch && !background_busy(&c->thread))
		finish_batch(c);
	return c->n_batch;
}

static void wait_until_idle(struct chunks *c)
{
	while (chunks_busy(c))
		background_wait(&c->thread);
}

void chunks_close(struct chunks *c)
{
	wait_until_idle(c);
	for (uint32_t chunk = 0; c->base && chunk < c->max; chunk++)
		if (c->base[chunk])
			munmap(c->base[chunk], chunk_size(c));
	free(c->base);
	free(c->users);
	ranges_free_all(&c->ranges);
	*c = (struct chunks){ .outer = -1 };
}

static void add_users(struct chunks *c, uint32_t first, uint64_t count)
{
	for (uint32_t chunk = first >> c->shift; chunk <= last_chunk(c, first, count); chunk++)
		if (!c->users[chunk]++ && !c->base[chunk])
			c->n_missing++;
}

int chunks_take(struct chunks *c, uint32_t first, uint64_t count)
{
	int r = ranges_take(&c->ranges, first, count);

	if (r < 0)
		return r;
	for (uint32_t chunk = first >> c->shift; chunk <= last_chunk(c, first, count); chunk++) {
		if (!c->base[chunk]) {
			ranges_give(&c->ranges, first, count);
			return -ENOENT;
		}
	}
	add_users(c, first, count);
	return 0;
}

void chunks_give(struct chunks *c, uint32_t first, uint64_t count)
{
	for (uint32_t chunk = first >> c->shift; chunk <= last_chunk(c, first, count); chunk++)
		c->users[chunk]--;
	ranges_give(&c->ranges, first, count);
}

static void clear_gaps(struct chunks *c, uint32_t chunk)
{
	uint64_t pos = (uint64_t)chunk << c->shift, end = pos + (1ULL << c->shift);

	while (pos < end) {
		struct range next = { .first = end };

		ranges_next(&c->ranges, pos, &next);
		if (next.first > pos) {
			uint64_t gap_end = next.first < end ? next.first : end;

			memset(chunks_at(c, (uint32_t)pos), 0, (size_t)(gap_end - pos) * c->record_size);
		}
		pos = next.first + next.count;
	}
}

/*
 * Removes the pin of a chunk that was not found: an agent was killed while it made or removed the chunk, or no range
 * needs it.
 */
static int visit_pin(const char *name, void *arg)
{
	struct chunks *c = arg;
	long chunk = pinned_number(name, c->name);

	if (chunk < 0 || chunk >= c->max || c->base[chunk])
		return 0;
	list_unused(c, (uint32_t)chunk);
	return c->n_batch == CHUNKS_BATCH;
}

static void remove_strays(struct chunks *c)
{
	while (c->pin_dir && c->name && directory_visit(c->pin_dir, visit_pin, c) == 1) {
		start_removal(c);
		wait_until_idle(c);
	}
}

void chunks_clear_unused(struct chunks *c)
{
	for (uint32_t chunk = 0; chunk < c->max; chunk++) {
		if (!c->base[chunk])
			continue;
		if (c->users[chunk])
			clear_gaps(c, chunk);
		else
			list_unused(c, chunk);
		if (c->n_batch == CHUNKS_BATCH) {
			start_removal(c);
			wait_until_idle(c);
		}
	}
	if (c->n_batch)
		start_removal(c);
	wait_until_idle(c);
	remove_strays(c);
	if (c->n_batch)
		start_removal(c);
	wait_until_idle(c);
}

int chunks_alloc(struct chunks *c, uint64_t count, uint32_t align, uint32_t *ret_first)
{
	uint64_t first;
	int r = ranges_alloc(&c->ranges, count, align, &first);

	if (r < 0)
		return r;
	add_users(c, (uint32_t)first, count);
	*ret_first = (uint32_t)first;
	return 0;
}

/* Queues missing chunks from number `from` on, below `end`. */
static void list_missing(struct chunks *c, uint32_t from, uint32_t end)
{
	for (uint32_t chunk = from; chunk < end && c->n_batch < CHUNKS_BATCH; chunk++)
		if (c->users[chunk] && !c->base[chunk])
			c->batch[c->n_batch++] = (struct chunk_change){ .chunk = chunk, .fd = -1, .r = -ECANCELED };
}

int chunks_make_step(struct chunks *c, uint32_t first, uint64_t count)
{
	uint32_t end = last_chunk(c, first, count) + 1;
	int r;

	if (chunks_busy(c))
		return 1;
	r = c->error;
	c->error = 0;
	if (chunks_complete(c, first, count))
		return 0;
	if (r)
		return r;
	list_missing(c, first >> c->shift, end);
	if (c->n_missing > c->n_batch)
		list_missing(c, end, c->max);
	c->making = true;
	background_start(&c->thread, make_batch, c);
	return 1;
}

bool chunks_complete(const struct chunks *c, uint32_t first, uint64_t count)
{
	for (uint32_t chunk = first >> c->shift; chunk <= last_chunk(c, first, count); chunk++)
		if (!c->base[chunk])
			return false;
	return true;
}

void chunks_retire(struct chunks *c, uint32_t first, uint64_t count)
{
	for (uint32_t chunk = first >> c->shift; chunk <= last_chunk(c, first, count); chunk++)
		if (!--c->users[chunk] && !c->base[chunk])
			c->n_missing--;
}

enum chunks_release chunks_release_step(struct chunks *c, uint32_t first, uint64_t count, uint64_t *pos)
{
	uint64_t budget = CLEAR_STEP / c->record_size;

	if (chunks_busy(c))
		return CHUNKS_WAITS;
	while (*pos < count && budget && c->n_batch < CHUNKS_BATCH) {
		uint32_t at = (uint32_t)(first + *pos), chunk = at >> c->shift;
		uint64_t part = chunks_run(c, at);

		if (part > count - *pos)
			part = count - *pos;
		if (c->base[chunk] && c->users[chunk]) {
			part = part < budget ? part : budget;
			memset(chunks_at(c, at), 0, (size_t)part * c->record_size);
			budget -= part;
		} else if (c->base[chunk]) {
			list_unused(c, chunk);
		}
		*pos += part;
	}
	if (c->n_batch)
		start_removal(c);
	if (*pos < count)
		return c->n_batch ? CHUNKS_WAITS : CHUNKS_MORE;
	ranges_give(&c->ranges, first, count);
	return CHUNKS_RELEASED;
}

void chunks_release_unused(struct chunks *c, uint32_t first, uint64_t count)
{
	chunks_retire(c, first, count);
	ranges_give(&c->ranges, first, count);
}

uint64_t chunks_memory(const struct chunks *c)
{
	return (uint64_t)c->n_present * chunk_size(c);
}

uint64_t chunks_missing_memory(const struct chunks *c)
{
	return (uint64_t)c->n_missing * chunk_size(c);
}
