/* SPDX-License-Identifier: BSD-2-Clause */
/* The map `overflow`, sessions beyond the slots, as the agent reads it and deletes from it. */
#ifndef DETNAT_OVERFLOW_MAP_H
#define DETNAT_OVERFLOW_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "datapath/datapath.h"

/* Entries taken from the kernel at a time. */
#define OVERFLOW_BATCH 512U

/* A pass through all entries; zeroed to begin with. */
struct overflow_scan {
	uint32_t cursor;
	int map;    /* that is being gone through */
	uint32_t n; /* entries of the last batch */
	bool started;
	struct overflow_key *keys;
	struct overflow_session *sessions;
	uint32_t room;
};

/*
 * Fetches the next batch into keys[0..n-1] and sessions[]: 1 more may come, 0 this was the last, -errno. No entry comes
 * twice. Entries of both directions come.
 */
int overflow_scan_step(struct overflow_scan *s, const struct datapath *d);
/* The same where the count of sessions, by which a pass is not even begun, is not believed. */
int overflow_scan_any(struct overflow_scan *s, const struct datapath *d);
void overflow_scan_end(struct overflow_scan *s);

/* Whether there may be any entry. */
static inline bool overflow_any(const struct datapath *d)
{
	return d->overflow >= 0 && __atomic_load_n(&d->global->overflow, __ATOMIC_RELAXED) > 0;
}

/* The truth of a session, by the key of its IN2OUT entry. 0 or -errno. */
int overflow_truth(const struct datapath *d, const struct overflow_key *in2out, uint64_t *ret_truth);

/*
 * Deletes both entries of a session. Whether it was this call that deleted it; then the counts are adjusted: the global
 * one, and those of the subscriber, which is NULL where its mapping is no more. out_addr: the subscriber's outside
 * address.
 */
bool overflow_delete(struct datapath *d, const struct overflow_key *in2out, uint64_t truth, uint32_t out_addr,
		     struct subscriber *subscriber);

/* Deletes an OUT2IN entry if the session it leads to is not there, or has another port. Whether it was this call. */
bool overflow_delete_orphan(const struct datapath *d, const struct overflow_key *out2in,
			    const struct overflow_key *in2out);

/* Deletes one entry whose subscriber is no more. */
void overflow_delete_entry(struct datapath *d, const struct overflow_key *key);

/* Lowers a count of a subscriber, never below 0: the datapath may have counted anew meanwhile. */
static inline void count_down(uint32_t *count)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_RELAXED);

	while (n && !__atomic_compare_exchange_n(count, &n, n - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

#endif
