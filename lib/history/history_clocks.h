/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How right the recording machine's clock was at a time: each line that says so speaks of the time since the line of
 * the same agent before it, or of the setting of the clock since then. Pure.
 */
#ifndef DETNAT_HISTORY_CLOCKS_H
#define DETNAT_HISTORY_CLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock_state.h"

struct history_record;

/* What an agent last noted holds for this long, seconds: two intervals at which it notes it while it runs. */
#define HISTORY_CURRENT_S 120

/* From <= t <= to. Of a second that came twice, it may have only one passage. */
struct history_clock {
	int64_t from, to;
	struct clock_state state; /* the worst in that time */
};

/* Zero-initialised. */
struct history_clocks {
	struct history_clock *at; /* in the order of their lines */
	size_t n;
	int64_t since;		 /* the next line speaks of the time from then on, if `runs` */
	uint64_t runs;		 /* the agent that wrote the last line runs, and wrote all since then */
	struct clock_state last; /* at `since`, if `runs` */
};

/* Takes the next record. 0 or -ENOMEM. */
int history_clocks_take(struct history_clocks *c, const struct history_record *r);

/* After a line that is damaged, nobody says how the clock was since the line before. */
void history_clocks_lose(struct history_clocks *c);

/* The agent that wrote the last line has noted the state since then at this time. 0 or -ENOMEM. */
int history_clocks_extend(struct history_clocks *c, int64_t time, struct clock_state state);

/* Evidence about one second says how the clock was in it: whatever other lines say is of other seconds. 0 or -ENOMEM.
 */
int history_clocks_state(struct history_clocks *c, struct clock_state state);

/*
 * The worst state in this second of any reckoning; CLOCK_NOT_READ: none is recorded. Up to HISTORY_CURRENT_S after the
 * last note of an agent that runs it is the noted one, with what the kernel adds to the error of a clock that nothing
 * disciplines.
 */
struct clock_state history_clocks_at(const struct history_clocks *c, int64_t s);

#endif
