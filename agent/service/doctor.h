/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks a host over before it goes live (detnat-agent --doctor), and warns of the cheap part of it at a start and with
 * -t. Nothing is changed.
 */
#ifndef DETNAT_DOCTOR_H
#define DETNAT_DOCTOR_H

#include "config/config.h"

/* Prints a line for each finding, with what to do, and a summary, to stdout. Returns the number of failures. */
unsigned doctor_examine(const struct config *c, const char *config_path);

/* Logs the warnings of the checks that take no more than some reads and netlink calls. */
void doctor_warn(const struct config *c);

#endif
