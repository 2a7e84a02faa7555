/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the check share among themselves. */
#ifndef DETNAT_CHECK_PRIVATE_H
#define DETNAT_CHECK_PRIVATE_H

#include "base/background.h"
#include "sessions/sessions_private.h"
#include "sessions/check.h"

/* Suspects that are looked at again together, and how often before they are given up. */
#define SUSPECTS_MAX 256U
#define TRIES_MAX    6U

/* Faults of one subscriber's slots that are told of at a time. */
#define FAULTS_MAX 8U

struct slot_fault {
	enum finding_kind kind;
	uint32_t slot;
	uint64_t key;
	uint64_t truth;
};

/* What one look at a subscriber's record and slots has shown. */
struct examination {
	union opener word;
	bool steady; /* nobody opened or closed a session meanwhile */
	uint32_t overflow;
	uint32_t n_sessions; /* in slots */
	uint32_t live;	     /* of them, those not in time-wait */
	uint32_t needed;     /* bits of displaced sessions */
	uint32_t displaced;  /* that are set */
	unsigned n_faults;
	struct slot_fault fault[FAULTS_MAX];
};

struct suspect {
	uint32_t in_addr;
	unsigned tries;
	bool displaced_told;
	bool faults_told;
	struct examination first;
};

/* An overflow entry without its partner. */
struct overflow_suspect {
	struct overflow_key key;
	struct overflow_session session;
};

/* A subscriber whose count of overflow sessions is not that of the entries. */
struct count_suspect {
	uint32_t in_addr;
	uint32_t lock;
	uint32_t overflow;
	uint32_t counted;
};

/* Overflow sessions of a mapping's subscribers. */
struct overflow_tally {
	const struct mapping_job *of; /* the mapping that was counted; another has its number by now where it differs */
	uint32_t *count;
};

enum check_phase {
	PHASE_MAPPINGS,
	PHASE_OVERFLOW,	      /* all entries: pairs, and their number for each subscriber */
	PHASE_OVERFLOW_GRACE, /* those without a partner once more */
	PHASE_SUBSCRIBERS,    /* all records and slots */
	PHASE_SUSPECTS_GRACE, /* those that looked wrong once more, then on */
	PHASE_COUNTS,	      /* all entries again, for wrong counts */
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
	unsigned n_looked; /* of them, in this round */
	/* The overflow. */
	struct overflow_scan scan;
	struct overflow_tally tally[MAX_MAPPINGS];
	int64_t total_before; /* the global count when the pass began */
	int64_t total_counted;
	bool total_wrong; /* was so in the pass before, too, by the two below */
	int64_t wrong_total;
	int64_t wrong_counted;
	unsigned passes;
	struct overflow_suspect pair[SUSPECTS_MAX];
	unsigned n_pairs;
	struct count_suspect count[SUSPECTS_MAX];
	unsigned n_counts;
};

void examine(const struct subscriber_iterator *it, struct examination *ret);

/*
 * After a migration each bit of displaced sessions is set: leaves those that are needed. A bit too many is no fault, it
 * only costs an opener a look at more slots.
 */
void examination_tidy(const struct subscriber_iterator *it, const struct examination *now);

/* Whether it shows anything that may be wrong, or could not be read in peace. */
bool examination_suspicious(const struct examination *e);

/* Tells of what both looks have shown, and mends it. Whether there is nothing left to look at again. */
bool suspect_settle(struct table_check *c, struct suspect *s, const struct subscriber_iterator *it,
		    const struct examination *now);

/* A batch of the pass: 1 more to do, 0 done, -errno. */
int check_overflow_step(struct table_check *c);
/* Entries without a partner, once more. */
void check_overflow_pairs(struct table_check *c);
/* Compares a subscriber's count with the entries: whether it is to be looked at again. */
bool check_overflow_count(struct table_check *c, const struct subscriber_iterator *it);
/* A batch of the pass for those whose count was wrong: as above. */
int check_counts_step(struct table_check *c);

void check_mappings(struct table_check *c);

#endif
