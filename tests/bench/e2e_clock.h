/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time of one core: what passes less what other processes had the core for. What ksoftirqd does of our packets in our
 * stead is ours. On a machine with nothing else to do it is the time that passes.
 */
#ifndef DETNAT_BENCH_E2E_CLOCK_H
#define DETNAT_BENCH_E2E_CLOCK_H

#include <stdint.h>

/* Pins the process to the last core that it may use and puts it before all others there; the core's number. */
int core_pin(void);

/* Nanoseconds of the clock on the wall, and of them those that the core was not ours. */
struct core_time {
	uint64_t wall;
	uint64_t others;
};

struct core_time core_now(void);

/* Nanoseconds of the core's time from one moment to another. */
uint64_t core_between(struct core_time from, struct core_time to);

#endif
