/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tail-call programs that a suite never calls are not loaded: the kernel's verifier takes most of the time of a test.
 * left_out.c has a list of suites and the programs that they call. A suite that is not in it gets all.
 *
 * A program that tells of its call stands in the place of each that is left out, so a test that begins to call one of
 * them fails, whatever else it expects, and says which name to add to the list.
 */
#ifndef DETNAT_TEST_LEFT_OUT_H
#define DETNAT_TEST_LEFT_OUT_H

#include <stdbool.h>

/* Set by a test that has all programs of each object loaded, with those that no settings of its own choose. */
extern bool load_every_program;

/* Fails the test if it called a program that was left out. */
void left_out_check(void);

#endif
