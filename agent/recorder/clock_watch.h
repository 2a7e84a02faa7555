/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices when the clock of the machine is set, by comparing it with one that cannot be: both follow the same
 * corrections of their rate, so a clock that NTP slews is not taken for one that was set. May be used by several
 * threads.
 */
#ifndef DETNAT_CLOCK_WATCH_H
#define DETNAT_CLOCK_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct clock_reading {
	int64_t real_ns;   /* since 1970 UTC */
	int64_t steady_ns; /* since the machine was started */
	int64_t slack_ns;  /* at most so long lies between the two */
};

/* Reads both clocks; tests replace it. */
extern struct clock_reading (*history_clock)(void);

/* Seconds since 1970 UTC. */
int64_t history_now(void);

static inline int64_t clock_second(int64_t ns)
{
	return ns / 1000000000 - (ns % 1000000000 < 0);
}

/* The clock was set: in seconds, what it can have read before at most, after at least, and when that was noticed. */
struct clock_step {
	int64_t before;
	int64_t after;
	int64_t noticed;
	double by; /* seconds */
};

/* Steps that are told apart until they are taken; more are told as the last one. */
#define CLOCK_STEPS 16U

struct clock_watch {
	pthread_mutex_t lock;
	bool looked;
	struct clock_reading first, last;
	struct clock_reading told; /* the last one when no step waited */
	struct clock_step step[CLOCK_STEPS];
	unsigned n_steps;
};

void clock_watch_init(struct clock_watch *w);

/* Reads the clocks and notes whether the clock was set since the last look. Returns the reading. */
struct clock_reading clock_watch_look(struct clock_watch *w);

/* The last reading before which no step waits to be taken, as far apart as when the clock was set last. */
struct clock_reading clock_watch_last(struct clock_watch *w);

/* Notes whether it was set between a reading of an earlier agent, on this boot of the machine, and the first look. */
void clock_watch_continue(struct clock_watch *w, struct clock_reading before);

/*
 * Notes that it was set before the first look if that read less than `least`, which it had read before; it may have
 * read `most` then.
 */
void clock_watch_begin(struct clock_watch *w, int64_t most, int64_t least);

/* Whether there are steps to be taken. */
bool clock_watch_stepped(struct clock_watch *w);

/* Takes the steps that are noted, in order of time; returns how many. */
unsigned clock_watch_take(struct clock_watch *w, struct clock_step ret[static CLOCK_STEPS]);

/* Gives back what could not be recorded. */
void clock_watch_give_back(struct clock_watch *w, const struct clock_step *steps, unsigned n);

#endif
