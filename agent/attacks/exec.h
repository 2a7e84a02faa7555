/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to attacks/: runs a program about an attack, as the agent's user, with the address and the rate as arguments.
 * A thread starts it and waits for it, so that the event loop never does.
 */
#ifndef DETNAT_ATTACK_EXEC_H
#define DETNAT_ATTACK_EXEC_H

#include <stdbool.h>
#include <stdint.h>

/* After which a program is killed, with all processes of its group. */
#define EXEC_SECONDS 10U

struct exec_run;

/* Starts a program. hold_s: for its environment. 0 or -errno; the outcome of the program itself comes later. */
int exec_begin(const char *path, uint32_t addr, uint64_t rate, uint32_t hold_s, struct exec_run **ret);

/*
 * Whether a program has ended: then logs it if that was a failure, and frees the run. *ret_failed: it could not be
 * started, was killed, or ended with another status than 0.
 */
bool exec_ended(struct exec_run *run, bool *ret_failed);

/* Kills the program and frees the run. */
void exec_abort(struct exec_run *run);

#endif
