// SPDX-License-Identifier: BSD-2-Clause
#include "base/act_stamp.h"

#include <sys/random.h>

#include "base/clock.h"

#define RANDOM_BITS 16U

uint64_t act_stamp_next(uint64_t before)
{
	uint64_t now = wall_clock_ms() << RANDOM_BITS, next = ((before >> RANDOM_BITS) + 1) << RANDOM_BITS;
	uint16_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint16_t)clock_ns(CLOCK_MONOTONIC);
	return (now > next ? now : next) | random;
}
