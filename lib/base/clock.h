/* SPDX-License-Identifier: BSD-2-Clause */
/* Readings of the kernel's clocks as numbers, and their units. */
#ifndef DETNAT_CLOCK_H
#define DETNAT_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL
#define DAY_S	  86400

/* Nanoseconds of a clock. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Microseconds of CLOCK_MONOTONIC. */
static inline uint64_t monotonic_us(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000;
}

/* Whole seconds since the boot, sleep included. */
static inline uint64_t boottime_s(void)
{
	return clock_ns(CLOCK_BOOTTIME) / NS_PER_S;
}

/* Milliseconds since 1970 UTC. */
static inline uint64_t wall_clock_ms(void)
{
	return clock_ns(CLOCK_REALTIME) / NS_PER_MS;
}

#endif
