/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the sessions module share: reading slots, and going through subscribers in slices. */
#ifndef DETNAT_SESSIONS_PRIVATE_H
#define DETNAT_SESSIONS_PRIVATE_H

#include "sessions/sessions.h"
#include "tables/mapping_tables.h"

/* Longest age in ticks by state byte, so that the inner loops need no decisions. */
struct age_limits {
	int64_t life[256];   /* no end for what is no session */
	int64_t counts[256]; /* below any age for what counts in no figure */
};

void age_limits_fill(struct age_limits *l, const uint32_t timeout_ticks[N_TIMEOUTS]);

/* Ticks until a session expires, negative where it has. */
static inline int64_t ticks_left(const struct age_limits *l, uint64_t truth, uint32_t now)
{
	return l->life[word_state(truth)] - (int32_t)(now - word_seen(truth));
}

/* word_is_live() and word_expired() */
static inline bool too_old(const struct age_limits *l, uint64_t truth, uint32_t now)
{
	return ticks_left(l, truth, now) < 0;
}

/* The same as word_counts(). */
static inline bool counts_now(const struct age_limits *l, uint64_t truth, uint32_t now)
{
	return (int32_t)(now - word_seen(truth)) <= l->counts[word_state(truth)];
}

static inline uint64_t load_truth(const struct slot *s)
{
	return __atomic_load_n(&s->truth, __ATOMIC_RELAXED);
}

/* Reads a slot by rule 3 of <detnat/session.h>; false: it holds no session. */
bool slot_read(const struct slot *s, uint64_t *ret_key, uint64_t *ret_truth);

/* Frees a slot that still has this truth; whether it was this call that did, which then has adjusted the counts. */
bool slot_free(struct slot *s, uint64_t truth, struct subscriber *subscriber);

/* Sessions among slots that count. */
uint32_t slots_count(const struct slot *s, uint32_t n, const struct age_limits *l, uint32_t now);

/* Key and truth of a slot, or of an overflow session, as a session. */
struct session session_of(const struct mapping *map, uint32_t in_addr, uint64_t key, uint64_t truth, uint32_t now,
			  uint32_t hz);

/* The first word of a slot that would hold this overflow session. */
static inline uint64_t overflow_slot_key(const struct overflow_key *in2out)
{
	return slot_key(in2out->ext_addr, in2out->ext_port, in2out->port);
}

/* Reports sessions that end with their mapping to the function of sessions_on_close(). */
extern const struct mappings_ending sessions_ending;

struct subscriber_iterator {
	struct mappings *m;
	uint64_t next; /* inside address */
	uint64_t last;
	/* Of subscribers without sessions, only those with (address & mask) == turn are visited. */
	uint32_t idle_mask;
	uint32_t idle_turn;
	bool heed_due; /* pass over subscribers whose tick of sweep_due has not come */
	/* Set for each visit. */
	const struct mapping *map;
	int number;
	uint32_t now;
	uint32_t in_addr;
	struct subscriber *subscriber;
	struct slot *slots;
	uint32_t n_slots;
	uint32_t *due;	  /* tick of sweep_due, or NULL */
	uint32_t due_max; /* the furthest that it may lie ahead */
	struct age_limits limits;
	uint32_t cost; /* of a visit, in slots looked at; a visit may change it */
};

/* Visits everyone (with sessions or not); narrow it down by writing to the fields. */
void subscriber_iterator_init(struct subscriber_iterator *it, struct mappings *m);

/* Whether the subscriber's sessions are to be looked at: one of them may have expired, or nobody can tell. */
static inline bool subscriber_due(const struct subscriber_iterator *it)
{
	return !it->due || *it->due - it->now - 1 > it->due_max;
}

/* Other than 0: stop here, this subscriber is visited again next time. */
typedef int (*subscriber_visit)(struct subscriber_iterator *it, void *arg);

/* 1 the time is up or visit stopped it, 0 done. Mappings may come and go between two calls. */
int subscriber_iterate(struct subscriber_iterator *it, uint64_t deadline_us, subscriber_visit visit, void *arg);

/*
 * Frees a subscriber's expired sessions, those in slots, has `closed` (NULL: nothing) called for each and notes when to
 * look again. Returns how many.
 */
uint32_t sweep_subscriber(struct subscriber_iterator *it, session_visit closed, void *arg);

/* Fills `it` for one subscriber. -ENOENT: in no mapping. */
int subscriber_find(struct subscriber_iterator *it, struct mappings *m, uint32_t in_addr);

#endif
