/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the check. */
#ifndef DETNAT_CHECK_PRIVATE_H
#define DETNAT_CHECK_PRIVATE_H

#include <errno.h>

#include "base/background.h"
#include "sessions/check.h"
#include "sessions/sessions_private.h"
#include "tables/mapping_drains.h"

/* Suspects that are examined again together, and the number of tries. */
#define SUSPECTS_MAX 256U
#define TRIES_MAX    6U

/* Limit of faults reported at a time for one subscriber's slots. */
#define FAULTS_MAX 8U

struct slot_fault {
	enum finding_kind kind;
	uint32_t slot;
	uint64_t key;
	uint64_t word;
};

enum binding_fault_kind {
	BINDING_ELSEWHERE, /* not in the group of its first choice and not marked as strayed, or the reverse */
	BINDING_SECOND,
	BINDING_NOT_NOTED, /* strayed, but the line of its first choice does not show it */
};

struct binding_fault {
	enum binding_fault_kind kind;
	uint8_t proto;
	uint32_t offset; /* of the port in the block */
	uint64_t entry;
};

/* The result of one look at a subscriber's record and slots. */
struct examination {
	union opener word;
	bool steady; /* no session was opened or closed meanwhile */
	uint32_t overflow;
	uint32_t n_sessions;		/* in slots */
	uint32_t live;			/* of these, not in time-wait */
	bool limited;			/* the line of limits counts */
	uint32_t of_protocol[N_LIMITS]; /* of `live` */
	uint32_t line[N_LIMITS];
	uint32_t needed;    /* the `displaced` bits that its sessions need */
	uint32_t displaced; /* the `displaced` bits that are set */
	unsigned n_faults;
	struct slot_fault fault[FAULTS_MAX];
	uint64_t n_bindings; /* including expired ones */
	unsigned n_binding_faults;
	struct binding_fault binding_fault[FAULTS_MAX];
};

struct suspect {
	uint32_t in_addr;
	int number; /* of the mapping, from which the address may drain */
	unsigned tries;
	bool displaced_told;
	bool faults_told;
	bool bindings_told;
	bool limits_told;
	struct examination first;
};

/* An overflow entry whose other entry is missing. */
struct overflow_suspect {
	struct overflow_key key;
	struct overflow_session session;
};

/* A subscriber whose overflow count differs from the number of entries. */
struct count_suspect {
	uint32_t in_addr;
	int number; /* as above */
	uint32_t lock;
	uint32_t overflow;
	uint32_t counted;
};

/* Overflow sessions counted for each subscriber of a mapping. */
struct overflow_tally {
	const struct mapping_job *of; /* the mapping counted; if another one has its number now, the counts are void */
	uint32_t *count;
};

enum check_phase {
	PHASE_MAPPINGS,
	PHASE_OVERFLOW,	      /* all entries: pairs, and the number for each subscriber */
	PHASE_OVERFLOW_GRACE, /* a second look at single entries */
	PHASE_SUBSCRIBERS,    /* all records and slots */
	PHASE_SUSPECTS_GRACE, /* a second look at suspects, then on with the subscribers */
	PHASE_COUNTS,	      /* all entries again, because of wrong counts */
	PHASE_DONE,
};

struct table_check {
	struct mappings *m;
	bool repair;
	struct findings *findings;
	struct check_figures figures;
	enum check_phase phase;
	uint64_t deadline_us;
	struct background grace;
	bool in_grace;
	/* Subscribers. */
	struct subscriber_iterator it;
	bool walked;
	struct suspect suspect[SUSPECTS_MAX];
	unsigned n_suspects;
	unsigned n_looked;	     /* of these, in this round */
	struct bucket_claim *claims; /* by bucket of all extents; NULL: no subscriber has been seen to have one */
	/* The overflow. */
	struct overflow_scan scan;
	struct overflow_tally tally[MAX_MAPPINGS];
	int64_t total_least, total_most; /* of the global count since the previous pass */
	bool total_observed;		 /* for a grace period */
	int64_t total_counted;
	uint64_t digest;  /* of the counted sessions */
	bool total_wrong; /* the previous pass found it wrong, with the digest below */
	uint64_t wrong_digest;
	unsigned passes;
	struct overflow_suspect pair[SUSPECTS_MAX];
	unsigned n_pairs;
	struct count_suspect count[SUSPECTS_MAX];
	unsigned n_counts;
};

void examine(const struct subscriber_iterator *it, struct examination *ret);

/* Fills `it` for a subscriber of a mapping. -ENOENT if it no longer has sessions there. */
static inline int check_find(struct table_check *c, struct subscriber_iterator *it, int number, uint32_t in_addr)
{
	if (!mappings_serves(c->m, number, in_addr) || !mapping_has_slots(mappings_get(c->m, number)))
		return -ENOENT;
	subscriber_find_of(it, c->m, number, in_addr);
	return 0;
}

/*
 * Checks that no other subscriber has the extent of the one visited. A repair takes it from this one, whose sessions
 * there end, and returns true: the subscriber's counts are wrong then.
 */
bool check_extent(struct table_check *c, const struct subscriber_iterator *it);

/* Examines the bindings; returns their number. */
uint64_t examine_bindings(const struct subscriber_iterator *it, struct examination *ret);

/* Reports, and repairs, faults of bindings that both looks have found. True if there are no others. */
bool settle_bindings(struct table_check *c, const struct suspect *s, const struct subscriber_iterator *it,
		     const struct examination *now);

/*
 * Clears the `displaced` bits that no session needs: a migration sets them all. A superfluous bit is harmless: it only
 * makes an opener look at more slots.
 */
void examination_tidy(const struct subscriber_iterator *it, const struct examination *now);

/* Whether it contains a possible fault, or changed during the examination. */
bool examination_suspicious(const struct examination *e);

/* Reports, and repairs, faults that both looks have found. True if nothing is left to examine again. */
bool suspect_settle(struct table_check *c, struct suspect *s, const struct subscriber_iterator *it,
		    const struct examination *now);

/* Processes a batch of the pass: 1: more to do, 0: done, or -errno. */
int check_overflow_step(struct table_check *c);
/* Takes a second look at entries whose other entry is missing. */
void check_overflow_pairs(struct table_check *c);
/* Compares a subscriber's count with the number of entries; true if it has to be examined again. */
bool check_overflow_count(struct table_check *c, const struct subscriber_iterator *it);
/* Notes the lowest and the highest total of the overflow, while it is doubted. */
void check_total_observe(struct table_check *c);
/* Processes a batch of the pass for wrong counts; returns as above. */
int check_counts_step(struct table_check *c);

void check_mappings(struct table_check *c);

#endif
