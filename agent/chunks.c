/* SPDX-License-Identifier: BSD-2-Clause */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "chunks.h"

/* Octets cleared in one step. */
#define CLEAR_STEP (8U << 20)

static size_t chunk_size(const struct chunks *c)
{
	return (size_t)c->record_size << c->shift;
}

static uint32_t last_chunk(const struct chunks *c, uint32_t first, uint64_t count)
{
	return (uint32_t)((first + count - 1) >> c->shift);
}

static int map_chunk(struct chunks *c, uint32_t chunk, int fd)
{
	void *base = mmap(NULL, chunk_size(c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	c->base[chunk] = base;
	c->n_present++;
	return 0;
}

static void unmap_chunk(struct chunks *c, uint32_t chunk)
{
	munmap(c->base[chunk], chunk_size(c));
	c->base[chunk] = NULL;
	c->n_present--;
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

/* So many look-ups show whether they are slow here. */
#define SLOW_LOOKUPS 8

/* Maps a chunk of an earlier agent's, if there is one of that number. */
static int find_chunk(struct chunks *c, uint32_t chunk, struct error *err)
{
	_cleanup_close_ int fd = -1;
	uint32_t id;
	int r;

	if (c->base[chunk])
		return 0;
	r = bpf_map_lookup_elem(c->outer, &chunk, &id);
	if (r == -ENOENT)
		return 0;
	if (r >= 0)
		r = fd = bpf_map_get_fd_by_id(id);
	if (r >= 0)
		r = map_chunk(c, chunk, fd);
	if (r < 0)
		return error_set(err, r, "cannot map chunk %u of the session tables: %s", chunk, strerror(-r));
	return 0;
}

int chunks_find_all(struct chunks *c, struct error *err)
{
	uint64_t started = monotonic_us();

	for (uint32_t chunk = 0; chunk < c->max; chunk++) {
		int r = find_chunk(c, chunk, err);

		if (r < 0)
			return r;
		/* 6.1 waits for a grace period at each of them: minutes in all. */
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

void chunks_close(struct chunks *c)
{
	for (unsigned i = 0; i < c->n_made; i++)
		close(c->made_fd[i]);
	for (uint32_t chunk = 0; c->base && chunk < c->max; chunk++)
		if (c->base[chunk])
			unmap_chunk(c, chunk);
	free(c->base);
	free(c->users);
	ranges_free_all(&c->ranges);
	*c = (struct chunks){ .outer = -1 };
}

/* Gathers what the outer map is to be told; returns how many changes. */
static unsigned gather_changes(struct chunks *c, struct outer_change *changes)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_made; i++)
		changes[n++] = (struct outer_change){ .outer = c->outer, .index = c->made[i], .fd = c->made_fd[i] };
	for (unsigned i = 0; i < c->n_unused; i++)
		changes[n++] = (struct outer_change){ .outer = c->outer, .index = c->unused[i], .fd = -1 };
	c->n_made = c->n_unused = 0;
	c->cleared = 0;
	return n;
}

static void finish_change(struct chunks *c, const struct outer_change *change)
{
	uint32_t chunk = change->index;

	if (change->fd >= 0) {
		close(change->fd);
		if (change->r < 0) {
			unmap_chunk(c, chunk);
			if (c->users[chunk])
				c->n_missing++;
		}
	} else if (change->r < 0 && change->r != -ENOENT) {
		memset(c->base[chunk], 0, chunk_size(c)); /* it stays, and is clean */
	} else {
		unmap_chunk(c, chunk);
	}
}

void chunks_apply(struct chunks *c, struct chunks *other)
{
	struct outer_change changes[OUTER_CHANGES];
	unsigned own = gather_changes(c, changes), n = own + (other ? gather_changes(other, &changes[own]) : 0);

	outer_apply(changes, n);
	for (unsigned i = 0; i < n; i++)
		finish_change(i < own ? c : other, &changes[i]);
}

/* One that the outer map does not have yet is gone at once. */
static bool drop_made(struct chunks *c, uint32_t chunk)
{
	for (unsigned i = 0; i < c->n_made; i++) {
		if (c->made[i] != chunk)
			continue;
		close(c->made_fd[i]);
		c->n_made--;
		c->made[i] = c->made[c->n_made];
		c->made_fd[i] = c->made_fd[c->n_made];
		unmap_chunk(c, chunk);
		return true;
	}
	return false;
}

/* Lists a chunk for removal, once. */
static void list_unused(struct chunks *c, uint32_t chunk)
{
	if (drop_made(c, chunk))
		return;
	for (unsigned i = 0; i < c->n_unused; i++)
		if (c->unused[i] == chunk)
			return;
	c->unused[c->n_unused++] = chunk;
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

void chunks_clear_unused(struct chunks *c)
{
	for (uint32_t chunk = 0; chunk < c->max; chunk++) {
		if (!c->base[chunk])
			continue;
		if (c->users[chunk])
			clear_gaps(c, chunk);
		else
			list_unused(c, chunk);
		if (c->n_unused == CHUNKS_BATCH)
			chunks_apply(c, NULL);
	}
	chunks_apply(c, NULL);
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

static int make(struct chunks *c, uint32_t chunk)
{
	static const struct table_types none = { .fd = -1 };
	char name[BPF_OBJ_NAME_LEN];

	snprintf(name, sizeof(name), "%.10s.%u", c->name ? c->name : "chunk", chunk);

	_cleanup_close_ int fd =
		table_types_array(c->types ? c->types : &none, name, c->type, c->record_size, 1U << c->shift);

	if (fd < 0)
		return fd;

	int r = map_chunk(c, chunk, fd);

	if (r < 0)
		return r;
	c->n_missing--;
	c->made[c->n_made] = chunk;
	c->made_fd[c->n_made++] = take_fd(fd);
	return 0;
}

int chunks_make_step(struct chunks *c, uint32_t first, uint64_t count)
{
	/* A step makes one chunk or waits for one grace period, not both. */
	if (c->n_made == CHUNKS_BATCH) {
		chunks_apply(c, NULL);
		return 1;
	}
	for (uint32_t chunk = first >> c->shift; chunk <= last_chunk(c, first, count); chunk++) {
		if (!c->base[chunk]) {
			int r = make(c, chunk);

			return r < 0 ? r : 1;
		}
	}
	return 0;
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

int chunks_release_step(struct chunks *c, uint32_t first, uint64_t count, uint64_t *pos)
{
	while (*pos < count) {
		uint32_t at = (uint32_t)(first + *pos), chunk = at >> c->shift;
		uint64_t part = chunks_run(c, at);

		if (c->cleared >= CLEAR_STEP || c->n_unused == CHUNKS_BATCH)
			return 1;
		if (part > count - *pos)
			part = count - *pos;
		*pos += part;
		if (!c->base[chunk])
			continue;
		if (c->users[chunk]) {
			memset(chunks_at(c, at), 0, (size_t)part * c->record_size);
			c->cleared += part * c->record_size;
		} else {
			list_unused(c, chunk);
		}
	}
	ranges_give(&c->ranges, first, count);
	return 0;
}

void chunks_release(struct chunks *c, uint32_t first, uint64_t count)
{
	uint64_t pos = 0;

	chunks_retire(c, first, count);
	while (chunks_release_step(c, first, count, &pos))
		chunks_apply(c, NULL);
	chunks_apply(c, NULL);
}

uint64_t chunks_memory(const struct chunks *c)
{
	return (uint64_t)c->n_present * chunk_size(c);
}

uint64_t chunks_missing_memory(const struct chunks *c)
{
	return (uint64_t)c->n_missing * chunk_size(c);
}
