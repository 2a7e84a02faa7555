/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A space of records (subscribers or buckets) divided into chunks: memory-mappable arrays of one size in an outer map.
 * A chunk is made when a range first reaches into it, and removed with the last such range.
 *
 * Invariant: a record of an existing chunk that is in no range is zero. So a new range is clean, and a range is
 * released by clearing the parts of chunks that it shares and removing the other chunks.
 */
#ifndef DETNAT_CHUNKS_H
#define DETNAT_CHUNKS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/background.h"
#include "base/base.h"
#include "datapath/chunk_maps.h"
#include "datapath/table_types.h"
#include "tables/ranges.h"

/* A chunk to be made or removed. */
struct chunk_change {
	uint32_t chunk;
	int fd;	       /* of a chunk just made */
	uint8_t *base; /* in shared memory */
	int r;	       /* 0 or -errno */
};

struct chunks {
	int outer;
	uint32_t shift; /* log2 of the records per chunk */
	uint32_t record_size;
	uint32_t max;
	uint8_t **base;	 /* each chunk in shared memory; NULL: missing */
	uint32_t *users; /* number of ranges that reach into each chunk */
	uint32_t n_present;
	uint32_t n_missing; /* chunks that have users but do not exist yet */
	struct ranges ranges;
	/* In progress in a thread, making or removing. */
	struct background thread;
	struct chunk_change batch[CHUNKS_BATCH];
	unsigned n_batch;
	bool making;
	int error; /* of the last batch made, until it is reported; 0: none */
	/* Set after chunks_open(). Types serve dumps of the maps, pins serve the next agent. */
	const struct table_types *types; /* NULL: records have no types */
	uint32_t type;			 /* an id in types */
	const char *name;		 /* chunks are named NAME.NUMBER; at most 10 octets */
	const char *pin_dir;		 /* chunks are pinned here as NAME_NUMBER; NULL: not pinned */
};

/*
 * Opens an empty set. The next two functions find the chunks of an earlier agent; the invariant does not hold until
 * chunks_clear_unused().
 */
int chunks_open(struct chunks *c, int outer, uint32_t shift, uint32_t record_size, uint32_t max, struct error *err);
void chunks_close(struct chunks *c);

/*
 * Maps all chunks in the outer map. 0, -errno, or 1 if the kernel is too slow for that (6.1); then use chunks_find().
 */
int chunks_find_all(struct chunks *c, struct error *err);

/* Maps the chunks of a range of records; skips missing ones. */
int chunks_find(struct chunks *c, uint64_t first, uint64_t count, struct error *err);

/* Takes a range already in use; -ENOENT if a chunk is missing, else as ranges_take(). */
int chunks_take(struct chunks *c, uint32_t first, uint64_t count);

/* Undoes chunks_take(). */
void chunks_give(struct chunks *c, uint32_t first, uint64_t count);

/* Clears all records that are in no range, and removes chunks without users, including those of a killed agent. */
void chunks_clear_unused(struct chunks *c);

/* Allocates a free range; errors as for ranges_alloc(). It is usable once chunks_make_step() returns 0. */
int chunks_alloc(struct chunks *c, uint64_t count, uint32_t align, uint32_t *ret_first);

/*
 * Makes the chunks that the range lacks, together with other missing ones, in a thread. 1: in progress; 0: the range
 * has all its chunks and the datapath finds them; -errno (-ENOMEM).
 */
int chunks_make_step(struct chunks *c, uint32_t first, uint64_t count);

/* Whether the range has all its chunks. */
bool chunks_complete(const struct chunks *c, uint32_t first, uint64_t count);

/*
 * Marks that a range no longer needs its chunks. Call it before the range is released, once the datapath cannot reach
 * it.
 */
void chunks_retire(struct chunks *c, uint32_t first, uint64_t count);

/*
 * Releases a retired range step by step, from record *pos, which starts at 0. Parts of chunks that others use are
 * cleared, for less than a millisecond per step; other chunks are removed in a thread.
 */
enum chunks_release {
	CHUNKS_RELEASED, /* the range is free */
	CHUNKS_MORE,	 /* call again at once */
	CHUNKS_WAITS,	 /* a thread is working; call again later */
};
enum chunks_release chunks_release_step(struct chunks *c, uint32_t first, uint64_t count, uint64_t *pos);

/* Releases at once a range that was never used and for which no chunk was made. */
void chunks_release_unused(struct chunks *c, uint32_t first, uint64_t count);

/* Whether chunks are being made or removed; poll until it is false. */
bool chunks_busy(struct chunks *c);

/* Octets of the existing chunks, and of those still to be made for allocated ranges. */
uint64_t chunks_memory(const struct chunks *c);
uint64_t chunks_missing_memory(const struct chunks *c);

/* The record with that number; its chunk must exist. */
static inline void *chunks_at(const struct chunks *c, uint32_t n)
{
	return c->base[n >> c->shift] + (size_t)(n & ((1U << c->shift) - 1)) * c->record_size;
}

/* Number of records, from n on, that are contiguous in memory. */
static inline uint32_t chunks_run(const struct chunks *c, uint32_t n)
{
	return (1U << c->shift) - (n & ((1U << c->shift) - 1));
}

#endif
