/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A space of records (subscribers or buckets) cut into chunks: mmapable arrays of one size in an outer map, made when
 * a range first reaches into them and removed with the last one.
 *
 * Invariant: a record of an existing chunk that is in no range is zero. So a range is clean when it is made, and it
 * is released by clearing what it shares with others and removing the rest.
 */
#ifndef DETNAT_CHUNKS_H
#define DETNAT_CHUNKS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/background.h"
#include "datapath/chunk_maps.h"
#include "tables/ranges.h"
#include "datapath/table_types.h"
#include "base/base.h"

/* A chunk to be made, or to be removed. */
struct chunk_change {
	uint32_t chunk;
	int fd;	       /* of one made */
	uint8_t *base; /* in shared memory */
	int r;	       /* 0 or -errno */
};

struct chunks {
	int outer;
	uint32_t shift; /* log2 of the records of a chunk */
	uint32_t record_size;
	uint32_t max;
	uint8_t **base;	 /* of each chunk in shared memory; NULL: there is none */
	uint32_t *users; /* ranges that reach into it */
	uint32_t n_present;
	uint32_t n_missing; /* chunks that have users and are still to be made */
	struct ranges ranges;
	/* Under way in a thread: making, or removal. */
	struct background thread;
	struct chunk_change batch[CHUNKS_BATCH];
	unsigned n_batch;
	bool making;
	int error; /* of the last making, until told; 0: none */
	/* Set after chunks_open(). Types are for whoever dumps them, pins for the next agent. */
	const struct table_types *types; /* NULL: records are not described */
	uint32_t type;			 /* an id of types */
	const char *name;		 /* chunks are named NAME.NUMBER; at most 10 octets */
	const char *pin_dir;		 /* where each is pinned as NAME_NUMBER; NULL: nowhere */
};

/* An empty set. Chunks of an earlier agent's are found by the next two; until chunks_clear_unused(), the invariant does
 * not hold. */
int chunks_open(struct chunks *c, int outer, uint32_t shift, uint32_t record_size, uint32_t max, struct error *err);
void chunks_close(struct chunks *c);

/* Maps all chunks that the outer map holds. 0, -errno, or 1 where the kernel is too slow for that (6.1): ask for
 * ranges. */
int chunks_find_all(struct chunks *c, struct error *err);

/* Maps those of them that a range of records reaches into; a range that cannot be is of none. */
int chunks_find(struct chunks *c, uint64_t first, uint64_t count, struct error *err);

/* Takes a range that is in use already; -ENOENT where a chunk is missing, else as ranges_take(). */
int chunks_take(struct chunks *c, uint32_t first, uint64_t count);

/* Takes that back. */
void chunks_give(struct chunks *c, uint32_t first, uint64_t count);

/* Clears all records that are in no range, and removes chunks without any, those of a killed agent included. */
void chunks_clear_unused(struct chunks *c);

/* Takes a free range; errors as ranges_alloc(). Usable when chunks_make_step() has said so. */
int chunks_alloc(struct chunks *c, uint64_t count, uint32_t align, uint32_t *ret_first);

/*
 * Has the chunks made that the range lacks, and others that are missing with them, in a thread: 1 that goes on, 0 the
 * range has all its chunks and the datapath finds them, -errno (-ENOMEM).
 */
int chunks_make_step(struct chunks *c, uint32_t first, uint64_t count);

/* Whether the range has all its chunks. */
bool chunks_complete(const struct chunks *c, uint32_t first, uint64_t count);

/* The range needs its chunks no more. To be called before it is released, when the datapath cannot reach it any more.
 */
void chunks_retire(struct chunks *c, uint32_t first, uint64_t count);

/*
 * Releases a retired range, from record *pos on, which starts at 0 and is moved: what lies in chunks that others use is
 * cleared, for less than a millisecond, other chunks are removed in a thread. Says how far it has come.
 */
enum chunks_release {
	CHUNKS_RELEASED, /* the range is free */
	CHUNKS_MORE,	 /* more to clear */
	CHUNKS_WAITS,	 /* for the thread */
};
enum chunks_release chunks_release_step(struct chunks *c, uint32_t first, uint64_t count, uint64_t *pos);

/* Releases a range at once that was never used, and none of whose chunks was asked for. */
void chunks_release_unused(struct chunks *c, uint32_t first, uint64_t count);

/* Whether chunks are being made or removed; to be called now and then until it says no. */
bool chunks_busy(struct chunks *c);

/* Octets of the chunks that exist, and of those that are still to be made for ranges taken. */
uint64_t chunks_memory(const struct chunks *c);
uint64_t chunks_missing_memory(const struct chunks *c);

/* The record of a number; its chunk must exist. */
static inline void *chunks_at(const struct chunks *c, uint32_t n)
{
	return c->base[n >> c->shift] + (size_t)(n & ((1U << c->shift) - 1)) * c->record_size;
}

/* How many records from n on follow each other in memory. */
static inline uint32_t chunks_run(const struct chunks *c, uint32_t n)
{
	return (1U << c->shift) - (n & ((1U << c->shift) - 1));
}

#endif
