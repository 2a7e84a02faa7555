/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the suite `race` share. */
#ifndef DETNAT_TEST_RACE_H
#define DETNAT_TEST_RACE_H

#include "base/clock.h"
#include "fixture.h"

#define ENDPOINTS 3

/* On a slow machine a race lasts longer than it should, until there was one, but no longer than this. */
#define PATIENCE_S 120

/* Of a clock that nobody sets. */
static inline time_t race_seconds(void)
{
	return (time_t)(monotonic_us() / 1000000);
}

void race_set_up(void);

/* Sweeps all sessions, in slices. */
void sweep_once(void);

#endif
