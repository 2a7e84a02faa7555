/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks the tables against the rules that the datapath and the agent follow (`detnatctl check`), while both are
 * working on them.
 *
 * The check stops no packets. Suspects are examined again once every program that was running at the first look has
 * ended, and reported only if they still look the same; those that change every time are given up as unsettled. Counts
 * are repaired with a compare-and-swap of the word that each opener changes, so no change is lost.
 */
#ifndef DETNAT_CHECK_H
#define DETNAT_CHECK_H

#include "base/findings.h"
#include "tables/mappings.h"

/* Figures of the examination. */
struct check_figures {
	uint64_t mappings;
	uint64_t subscribers;
	uint64_t slots;
	uint64_t sessions;     /* in their own slots, including expired ones and those in time-wait */
	uint64_t beyond;       /* the same in extents */
	uint64_t bindings;     /* including expired ones */
	uint64_t looked_again; /* second looks at subscribers and sessions */
	uint64_t unsettled;    /* given up because they kept changing */
};

struct table_check;

/* Prepares a check of all tables. repair: makes all safe repairs. The caller owns the findings. */
int table_check_new(struct mappings *m, bool repair, struct findings *findings, struct table_check **ret);

enum table_check_progress {
	TABLE_CHECK_DONE,
	TABLE_CHECK_MORE,  /* call again at once */
	TABLE_CHECK_WAITS, /* waiting for a grace period: call again in a millisecond or so */
};

/* Continues for about budget_us microseconds. Returns enum table_check_progress, or -errno. */
int table_check_step(struct table_check *c, unsigned budget_us);

const struct check_figures *table_check_figures(const struct table_check *c);
void table_check_free(struct table_check *c);

/* Checks and repairs all tables in one go, which may take seconds. Logs a warning if memory is short. */
void table_check_now(struct mappings *m);

#endif
