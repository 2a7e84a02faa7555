/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * With STAGES=2 in the environment the tests run the programs with stages, the fixture's routes told: what stage 1 has
 * marked goes through stage 2 before a test sees it.
 */
#ifndef DETNAT_TEST_STAGED_H
#define DETNAT_TEST_STAGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool staged_wanted(void);

/*
 * Called before and after each load of the datapath's programs. The second loads stage 2 beside the datapath's own, as
 * programs that BPF_PROG_TEST_RUN takes, around the same maps.
 */
void staged_begin_reload(void);
void staged_reload(void);

/* Around both stages of a frame: between them no thread replaces the programs. */
void staged_enter(void);
void staged_leave(void);

/* Whether stage 1 has marked a frame. */
bool staged_is_marked(const uint8_t *frame, size_t size);

/*
 * Runs a frame that stage 1 left with this verdict through stage 2, on the same core, if it is marked. Returns the
 * verdict that one stage would have given: what one stage sends back itself, stage 2 has the agent send.
 */
int staged_finish(int verdict, uint8_t *frame, size_t *size);

/* Set by tests with several threads, which cannot tell whose answer one is: frames that are answered are then dropped.
 */
extern bool staged_leave_answers;

/* Frames that stage 2 has dropped, on all cores, since the watching program last looked. */
uint64_t staged_drops(void);

/* The next frame of each core gets this number. */
void staged_number_from(uint32_t next);

/* Runs stage 2 alone; returns its verdict. */
int staged_run_stage2(uint8_t *frame, size_t *size);

#endif
