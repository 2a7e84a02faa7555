/* SPDX-License-Identifier: BSD-2-Clause */
/* Years of gateways that fail, come back and are upgraded, event by event. */
#ifndef DETNAT_SCALE_FAILURES_H
#define DETNAT_SCALE_FAILURES_H

#include "model.h"

/* Sums over all years. */
struct tally {
	double failures, upgrades;
	double failovers;	  /* of groups whose gateway failed, to one that was up */
	double lost, lost_copied; /* sessions of failovers and upgrades, without copies and with them */
	double gap, gap_most;	  /* s: sum over failovers, and the longest */
	double interrupted;	  /* subscribers * s in these gaps */
	double outages, outage;	  /* groups without any gateway; subscribers * s of these */
	double cut;		  /* sessions of groups without any gateway */
	double alone;		  /* groups * s with one gateway alone */
	double overloaded;	  /* s in which those up are fewer than needed */
};

/* Returns 0; -E2BIG if it would take too long; -ENOMEM. *ret is zeroed first on success. */
int failures_simulate(const struct options *options, const struct model *model, struct tally *ret);

#endif
