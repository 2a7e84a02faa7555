/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Global subprograms: verified once, independently of their callers. Inlined, every path through one would be followed
 * on through all that comes after it. Memory that is passed by address must be initialised, may be NULL to the
 * verifier, and is of unknown content afterwards, so it holds no pointers. The integer that a subprogram returns is of
 * unknown value, too.
 *
 * The fast path has none: the call costs too much.
 */
#ifndef DETNAT_SUBPROGRAM_H
#define DETNAT_SUBPROGRAM_H

#define SUBPROGRAM __attribute__((noinline))

#endif
