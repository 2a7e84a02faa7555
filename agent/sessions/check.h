/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables against the rules that the datapath and the agent keep (`detnatctl check`), while both work on them.
 *
 * Nothing here stops a packet. What looks wrong is looked at again when every program that ran at the first look has
 * ended, and only what still looks the same is told of; what changes each time is given up as unsettled. A count is set
 * right by a compare-and-exchange of the word that each opener changes, so none is lost.
 */
#ifndef DETNAT_CHECK_H
#define DETNAT_CHECK_H

#include "base/findings.h"
#include "tables/mappings.h"

/* What was looked at. */
struct check_figures {
	uint64_t mappings;
	uint64_t subscribers;
	uint64_t slots;
	uint64_t sessions; /* in slots, those in time-wait and expired ones included */
	uint64_t overflow_sessions;
	uint64_t looked_again; /* at subscribers and sessions */
	uint64_t unsettled;    /* given up, as they changed all the time */
};

struct table_check;

/* Goes through all tables; repair: mends what it finds where that is safe. The findings are the caller's. */
int table_check_new(struct mappings *m, bool repair, struct findings *findings, struct table_check **ret);

enum table_check_progress {
	TABLE_CHECK_DONE,
	TABLE_CHECK_MORE,  /* more to do at once */
	TABLE_CHECK_WAITS, /* for a grace period: to be called again in a millisecond or so */
};

/* Goes on for about budget_us microseconds; enum table_check_progress, or -errno. */
int table_check_step(struct table_check *c, unsigned budget_us);

const struct check_figures *table_check_figures(const struct table_check *c);
void table_check_free(struct table_check *c);

#endif
