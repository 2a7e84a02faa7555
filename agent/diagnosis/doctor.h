/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks a host before it goes live (detnat-agent --doctor). The cheap checks also run at a start and with -t, as
 * warnings. Nothing is changed.
 */
#ifndef DETNAT_DOCTOR_H
#define DETNAT_DOCTOR_H

#include "config/config.h"

/* Called with each finding: the word for its subject, and the text. */
typedef void (*doctor_finding)(void *arg, const char *subject, const char *text);

/* Prints each finding with its remedy, and a summary, to stdout. Returns the number of failures. */
unsigned doctor_examine(const struct config *c, const char *config_path);

/* Logs the warnings of the cheap checks: those that need only a few reads and netlink calls. */
void doctor_warn(const struct config *c);

/* Reports the findings about forwarding as such and the pools of the mappings, for explain. */
void doctor_explain(const struct config *c, doctor_finding say, void *arg);

/* Reports only the findings about the pools of the mappings, for commands that take addresses into use. */
void doctor_pool_warnings(const struct config *c, doctor_finding say, void *arg);

#endif
