/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A row that stands in a world, step by step, here or in a partner's process. Rows that are compared with each other
 * both stand at the same time, so that their runs can alternate.
 */
#ifndef DETNAT_BENCH_STAND_H
#define DETNAT_BENCH_STAND_H

#include "bench.h"

enum step_kind {
	STEP_BEGIN, /* programs and tables of the row are made */
	STEP_OPEN,  /* every session is opened: a sample of PATH_OPEN, if the row has that path */
	STEP_RUN,   /* a run of a way: a sample, if the row has that path */
	STEP_END,   /* packets are checked, if none of the row were before, and its tables freed */
};

struct step {
	enum step_kind what;
	const struct row *row;
	enum path path;
};

struct stand {
	struct bench *b;
	const struct options *o;
	struct space s;
	struct result res; /* of all its turns; path is not filled in */
};

/* Whether the step was done: a sample taken, or there was room for the row. */
bool stand_step(struct stand *st, const struct step *step, struct sample *ret);

struct partner {
	int pid;
	int requests, answers;
};

/* Starts the partner; before the caller makes its own world, with that room. */
void partner_start(struct partner *p, const struct options *o, const struct room *room);

/* The same as stand_step() of the partner's; wrong sessions and packets, and why a row has no room, go into res. */
bool partner_step(const struct partner *p, const struct step *step, struct sample *ret, struct result *res);

void partner_end(struct partner *p);

#endif
