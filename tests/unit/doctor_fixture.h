/* SPDX-License-Identifier: BSD-2-Clause */
/* A tree of files made up in place of /proc and /sys, and what the doctor's checks say about it. */
#ifndef DETNAT_TEST_DOCTOR_FIXTURE_H
#define DETNAT_TEST_DOCTOR_FIXTURE_H

#include "diagnosis/doctor_private.h"

#define DOCTOR_SAID 4096

extern char doctor_root[];
extern char doctor_said[DOCTOR_SAID]; /* a line for each finding */

void doctor_tree_begin(void);
void doctor_tree_end(void);

/* Removes all files, and what was said. */
void doctor_tree_clear(void);

/* Makes a file below the root, with its directories. */
void doctor_put(const char *path, const char *content);

/* For struct doctor's `report`. */
void doctor_collect(struct doctor *d, enum doctor_level level, const char *text);

/* The worst level of what was said. */
enum doctor_level doctor_worst(const struct doctor *d);

#endif
