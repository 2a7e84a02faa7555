/* SPDX-License-Identifier: BSD-2-Clause */
/* The map `overflow`, which holds the sessions that found no slot: read and deleted by the agent. */
#ifndef DETNAT_OVERFLOW_MAP_H
#define DETNAT_OVERFLOW_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "base/heap.h"
#include "base/inside_runs.h"
#include "datapath/datapath.h"

/* Entries fetched from the kernel at a time. */
#define OVERFLOW_BATCH 512U

/* A pass through all entries; zero-initialised. */
struct overflow_scan {
	uint32_t cursor;
	int map;    /* descriptor of the map being read */
	uint32_t n; /* entries in the last batch */
	bool started;
	struct overflow_key *keys;
	struct overflow_session *sessions;
	uint32_t room;
};

/*
 * Fetches the next batch into keys[0..n-1] and sessions[]: 1: more may follow; 0: this was the last; or -errno. No
 * entry comes twice; both directions come.
 */
int overflow_scan_step(struct overflow_scan *s, const struct datapath *d);
/* The same, but without trusting the count of sessions, which normally skips an empty map. */
int overflow_scan_any(struct overflow_scan *s, const struct datapath *d);
void overflow_scan_end(struct overflow_scan *s);

/* Whether the map may have any entry. */
static inline bool overflow_any(const struct datapath *from)
{
	return from->overflow >= 0 && __atomic_load_n(&from->global->overflow, __ATOMIC_RELAXED) > 0;
}

/* Reads the state word of a session by the key of its IN2OUT entry. 0 or -errno. */
int overflow_word(const struct datapath *d, const struct overflow_key *in2out, uint64_t *ret_word);

/* The number of a subscriber's sessions in the map, from its record. */
static inline uint32_t overflow_count(const struct subscriber *s)
{
	return subscriber_overflow(__atomic_load_n(&s->overflow, __ATOMIC_ACQUIRE));
}

/*
 * Deletes both entries of a session. True if this call deleted it; the global count and those of the subscriber (NULL
 * if its mapping is gone) and of its line (NULL: there is none) are then adjusted.
 */
bool overflow_delete(struct datapath *d, const struct overflow_key *in2out, uint64_t word,
		     struct subscriber *subscriber, struct limit_line *line);

/* Deletes an OUT2IN entry if the session it refers to is missing or has another port. True if this call deleted it. */
bool overflow_delete_orphan(const struct datapath *d, const struct overflow_key *out2in,
			    const struct overflow_key *in2out);

/* Deletes one entry of a subscriber that no longer exists. True if this call deleted it. */
bool overflow_delete_entry(struct datapath *d, const struct overflow_key *key);

/*
 * Decrements a subscriber's count, which may have flags, but not below 0: the datapath may have recounted meanwhile.
 */
static inline void count_down(uint32_t *count)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (subscriber_overflow(n) &&
	       !__atomic_compare_exchange_n(count, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

/* Takes a session that has ended off the count of its protocol, before count_down(). line: may be NULL. */
static inline void limit_line_ended(struct limit_line *line, uint8_t proto)
{
	if (line)
		__atomic_fetch_sub(&line->sessions[limit_protocol_of(proto)], 1, __ATOMIC_ACQ_REL);
}

/*
 * Keys of overflow sessions in order of tenant, whose number is in their pad, and inside address: a heap, so that they
 * never have to be sorted all at once. It holds at most overflow_heap_max keys of 20 octets. Of more keys it keeps
 * those with the lowest addresses; the others must be gathered again once these are used up.
 */

/* At least twice as many as one subscriber may have; tests lower it. */
extern size_t overflow_heap_max;

/* Zero-initialised. */
struct overflow_heap {
	struct heap heap;
	bool cut; /* keys of places from `end` on were omitted */
	uint64_t end;
};

static inline uint64_t overflow_heap_place(const struct overflow_key *key)
{
	return inside_place((uint8_t)key->pad, key->in_addr);
}

/* Adds a key, unless its address is beyond the cut. 0 or -ENOMEM. */
int overflow_heap_push(struct overflow_heap *h, const struct overflow_key *key);

/* The key of the lowest address, or NULL. */
static inline const struct overflow_key *overflow_heap_top(const struct overflow_heap *h)
{
	return h->heap.n ? h->heap.items : NULL;
}

/* Removes that key. */
void overflow_heap_pop(struct overflow_heap *h);

/* Removes all keys, to gather others. */
void overflow_heap_clear(struct overflow_heap *h);

void overflow_heap_free(struct overflow_heap *h);

#endif
