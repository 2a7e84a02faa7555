/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files that implement copying.h. */
#ifndef DETNAT_COPYING_PRIVATE_H
#define DETNAT_COPYING_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <detnat/tables.h>

#include "base/hash.h"
#include "base/inside_runs.h"
#include "copies/beyond_notes.h"
#include "copies/copy_marks.h"
#include "datapath/copy_program.h"
#include "copies/copying.h"
#include "copies/ended_sessions.h"
#include "copies/lease_set.h"
#include "copies/moved_slots.h"
#include "copies/session_id.h"
#include "copies/waiting_copies.h"
#include "copies/wire.h"

/*
 * The rules that gateways must share for a takeover, as they show them to each other: mappings and exceptions with all
 * that determines the fate of packets, and the portmaps of the configuration. Lists of records as on the wire, sorted
 * by their key, which is their first octets.
 */

enum rule_kind { RULE_MAPPING, RULE_PORTMAP, N_RULE_KINDS };

struct rule_list {
	uint8_t *record;
	uint32_t n;
};

struct rules {
	struct rule_list list[N_RULE_KINDS];
};

void rules_free(struct rules *r);

/* The rules of this gateway; portmaps may be NULL. 0 or -ENOMEM. */
struct portmaps;
int rules_here(const struct mappings *m, const struct portmaps *portmaps, struct rules *ret);

bool rules_equal(const struct rules *a, const struct rules *b);

/* Of all rules. */
uint64_t rules_digest(const struct rules *r);

/* Octets of a record of a kind, and of its key. */
size_t rule_size(enum rule_kind kind);

/* The most records that a gateway can have. */
uint32_t rules_max(enum rule_kind kind);

/* Sorts records that were received. */
void rule_list_sort(struct rule_list *l, enum rule_kind kind);

/*
 * Compares the rules here with those that a peer has shown, and counts. others: the rules shown by `n_others` further
 * gateways, if mappings are spread over the gateways, else NULL: a rule missing at the peer is then no fault if one of
 * these has it, and one missing here concerns only the gateways that have it.
 */
void rules_compare(const struct rules *here, const struct rules *there, const struct rules *const *others,
		   unsigned n_others, struct copying_differences *ret);

/* A mapping with sessions, in use or draining. */
struct copied_mapping {
	bool used;
	int number;
	struct prefix in;
	struct prefix out;
	struct marked_tables tables; /* its tables when it was noted */
	bool filters;		     /* the outside may open sessions */
	uint32_t begun;		     /* generation in which it was noted, or gained addresses */
	/* The sender's notes. */
	uint64_t *words;  /* of each subscriber: count and lock when its slots were last read */
	uint8_t *flags;	  /* of each subscriber */
	uint8_t *holders; /* of each subscriber: peers, by bit, of which it may hold copies in slots */
	uint16_t *notes;  /* of each slot, see session_id.h */
	uint8_t *turns;	  /* of each slot with a mark, see ownership.h; 0: marked by an earlier agent */
	uint8_t *behalf;  /* a bit for each slot with a mark: the peer has told it on behalf of another */
	/* The receiver's. */
	struct copy_marks marks;
};

/* Flags of a subscriber: its slots must be read in the next pass although its word has not changed. */
#define SUBSCRIBER_YOUNG  0x01U /* sessions not announced yet: only those */
#define SUBSCRIBER_UNSURE 0x02U /* a slot was being changed, or a connection is being opened */

/* The most slots of a subscriber: what `session_slots` may be. */
#define MAX_SLOTS 2048U

/* A mapping as a peer has shown it. */
struct shown_mapping {
	struct prefix in;
	struct prefix out;
	uint64_t digest;
	uint32_t begun;
	uint16_t number;
	int16_t ours; /* -1: not exchanged */
};

/* A list of rules that has arrived in part. */
struct coming_rules {
	struct rule_list list;
	uint32_t total;
};

/* Place at which sending rules continues. */
struct rules_cursor {
	enum rule_kind kind;
	uint32_t first;
};

/* The table of mappings that a peer has shown. */
struct shown_table {
	struct shown_mapping *item;
	uint32_t n;
	struct hash_index at; /* prefixes_hash() to the place among the items */
};

/* A table that has arrived in part. */
struct coming_table {
	struct wire_mapping *record; /* NULL: none */
	uint32_t n;
	uint32_t total;
};

struct copying_peer {
	struct shown_table shown;
	struct coming_table coming_table;
	bool has_shown;
	int16_t ours[MAX_MAPPINGS];   /* by the peer's number; -1: not exchanged */
	bool exchanged[MAX_MAPPINGS]; /* by ours */
	struct rules rules;	      /* from the peer */
	struct coming_rules coming[N_RULE_KINDS];
	uint8_t rules_shown; /* a bit for each kind */
	struct copying_differences *differences;
	uint32_t compared_generation; /* of the rules here; 0: none yet */
	uint32_t whole_at;	      /* subscriber at which a payload of a whole copy continues */
	uint32_t whole_generation;    /* of the mappings then; 0: none is unfinished */
	uint64_t held;		      /* copies in slots */
	uint64_t held_beyond;	      /* beyond the slots, at the last scan */
	bool complete;		      /* what it has not announced since the last table has ended */
	uint64_t tables;	      /* at the peer, see copying_peer_tables(); 0: unknown */
	uint32_t vouched_tick;	      /* when its copies were last refreshed */
	uint64_t known_ms;	      /* the peer knows all sessions announced before, CLOCK_MONOTONIC */
	bool tell_again;	      /* see copying_tells_again() */
	uint32_t retry_at;	      /* place at which tries of waiting sessions continue */
	uint32_t round;		      /* raised by each table, with which a whole copy begins */
	struct copying_lacks lacks;
	bool missed;	   /* something has not been noted: only a whole copy brings it */
	uint64_t asked_us; /* when a whole copy was asked for last for that reason */
};

/* A payload being written. */
struct draft {
	uint8_t data[WIRE_PAYLOAD_MAX];
	size_t length;
	unsigned type;
};

/* A place among all subscribers. */
struct copying_cursor {
	int number; /* mapping */
	uint32_t subscriber;
	uint32_t slot; /* of its extent */
};

/* A scan of the sessions in extents by the pass, which may be interrupted: it ends those that it has not seen. */
struct beyond_pass {
	enum { BEYOND_BEGINS, BEYOND_READS, BEYOND_ENDS, BEYOND_DONE } step;
	struct copying_cursor extents;
	uint32_t at; /* place among the notes */
	uint64_t held[COPYING_PEERS + 1];
};

/* Context of a request to the program, beyond the program's own input. */
struct placing {
	uint16_t theirs; /* slot */
	uint8_t peer;
	uint8_t turn;
	uint16_t age_s; /* seconds since a packet refreshed it at the peer, when it was announced */
	uint32_t told;	/* tick */
	uint32_t round; /* copying_peer.round when it was announced */
	bool premarked;
	bool behalf; /* of another gateway, which is silent */
};

/* Acts on granted blocks. growth NULL: no exchange. */
struct grant_act;
struct grants;
struct growth;
struct told_grants {
	struct growth *growth;
	const struct grants *table;
	struct grant_act *news; /* this gateway's, not announced yet */
	uint32_t n_news, room_news;
	struct hash_table waiting; /* acts of peers */
	uint32_t retry_at;	   /* place at which tries continue */
};

struct copying {
	struct mappings *m;
	struct copying_limits limits;
	char *state_file;
	struct copied_mapping *mapping;	   /* MAX_MAPPINGS, by number */
	uint64_t order[COPYING_PEERS + 1]; /* of two with equal turns the higher has the session; 0: this gateway */
	uint8_t peers;			   /* number of peers */
	uint32_t generation;		   /* raised whenever the set of mappings, or `begun` of one, changes */
	struct inside_run reach[INSIDE_RUNS(MAX_MAPPINGS)]; /* addresses of each mapping */
	size_t n_reach;
	bool reach_stale;
	uint64_t digest;
	struct rules rules;
	bool rules_stale;
	uint32_t rules_generation; /* raised by each change of them */
	struct copying_peer peer[COPYING_PEERS + 1];
	struct hash_index mapping_at; /* prefixes_hash() to the number of a mapping */
	int look_at;		      /* where copied_mappings_look() continues */
	struct hash_index gone;	      /* a set: deleted mappings whose end is not announced to peers yet */
	struct moved_slots moved;
	struct copy_program program;
	/* The pass. */
	struct copying_cursor at;
	uint32_t pass; /* number */
	bool primed;   /* the first one is complete */
	bool running;
	uint32_t told_generation; /* the set of mappings announced to all peers */
	uint32_t told_rules;	  /* the same of rules */
	uint64_t told;
	struct draft out;
	struct hash_table beyond; /* of beyond_notes */
	struct beyond_pass beyond_pass;
	struct ended_sessions ended;
	uint64_t ended_told; /* endings with a lower number have been announced */
	/* Vouching. */
	uint8_t up;
	uint8_t speaks;	   /* peers, by bit, on whose behalf this gateway tells */
	uint32_t spoke;	   /* the last pass in which it did so for any; 0: none */
	uint8_t last_time; /* peers whose copies are to be refreshed for a last time */
	uint8_t vouch_for; /* of the round that is running */
	bool vouching;
	uint32_t round_tick;
	struct copying_cursor vouch_at;
	struct copying_cursor vouch_extents;
	/* Leases; portmaps NULL: no exchange. */
	struct portmaps *portmaps;
	struct lease_set leases;
	int lease_stamps; /* map; -1: known acts end with the agent */
	bool lease_stamps_failed;
	struct told_grants grants;
	/* Placing. */
	struct placing placing[COPIES_BATCH];
	uint32_t placing_tick;	   /* of the answers */
	bool again;		   /* those to place have waited */
	bool kept;		   /* the one of the present answer is to be tried again */
	struct hash_table waiting; /* of waiting_copies */
	struct copying_counts *counts;
	struct copying_counts aside; /* of sessions that no peer has announced */
};

/* Notes the present mappings. Call it before anything that reads tables. */
void copied_mappings_sync(struct copying *c);

/* The same at each payload and slice: where there are many, at some of them in turn. */
void copied_mappings_look(struct copying *c);
void copied_mappings_free(struct copying *c);

/*
 * Notes the addresses of each mapping. A mapping that has gained some, as another one or an exception within it is
 * gone, lacks what peers have announced for them: its `begun` changes. Copies that the other mapping has ended are
 * forgotten, so that no ending is announced for them. True: there is one.
 */
bool copied_reach_grows(struct copying *c);

/* The mapping of a number; NULL: none with sessions. */
static inline struct copied_mapping *copied_mapping(struct copying *c, int number)
{
	return number >= 0 && number < (int)MAX_MAPPINGS && c->mapping[number].used ? &c->mapping[number] : NULL;
}

/* Makes marks for a subscriber. 0 or -ENOMEM. */
int copied_marks_make(struct copying *c, struct copied_mapping *cm, uint32_t subscriber);

/* The first mapping at or after a number; NULL: no more. */
struct copied_mapping *copied_mapping_from(struct copying *c, int number);

/* Whether the sessions of a mapping are announced to peers. */
static inline bool copied_mapping_owned(const struct copying *c, const struct copied_mapping *cm)
{
	return !c->limits.owned || c->limits.owned(c->limits.owned_arg, cm->in, cm->out);
}

/*
 * Whether the mapping has sessions of this subscriber: not if the address belongs to another mapping here, unless its
 * former sessions drain.
 */
bool has_subscriber(const struct copying *c, const struct copied_mapping *cm, uint32_t subscriber);

/* Between two rounds of vouching: a quarter of the shortest timeout of all mappings. */
uint32_t vouching_ticks(const struct copying *c);

/* The mapping here with the prefixes of one that a peer has shown; NULL: none. */
const struct copied_mapping *copied_ours_of(const struct copying *c, const struct shown_mapping *s);

/* Links the mappings that a peer has shown to the present ones. */
void copied_tables_link(struct copying *c, unsigned peer);

static inline uint64_t load_word(const struct slot *s)
{
	return __atomic_load_n(&s->truth, __ATOMIC_ACQUIRE);
}

/* Reads a slot by rule 3 of <detnat/session.h>. False: it is being changed. */
static inline bool read_slot(const struct slot *s, uint64_t word, uint64_t *ret_key)
{
	*ret_key = __atomic_load_n(&s->key, __ATOMIC_ACQUIRE);
	return word_same(__atomic_load_n(&s->truth, __ATOMIC_ACQUIRE), word);
}

/*
 * Whether the slot of a mark still holds the copy: the same session, not in time-wait (which is its end here), not
 * expired, and refreshed only by vouching.
 */
static inline bool mark_holds(uint16_t mark, uint64_t key, uint64_t word, const struct vouched *v, uint32_t now,
			      const uint32_t timeout_ticks[N_TIMEOUTS])
{
	uint16_t seen = (uint16_t)word_seen(word);

	return word_is_live(word) && word_state(word) != SESSION_TIME_WAIT &&
	       mark == mark_of(mark_peer(mark), session_id(key, word)) && (seen == v->now || seen == v->before) &&
	       !word_expired(word, now, timeout_ticks);
}

/* Removes a mark. */
void mark_clear(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark);

/* Sets a mark on a slot that holds a copy now. */
void mark_set(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint16_t *mark,
	      unsigned peer, uint16_t id);

/* The first subscriber in [at, end_before) that may have a peer's copies in slots, or end_before. */
uint32_t next_holder(const struct copied_mapping *cm, unsigned peer, uint32_t at, uint32_t end_before);

/* Whether any slot of a subscriber is marked as a peer's copy. */
bool holds_copies(const struct copied_mapping *cm, unsigned peer, uint32_t subscriber);

/* Hands over the payload, if there is one. 0, or the error of `emit`: the payload is then kept. */
int draft_flush(struct draft *o, copying_emit emit, void *arg);

/* A table that a whole copy announces: `write` adds the record of a place, if there is one. */
struct draft_table {
	unsigned type;
	uint32_t room;	  /* places */
	uint32_t at_once; /* see WHOLE_FITS() */
	void (*write)(struct copying *c, struct draft *o, uint32_t place);
};

#define WHOLE_FITS(at_once, record) _Static_assert((at_once) * sizeof(record) <= WIRE_PAYLOAD_MAX, "in a payload")

/*
 * Emits a table from *at on, this many places at once. Places that could not be emitted are read again by the next
 * call, as they may have changed by then. 0: all; 1: the time is up; or the error of `emit`. Leaves nothing in the
 * draft.
 */
int draft_tell(struct draft *o, struct copying *c, const struct draft_table *t, uint32_t *at, uint64_t deadline_us,
	       copying_emit emit, void *arg);

static inline size_t draft_room(const struct draft *o)
{
	return sizeof(o->data) - o->length;
}

static inline void *draft_take(struct draft *o, size_t size)
{
	void *at = o->data + o->length;

	o->length += size;
	return at;
}

/* Writes the record that announces a session of this gateway's own, or on behalf of its own one; now: a tick. */
void wire_session_fill(struct wire_session *ret, const struct copying *c, const struct copied_mapping *cm,
		       uint32_t subscriber, uint32_t slot, uint64_t key, uint64_t word, uint32_t now, bool behalf);

/* Whole seconds since a session was refreshed. */
static inline uint32_t session_age_s(const struct copying *c, uint64_t word, uint32_t now)
{
	int32_t age = (int32_t)(now - word_seen(word));

	return age > 0 ? (uint32_t)age / ticks_of_seconds(1, mappings_datapath(c->m)->hz) : 0;
}

/* Of the beginnings of a mapping's addresses, which peers show. */
static inline uint64_t prefixes_hash(struct prefix in, struct prefix out)
{
	return HASH_OF((uint64_t)in.base << 32 | out.base, (uint64_t)in.plen << 8 | out.plen);
}

/*
 * Writes the table of mappings from a record on, and moves the place on with each payload taken; it begins as 0. 0: all
 * of it, the place is 0 again; or the error of `emit`.
 */
int copied_tables_tell(struct copying *c, uint32_t *at, copying_emit emit, void *arg);

void copied_tables_free(struct copying_peer *p);

/*
 * Refreshes a subscriber's copies of a set of peers, and removes stale marks. Ends copies of mappings that a peer of
 * the set no longer exchanges.
 */
void refresh_copies(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint8_t peers, uint32_t now);

/* Passes in which a session must be seen before it is announced. */
static inline unsigned passes_of_age(const struct copying_limits *l)
{
	return (l->min_age_s * 1000 + l->interval_ms - 1) / (l->interval_ms ? l->interval_ms : 1);
}

/* The part of a pass that is about extents. 0: all; 1: the time is up; or the error of `emit`. */
int copied_beyond_tell(struct copying *c, uint64_t deadline_us, copying_emit emit, void *arg);

/*
 * The same of a whole copy: *at is where it continues, 0 at first. Returns the same; leaves nothing in the
 * draft.
 */
int copied_beyond_whole(struct copying *c, uint32_t *at, struct draft *o, uint64_t deadline_us, copying_emit emit,
			void *arg);

/* A peer's whole copy has ended. */
void copied_beyond_whole_ended(struct copying *c, unsigned peer);

/* Refreshes copies in extents of the peers in vouch_for. 0: all; 1: the time is up. */
int copied_beyond_vouch(struct copying *c, uint64_t deadline_us);

/* Takes over a peer's copies in extents; the next pass announces them. */
void copied_beyond_adopt(struct copying *c, unsigned peer);

/* Announces new endings; forgets those that all peers know or whose session no peer has. 0, or the error of `emit`. */
int copied_ended_tell(struct copying *c, copying_emit emit, void *arg);

/* Emits the endings that a peer does not know, from *at on, 0 at first. 0, or the error of `emit`. */
int copied_ended_whole(struct copying *c, unsigned peer, uint64_t *at, struct draft *o, copying_emit emit, void *arg);

int copied_ended_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
		       struct copying_counts *add);

/* Announces changed leases. 0, or the error of `emit`; then the next call continues. */
int copied_leases_tell(struct copying *c, copying_emit emit, void *arg);

/*
 * The leases' part of a whole copy: *at is where it continues, 0 at first. 0: all; 1: the time is up; or the error of
 * `emit`. Leaves nothing in the draft.
 */
int copied_leases_whole(struct copying *c, uint32_t *at, struct draft *o, uint64_t deadline_us, copying_emit emit,
			void *arg);

int copied_leases_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
			struct copying_counts *add);

/* Reads the acts on leases that an earlier agent has kept, and listens to further acts. */
void copied_leases_begin(struct copying *c);
void copied_leases_end(struct copying *c);

/* The same of acts on granted blocks. */
int copied_grants_tell(struct copying *c, copying_emit emit, void *arg);
int copied_grants_whole(struct copying *c, uint32_t *at, struct draft *o, uint64_t deadline_us, copying_emit emit,
			void *arg);
int copied_grants_apply(struct copying *c, unsigned peer, const void *payload, size_t length,
			struct copying_counts *add);
void copied_grants_end(struct copying *c);
uint64_t copied_grants_memory(const struct copying *c);

/* Tries acts again that had to wait; now: monotonic_us(). */
void copied_grants_retry(struct copying *c, uint64_t now);

/* Acts of a peer that wait and that its whole copy lacks count no more. */
void copied_grants_whole_ended(struct copying *c, unsigned peer);

/* Ends expired leases. */
void copied_leases_expire(struct copying *c);

/* Keeps the known act on a lease where it outlives the agent; forgets a lease. */
void known_lease_keep(struct copying *c, const struct known_lease *k);
void known_lease_forget(struct copying *c, struct known_lease *k);

/* Notes that a lease has ended; it stays known. */
void known_lease_end(struct copying *c, struct known_lease *k, uint64_t stamp);

/* Reads the rules again, if rules_stale says that they may have changed. */
void copied_rules_sync(struct copying *c);

/* Sends the rules, from *at on, which is all 0 at first. 0: all; or the error of `emit`. */
int copied_rules_tell(const struct copying *c, struct rules_cursor *at, struct draft *o, copying_emit emit, void *arg);

int copied_rules_apply(struct copying *c, unsigned peer, unsigned type, const void *payload, size_t length);
void copied_rules_free(struct copying *c);
uint64_t copied_rules_memory(const struct copying *c);

/* Ends a session in a slot or in an extent. False: it has changed meanwhile. */
bool end_session_at(const struct copying *c, const struct copied_mapping *cm, uint32_t subscriber, struct slot *s,
		    uint64_t word);

/* Ends the copy that a slot's mark was found to hold. False: a packet has refreshed it meanwhile. */
bool end_copy(struct copying *c, struct copied_mapping *cm, uint32_t subscriber, uint32_t slot, uint64_t word);

/*
 * A digest of everything that determines the place and the ports of a mapping's sessions: gateways exchange sessions
 * only of mappings with equal digests. Quota and timeouts may differ; draining does not change it.
 */
uint64_t mapping_digest(const struct mappings *m, const struct mapping *record);

/* Of a tenant's name, as each gateway has its own numbers of them; 0: none. */
uint32_t tenant_digest(const struct mappings *m, uint8_t tenant);

/* Continues a digest, which begins as 0. */
uint64_t digest_add(uint64_t digest, uint64_t value);

#endif
