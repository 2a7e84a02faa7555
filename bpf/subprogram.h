/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Steps of the slow path: functions that the verifier looks at once, by themselves, whoever calls them with whatever.
 * Inline, every way through one would be followed on through all that comes after it, and the ways multiply. What a
 * step is given by address may be NULL to the verifier, must be initialised, and is afterwards of unknown content: so
 * pointers do not stand in it. A step returns an integer of which nothing is known either.
 *
 * The fast path has none of them: a call costs it more than it may.
 */
#ifndef DETNAT_SUBPROGRAM_H
#define DETNAT_SUBPROGRAM_H

#define SUBPROGRAM __attribute__((noinline))

#endif
