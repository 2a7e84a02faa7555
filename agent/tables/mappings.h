/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mappings and their tables: added, looked up, changed and deleted, with the memory of their subscribers and slots.
 *
 * The datapath sees a mapping as soon as its index entries point to it. It has forgotten the mapping once these are
 * cleared and a grace period has passed; only then is the memory reused. Work that grows with the mapping (making
 * chunks, clearing ranges) runs in threads or in steps of a millisecond, so that the event loop keeps turning.
 */
#ifndef DETNAT_MAPPINGS_H
#define DETNAT_MAPPINGS_H

#include "datapath/datapath.h"

struct mappings;
struct mapping_job;

/* A requested mapping, with defaults applied. */
struct mapping_spec {
	struct prefix in;
	struct prefix out;
	uint32_t sessions_per_user;
	uint32_t session_slots;
	bool open; /* inbound is open: no sessions, no slots */
	uint32_t timeout_ticks[N_TIMEOUTS];
	struct binding_layout bindings; /* mapping, filtering, inbound; the rest is 0 */
};

/* How a mapping takes over addresses that another one has. */
struct mapping_handover {
	bool replaces;	    /* a mapping of the same inside prefix, which is retired */
	struct prefix from; /* the outside prefix of that one */
	uint32_t drain_s;   /* how long; 0: sessions in an enclosing mapping end */
};

/*
 * Maps the tables. Mappings that an earlier agent pinned are taken over: the records that the index leads to tell which
 * ranges are in use. Ranges without a mapping (an agent was killed during an addition or deletion) are cleared. The
 * datapath must outlive the result.
 */
int mappings_open(struct datapath *d, struct mappings **ret, struct error *err);
void mappings_close(struct mappings *m);

/* Octets of tables that such a mapping takes, and those of its slots alone. */
uint64_t mappings_memory(struct prefix in, uint32_t session_slots);
uint64_t mappings_slot_memory(struct prefix in, uint32_t session_slots);

/* Octets that bindings of these protocols, BINDING_…, take beside them. */
uint64_t mappings_binding_memory(const struct geometry *g, uint32_t session_slots, uint8_t protocols);

/* Octets that the machine can provide without swapping; UINT64_MAX if unknown. */
uint64_t memory_available(void);

/*
 * Adds a mapping: begin, then step until it returns 0 (1: a thread is working, ask again in some milliseconds), then
 * commit, which makes the mapping visible to the datapath. abort frees a job at any time before commit. -ENOMEM, with
 * figures in err, if memory is short. Begin all additions before the first step, so that their chunks are made
 * together.
 *
 * Only commit checks for overlaps with other mappings (-EEXIST; the caller keeps the job), so that a mapping can be
 * prepared while the one it replaces still serves. Commit waits for a grace period (about 10 ms) if a mapping with the
 * same addresses was deleted since the last step, or if the only free numbers are those of mappings just deleted.
 * Deleting all, then committing all, costs a single grace period.
 */
int mappings_add_begin(struct mappings *m, const struct mapping_spec *spec, struct mapping_job **ret,
		       struct error *err);
int mappings_add_step(struct mapping_job *job, struct error *err);
int mappings_add_commit(struct mapping_job *job);
int mappings_add_commit_with(struct mapping_job *job, const struct mapping_handover *how);
void mappings_add_abort(struct mapping_job *job);

/*
 * Drains: sessions of inside addresses go on in a mapping that has been deleted or replaced (*retired*), or that has
 * lost the addresses to an exception. All of it is pinned, see <detnat/drains.h>: the next agent goes on with it.
 */
struct mapping_drain {
	struct prefix in;
	int number;	   /* of the mapping */
	bool whole;	   /* the mapping is retired; else it is in use, without these addresses */
	uint64_t until_s;  /* CLOCK_BOOTTIME */
	uint64_t sessions; /* when they were last swept; UINT64_MAX: not yet */
};

/* The drains, in order of their beginning. */
size_t mappings_drains(const struct mappings *m, const struct mapping_drain **ret);

/* The drain of an inside address from a mapping, or NULL. */
const struct mapping_drain *mappings_drain_of(const struct mappings *m, int number, uint32_t in_addr);

/* The drain of an inside prefix from outside addresses, as mappings_drain_out() has them, or NULL. */
const struct mapping_drain *mappings_find_drain(const struct mappings *m, struct prefix in, struct prefix out);

/* Whether an inside address may have sessions in a mapping: it is the mapping's, or drains from it. */
bool mappings_serves(const struct mappings *m, int number, uint32_t in_addr);

/* The outside addresses of a drain: of a part of a mapping, those that its blocks are of. */
struct prefix mappings_drain_out(const struct mappings *m, int number, struct prefix in);

/* Seconds that a drain has left. */
uint32_t mapping_drain_left(const struct mapping_drain *d);

/* Whether a drain is over: its time, or its last session has ended. */
bool mapping_drain_over(const struct mapping_drain *d);

/* Number of a mapping that drains, or -ENOENT. */
int mappings_find_retired(const struct mappings *m, struct prefix in, struct prefix out);

/* Whether a mapping is retired. mappings_get() knows it, mappings_next() and mappings_find() do not. */
bool mappings_is_retired(const struct mappings *m, int number);
int mappings_next_retired(const struct mappings *m, int from);

/*
 * Whether these addresses can drain: 0; -ENOSPC if there are too many drains, -EMLINK if too many mappings drain of the
 * same addresses already.
 */
int mappings_drain_check(const struct mappings *m, struct prefix in);

/*
 * Whether all of these can begin to drain one after the other, once others have ended; of a drain `in` and `number`
 * count. As mappings_drain_check(), with the first that cannot in *ret_failed.
 */
int mappings_drains_check(const struct mappings *m, const struct mapping_drain *ended, size_t n_ended,
			  const struct mapping_drain *begun, size_t n_begun, size_t *ret_failed);

/*
 * Before several mappings that overlap are added, retired or deleted: the addresses of a prefix that is one of them
 * have no mapping from now on, but for those of mappings within it, until the prefix is added, or mappings_release().
 * Else packets would leave by a mapping that they have neither before nor after.
 */
void mappings_hold(struct mappings *m, struct prefix in);
void mappings_release(struct mappings *m);

/*
 * Retires a mapping. -ENOENT if there is none; else as mappings_drain_check(), with nothing changed. Sessions go on for
 * drain_s seconds at most; the caller then deletes the mapping, as any other, when mapping_drain_over().
 */
int mappings_retire(struct mappings *m, struct prefix in, struct prefix out, uint32_t drain_s);

/* Takes a retired mapping into use again; how may be NULL. Errors as for mappings_add_commit(). */
int mappings_revive(struct mappings *m, struct prefix in, struct prefix out, const struct mapping_handover *how);

/* Ends what is left of a drain from a mapping that is in use: the sessions end. */
void mappings_end_drain(struct mappings *m, struct prefix in, int number);

/* Notes how many sessions a sweep has left of a drain. */
void mappings_drain_swept(struct mappings *m, const struct mapping_drain *d, uint64_t sessions);

/* Has a drain end after so many seconds from now on; 0: it is over. */
void mappings_time_drain(struct mappings *m, struct prefix in, int number, uint32_t seconds);

/* The mapping that a session beyond the slots belongs to, which may be retired, by the key of an entry; or -ENOENT. */
struct overflow_key;
int mappings_of_overflow(const struct mappings *m, const struct overflow_key *key);

/* Deletes a mapping from the datapath and queues its memory for mappings_reclaim_step(). -ENOENT if there is none. */
int mappings_del(struct mappings *m, struct prefix in, struct prefix out);

/*
 * Returns the memory of deleted mappings and aborted additions, a few milliseconds at a time. After each deletion or
 * abort, call it from the event loop until it is done.
 */
enum reclaim {
	RECLAIM_DONE,
	RECLAIM_MORE,  /* call again at once */
	RECLAIM_WAITS, /* waiting for a thread or a grace period: call again in some milliseconds */
};
enum reclaim mappings_reclaim_step(struct mappings *m);

/* Calls left(arg) whenever there is something new to reclaim; NULL: no call. */
void mappings_on_leave(struct mappings *m, void (*left)(void *arg), void *arg);

/*
 * Changes the quota, the timeouts and the bindings of a mapping in place. Begin, then step until it returns 0 (1: a
 * thread is working), prepare until it returns 0 (1: call again), and once more if other work came between; then
 * update, which makes the change and does what is left. Abort gives up a change that was begun and not made; it keeps
 * the memory for the next one of the mapping. -ENOMEM, with figures in err, if memory is short.
 */
int mappings_update_begin(struct mappings *m, const struct mapping_spec *spec, struct error *err);
int mappings_update_step(struct mappings *m, const struct mapping_spec *spec, struct error *err);
int mappings_update_prepare(struct mappings *m, const struct mapping_spec *spec, struct error *err);
int mappings_update(struct mappings *m, const struct mapping_spec *spec);
void mappings_update_abort(struct mappings *m, const struct mapping_spec *spec);

/* Number of the mapping, 0..MAX_MAPPINGS-1, or -ENOENT. */
int mappings_find(const struct mappings *m, struct prefix in, struct prefix out);
int mappings_find_inside(const struct mappings *m, uint32_t in_addr);
int mappings_find_outside(const struct mappings *m, uint32_t out_addr);

/* The next mapping number in use at or above `from`, or -1. */
int mappings_next(const struct mappings *m, int from);

/*
 * The number of the mapping with sessions that covers an inside address, else of the next one above it, or -1: iterates
 * in order of address. *ret_first..*ret_last are its addresses there: up to those of a mapping within it, for instance.
 */
int mappings_next_inside(const struct mappings *m, uint32_t in_addr, uint32_t *ret_first, uint32_t *ret_last);

/* Number of the mapping in whose inside prefix this one lies, the longest, or -ENOENT. */
int mappings_around(const struct mappings *m, struct prefix in);

/* The record of a mapping in use. */
const struct mapping *mappings_get(const struct mappings *m, int number);

/*
 * A subscriber's record and its 1 << bucket_shift buckets, in shared memory. subscriber: its number within the mapping.
 */
struct subscriber *mappings_subscriber(const struct mappings *m, int number, uint32_t subscriber);
struct bucket *mappings_buckets(const struct mappings *m, int number, uint32_t subscriber);

/*
 * The entry of an outside port, as an offset in the subscriber's block, in its bindings of a protocol; NULL: the
 * mapping has none of it. Those of a group, eight, follow each other.
 */
uint64_t *mappings_binding(const struct mappings *m, int number, uint32_t subscriber, uint8_t proto,
			   uint32_t port_offset);

/* Sessions that the outside has opened to a subscriber, at most: those that have ended may be among them. */
uint32_t mappings_inbound(const struct mappings *m, int number, uint32_t subscriber);

/* Whether the outside has opened the session in a subscriber's slot. */
bool mappings_slot_inbound(const struct mappings *m, int number, uint32_t subscriber, uint32_t slot);

/* How many subscribers from this one on have contiguous records and contiguous buckets. */
uint32_t mappings_run(const struct mappings *m, int number, uint32_t subscriber);

/* The datapath that the tables belong to. */
struct datapath *mappings_datapath(const struct mappings *m);

/* Octets of all tables, including chunks and fixed maps. */
uint64_t mappings_table_memory(const struct mappings *m);

#endif
