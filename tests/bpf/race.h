/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the suite `race` share. */
#ifndef DETNAT_TEST_RACE_H
#define DETNAT_TEST_RACE_H

#include "fixture.h"

#define ENDPOINTS 3

/* On a slow machine a race lasts longer than it should, until there was one, but no longer than this. */
#define PATIENCE_S 120

void race_set_up(void);

/* Sweeps all sessions, in slices. */
void sweep_once(void);

#endif
