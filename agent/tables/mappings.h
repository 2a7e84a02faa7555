/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings and their tables: numbers, ranges of subscriber records and of buckets, chunks, the prefix index.
 *
 * The datapath sees a mapping once its index entries point at it, and no more once they are cleared and a grace
 * period has passed; only then is its memory reused. Work that grows with the mapping (making chunks, clearing ranges)
 * is done in threads or in steps of a millisecond, so that the event loop turns meanwhile.
 */
#ifndef DETNAT_MAPPINGS_H
#define DETNAT_MAPPINGS_H

#include "datapath/datapath.h"

struct mappings;
struct mapping_job;

/* What is asked for, with defaults applied. */
struct mapping_spec {
	struct prefix in;
	struct prefix out;
	uint32_t sessions_per_user;
	uint32_t session_slots;
	uint32_t timeout_ticks[N_TIMEOUTS];
};

/*
 * Maps the tables; where they hold mappings already (pins of an earlier agent) takes them over: which ranges are in use
 * follows from the mapping records that the index leads to. Ranges of no mapping (an earlier agent was killed in the
 * middle of an addition or deletion) are cleared. The datapath must outlive the result.
 */
int mappings_open(struct datapath *d, struct mappings **ret, struct error *err);
void mappings_close(struct mappings *m);

/* Octets of tables that a mapping of this shape takes. */
uint64_t mappings_memory(struct prefix in, uint32_t session_slots);

/* Octets that the machine can give without swapping; UINT64_MAX where it does not say. */
uint64_t memory_available(void);

/*
 * Addition: begin, step until it returns 0 (1: a thread is at work, ask again in some milliseconds), then commit, which
 * makes it visible to the datapath. abort frees a job at any time before commit. -ENOMEM with the figures in err where
 * memory is short. Begin all that are to be added before the first step: their chunks are made together then.
 *
 * Overlaps with other mappings are looked at by commit alone (-EEXIST, and the job is still the caller's), so that a
 * mapping can be prepared while the one that it replaces still serves. Commit waits for a grace period (some 10 ms)
 * where a mapping of the same addresses was deleted since the last step (delete all, then commit all, and it is one for
 * all); or where no number is free but those of mappings just deleted.
 */
int mappings_add_begin(struct mappings *m, const struct mapping_spec *spec, struct mapping_job **ret,
		       struct error *err);
int mappings_add_step(struct mapping_job *job, struct error *err);
int mappings_add_commit(struct mapping_job *job);
void mappings_add_abort(struct mapping_job *job);

/* Makes the datapath forget a mapping, and queues its memory for mappings_reclaim_step(). -ENOENT. */
int mappings_del(struct mappings *m, struct prefix in, struct prefix out);

/*
 * Gives back memory of deleted mappings and aborted additions, some milliseconds at a time. To be called until done
 * after each deletion and abort, from the event loop.
 */
enum reclaim {
	RECLAIM_DONE,
	RECLAIM_MORE,  /* more to do at once */
	RECLAIM_WAITS, /* for a thread or a grace period: to be called again in some milliseconds */
};
enum reclaim mappings_reclaim_step(struct mappings *m);

/* Has left(arg) called whenever there is something to reclaim anew; NULL: nothing. */
void mappings_on_leave(struct mappings *m, void (*left)(void *arg), void *arg);

/* Changes quota and timeouts of a mapping in place. */
int mappings_update(struct mappings *m, const struct mapping_spec *spec);

/* Number of the mapping, 0..MAX_MAPPINGS-1, or -ENOENT. */
int mappings_find(const struct mappings *m, struct prefix in, struct prefix out);
int mappings_find_inside(const struct mappings *m, uint32_t in_addr);
int mappings_find_outside(const struct mappings *m, uint32_t out_addr);

/* Next mapping number in use at or above `from`, or -1. */
int mappings_next(const struct mappings *m, int from);

/* Number of the mapping that covers an inside address, else of the next one above it, or -1. Walks in order of address.
 */
int mappings_next_inside(const struct mappings *m, uint32_t in_addr);

/* Record of a mapping in use. */
const struct mapping *mappings_get(const struct mappings *m, int number);

/* A subscriber's record, and its 1 << bucket_shift buckets, in shared memory. subscriber: number within the mapping. */
struct subscriber *mappings_subscriber(const struct mappings *m, int number, uint32_t subscriber);
struct bucket *mappings_buckets(const struct mappings *m, int number, uint32_t subscriber);

/* How many subscribers' records, from this one on, and all their buckets, follow each other in memory. */
uint32_t mappings_run(const struct mappings *m, int number, uint32_t subscriber);

/* The datapath that the tables belong to. */
struct datapath *mappings_datapath(const struct mappings *m);

/* Octets of memory in all tables, chunks and fixed maps included. */
uint64_t mappings_table_memory(const struct mappings *m);

#endif
