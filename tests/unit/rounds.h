/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many rounds a test with many of them does. `make test` sets DETNAT_ROUNDS to a percentage; without it, as in
 * `make test-rest`, the test does all.
 */
#pragma once

#include <stdlib.h>

/* As many of all rounds as the environment asks for, at least one. */
static inline unsigned rounds_of(unsigned all)
{
	const char *text = getenv("DETNAT_ROUNDS");
	unsigned percent = text ? (unsigned)strtoul(text, NULL, 10) : 100;
	unsigned rounds = (unsigned)(all * (unsigned long long)percent / 100);

	return rounds ? rounds : 1;
}
