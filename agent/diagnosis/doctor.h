/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks a host before it goes live (detnat-agent --doctor). The cheap checks also run at a start and with -t, as
 * warnings. Nothing is changed.
 */
#ifndef DETNAT_DOCTOR_H
#define DETNAT_DOCTOR_H

#include "config/config.h"

/* What a check found: nothing, that it could not look, what should be mended, and what has to be. */
enum doctor_level { DOCTOR_OK, DOCTOR_UNKNOWN, DOCTOR_WARNING, DOCTOR_FAILURE, DOCTOR_N_LEVELS };

/* Its word in the output and in JSON. */
const char *doctor_level_word(enum doctor_level level);

/* Called with each finding, or each line: the name of the check, and the text, with what to do about it. */
typedef void (*doctor_line)(void *arg, const char *check, enum doctor_level level, const char *text);

/*
 * Lines in the order in which they are shown: what has to be mended, what keeps packets from passing, what makes them
 * slower, what is unknown, and what is well.
 */
enum { DOCTOR_N_RANKS = 5 };
unsigned doctor_rank(const char *check, enum doctor_level level);

/* Makes all checks; config_path is the file's name. 0, or -errno if the interfaces cannot be read. */
int doctor_lines(const struct config *c, const char *config_path, doctor_line say, void *arg);

/*
 * Prints what has to be mended, what should be, what is unknown and what is well, in this order, and a summary, to
 * stdout. Returns the number of failures.
 */
unsigned doctor_examine(const struct config *c, const char *config_path);

/* Reports what a start, a reload or explain would warn of, and what keeps packets from passing. 0 or -errno, as above.
 */
int doctor_warnings(const struct config *c, doctor_line say, void *arg);

/* Logs the warnings of the cheap checks: those that need only a few reads and netlink calls. */
void doctor_warn(const struct config *c);

/* Reports the findings about forwarding as such and the pools of the mappings, for explain. */
void doctor_explain(const struct config *c, doctor_line say, void *arg);

/* Reports only the findings about the pools of the mappings, for commands that take addresses into use. */
void doctor_pool_warnings(const struct config *c, doctor_line say, void *arg);

#endif
