/* SPDX-License-Identifier: BSD-2-Clause */
/* What follows from the arguments without chance: closed forms, with which the tests compare what is simulated. */
#ifndef DETNAT_SCALE_MODEL_H
#define DETNAT_SCALE_MODEL_H

#include "options.h"

#define SECONDS_A_YEAR (8766.0 * 3600)

struct model {
	double packets;	 /* a second, of all subscribers */
	double openings; /* a second, of all subscribers */
	double cores;	 /* that translate all this */
	double needed;	 /* gateways that suffice while none fails */
	double gateways; /* machines */
	double groups;	 /* of subscribers that move together */
	double group;	 /* subscribers of one */
	double mapped;	 /* subscribers in the tables of a gateway */
};

struct model model_of(const struct options *options);

/* Share of the sessions in use that are younger than so many seconds: openings are a Poisson process, lives
 * exponential. */
double model_younger(const struct options *options, double age);

/* Share of the sessions in use that the stand-in does not carry on: without copies, and with them as old as `age`. */
double model_lost(const struct options *options);
double model_lost_copied(const struct options *options, double age);

/* Share of time that a gateway is down by failures. */
double model_down(const struct options *options);

/* Share of the *other* gateways' subscribers that ECMP moves when gateway k of n (from 0) goes. */
double model_moved(enum rehash rehash, unsigned n, unsigned k);

/* Share of subscribers with more than one outside address where sessions, not subscribers, are spread over n gateways.
 */
double model_scattered(const struct options *options, double n);

#endif
