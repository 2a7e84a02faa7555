/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the sessions room: reading slots, and iterating over subscribers in slices. */
#ifndef DETNAT_SESSIONS_PRIVATE_H
#define DETNAT_SESSIONS_PRIVATE_H

#include "sessions/sessions.h"
#include "tables/extent_signposts.h"
#include "tables/mapping_drains.h"
#include "tables/mapping_tables.h"

/* The longest age in ticks, by state byte, so that the inner loops need no branches. */
struct age_limits {
	int64_t life[256];   /* unlimited for states that are not a session */
	int64_t counts[256]; /* negative for states that no count includes */
	uint32_t host_bits;  /* of the words, mapping_host_bits() */
};

void age_limits_fill(struct age_limits *l, const struct mapping *map);

/* Ticks until a session expires; negative if it has expired. */
static inline int64_t ticks_left(const struct age_limits *l, uint64_t word, uint32_t now)
{
	return l->life[word_state(word)] - word_age_of(word, now, l->host_bits);
}

/* The same as word_is_live() and word_expired(). */
static inline bool too_old(const struct age_limits *l, uint64_t word, uint32_t now)
{
	return ticks_left(l, word, now) < 0;
}

/* The same as word_counts() of a live word, whichever its subscriber is. */
static inline bool counts_now(const struct age_limits *l, uint64_t word, uint32_t now)
{
	return word_age_of(word, now, l->host_bits) <= l->counts[word_state(word)];
}

static inline uint64_t load_truth(const struct slot *s)
{
	return __atomic_load_n(&s->truth, __ATOMIC_RELAXED);
}

/* Reads a slot by rule 3 of <detnat/session.h>; false if it holds no session. */
bool slot_read(const struct slot *s, uint64_t *ret_key, uint64_t *ret_word);

/*
 * Builds a session from the key and state word of a slot. That of an IPv6 subscriber has its host's address if the slot
 * still has that word afterwards, but for last seen: see slot_has().
 */
struct session session_of(const struct mappings *m, const struct mapping *map, uint32_t in_addr, uint64_t key,
			  uint64_t word, uint32_t now);

/* Whether a slot has the session with that word still: rule 3 of <detnat/session.h> for what was read meanwhile. */
static inline bool slot_has(const struct mapping *map, const struct slot *s, uint64_t word)
{
	uint64_t now = __atomic_load_n(&s->truth, __ATOMIC_ACQUIRE);

	return mapping_is_ipv6(map) ? !((now ^ word) >> WORD_HOST_SHIFT) : word_same(now, word);
}

/* Reports sessions that end with their mapping to the function passed to sessions_on_close(). */
extern const struct mappings_ending sessions_ending;

struct subscriber_iterator {
	struct mappings *m;
	uint64_t next; /* inside_place() of a tenant's address */
	uint64_t last;
	/* Subscribers without sessions are visited only if (address & mask) == turn. */
	uint32_t idle_mask;
	uint32_t idle_turn;
	/*
	 * Which sessions: 0: those of mappings in use, in order of tenant and address; n: those of drain n - 1, after
	 * them. With `one_kind`, only these.
	 */
	unsigned kind;
	bool one_kind;
	bool begun;    /* this kind */
	bool tallies;  /* notes the remaining sessions of a drain */
	uint64_t from; /* `next` at the beginning */
	uint64_t tally;
	bool heed_due; /* skip subscribers whose tick in sweep_due has not come */
	/* Set for each visit. */
	const struct mapping *map;
	int number;
	uint32_t now;
	uint32_t in_addr;
	struct subscriber *subscriber;
	struct slot *slots; /* the subscriber's own */
	uint32_t n_slots;
	struct slot *beyond; /* those of its extent, <detnat/extents.h> */
	uint32_t n_beyond;
	uint32_t *due;	  /* the tick in sweep_due, or NULL */
	uint32_t due_max; /* how far ahead it may lie at most */
	struct age_limits limits;
	uint32_t cost; /* of a visit, in slots read; a visit may change it */
};

/* A survey on a pass (sessions/survey.h): of each subscriber with sessions. */
struct survey;
void survey_subscriber(struct survey *s, const struct subscriber_iterator *it);

/* Restricts it to those subscribers of one drain that are among first..last. False: there are none. */
bool subscriber_iterator_drain(struct subscriber_iterator *it, size_t drain, uint64_t first, uint64_t last);

/* The place of the subscriber visited. */
static inline uint64_t subscriber_place(const struct subscriber_iterator *it)
{
	return inside_place(it->map->tenant, it->in_addr);
}

/* The drain being visited; NULL: none. */
const struct mapping_drain *subscriber_iterator_at(const struct subscriber_iterator *it);

/* Visits every subscriber, with or without sessions; set fields to narrow it down. */
void subscriber_iterator_init(struct subscriber_iterator *it, struct mappings *m);

/* All slots of the subscriber visited: its own, then those of its extent. */
static inline uint32_t subscriber_slots(const struct subscriber_iterator *it)
{
	return it->n_slots + it->n_beyond;
}

static inline struct slot *subscriber_slot(const struct subscriber_iterator *it, uint32_t i)
{
	return i < it->n_slots ? &it->slots[i] : &it->beyond[i - it->n_slots];
}

/* Those of its extent, for its signposts. */
static inline struct extent_slots extent_slots_of(const struct subscriber_iterator *it)
{
	return (struct extent_slots){ it->map, mapping_subscriber(&it->map->geo, it->in_addr), it->beyond,
				      it->n_beyond };
}

/* Whether its sessions beyond its own slots are in another extent by now. */
bool subscriber_has_moved(const struct subscriber_iterator *it);

/* The number of its sessions in slots that count. */
uint32_t subscriber_count(const struct subscriber_iterator *it);

/* Whether the subscriber's sessions must be looked at: one may have expired, or that is unknown. */
static inline bool subscriber_due(const struct subscriber_iterator *it)
{
	return !it->due || *it->due - it->now - 1 > it->due_max;
}

/* Frees a slot if it still has this state word. True if this call freed it; the counts are then adjusted. */
bool slot_free(const struct subscriber_iterator *it, struct slot *s, uint64_t word);

/* The line of the subscriber visited, <detnat/limits.h>; NULL: its mapping has no limits. */
struct limit_line *subscriber_line(const struct subscriber_iterator *it);

/* Non-zero: stop here and visit this subscriber again next time. */
typedef int (*subscriber_visit)(struct subscriber_iterator *it, void *arg);

/* 1: the time is up or visit stopped; 0: done. Mappings may be added and deleted between calls. */
int subscriber_iterate(struct subscriber_iterator *it, uint64_t deadline_us, subscriber_visit visit, void *arg);

/*
 * Frees a subscriber's expired sessions in slots, calls `closed` (NULL: no call) for each, and notes when to look
 * again. Returns their number.
 */
uint32_t sweep_subscriber(struct subscriber_iterator *it, session_visit closed, void *arg);

/* After the slots: keeps the bindings of a subscriber's sessions and removes those long expired. */
void bindings_sweep(struct subscriber_iterator *it);

/* Keeps the binding of a live session of a mapping's subscriber. */
void binding_keep(const struct mappings *m, int number, uint32_t in_addr, uint64_t key, uint64_t word, uint32_t now);

/* Fills `it` for one subscriber of a mapping. */
void subscriber_find_of(struct subscriber_iterator *it, struct mappings *m, int number, uint32_t in_addr);

/* Fills `it` for one subscriber, by inside_place(). -ENOENT if it is in no mapping. */
int subscriber_find(struct subscriber_iterator *it, struct mappings *m, uint64_t place);

/* The same for a subscriber whose sessions may all be in draining mappings. */
int subscriber_find_any(struct subscriber_iterator *it, struct mappings *m, uint64_t place);

/* A subscriber's sessions in draining mappings, beside the mapping of `it`. */
struct elsewhere {
	uint32_t in_slots; /* that count */
	uint32_t recorded; /* all */
};
struct elsewhere subscriber_elsewhere(struct mappings *m, const struct subscriber_iterator *it);

/* Whether a tenant's address is in no mapping and drains from none. */
bool is_nowhere(const struct mappings *m, uint64_t place);

/* The first place of a walk: the subscriber's, of session_walk_new_subscriber(). */
uint64_t session_walk_place(const struct session_walk *w);

/* Whether an address drains, as a place of the drain's tenant. */
bool drain_holds(const struct mappings *m, const struct mapping_drain *d, uint64_t place);

#endif
