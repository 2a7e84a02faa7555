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
	bool steady;			/* no session was opened or closed meanwhile */
	uint32_t n_sessions;		/* in slots */
	uint32_t beyond;		/* of these, in its extent */
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

enum check_phase {
	PHASE_MAPPINGS,
	PHASE_SUBSCRIBERS,    /* all records and slots */
	PHASE_SUSPECTS_GRACE, /* a second look at suspects, then on with the subscribers */
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

void check_mappings(struct table_check *c);

#endif
