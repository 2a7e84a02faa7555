/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the datapath's counters of packets of strangers by subscriber (<detnat/strangers.h>), and sets them to 0. */
#ifndef DETNAT_STRANGER_RATES_H
#define DETNAT_STRANGER_RATES_H

#include <detnat/tables.h>

#include "sessions/survey.h"

struct stranger_rates {
	const struct mappings *mappings;
	uint64_t read_us; /* when the pass under way or the last one began to read; 0: none has */
	int number;	  /* of the mapping to go on with */
	uint32_t next;	  /* subscriber of it */
	bool begun;
	uint64_t elapsed_us; /* since the pass before; 0: not known */
	uint64_t pass;
	/* What each mapping was in the last pass that read its counters: a mapping may take another one's. */
	struct {
		uint64_t pass;
		uint32_t first_subscriber, in_base;
	} seen[MAX_MAPPINGS];
};

/* A pass begins. A pass that is not read to its end is forgotten with stranger_rates_forget(). */
void stranger_rates_begin(struct stranger_rates *i);
void stranger_rates_forget(struct stranger_rates *i);

/* Whether the pass under way knows rates. */
static inline bool stranger_rates_known(const struct stranger_rates *i)
{
	return i->begun && i->elapsed_us;
}

/*
 * Reads on, for about budget_us microseconds from now_us of CLOCK_MONOTONIC, and reports subscribers to whose ports
 * strangers have sent. 1: more to do, 0: done.
 */
int stranger_rates_step(struct stranger_rates *i, uint64_t now_us, unsigned budget_us,
			void (*report)(void *arg, const struct surveyed *found), void *arg);

#endif
