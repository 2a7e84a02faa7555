/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One change of the running configuration, planned and carried out.
 *
 * What mappings are to be added, deleted or updated follows from the tables as they are, not from what a configuration
 * says that they were: so a change that a crash cut short is completed, or undone, by the next start.
 */
#ifndef DETNAT_PLAN_H
#define DETNAT_PLAN_H

#include "change/change.h"

struct plan;

/*
 * Works out what differs. Takes nothing over: wanted is copied. checked: whether check_machine() has been asked
 * already. name stands for the file in messages, as long as the plan is there; NULL: the configuration is of no file.
 * Nothing is changed.
 */
int plan_new(const struct change_context *context, const struct config *wanted, uint64_t file_hash, bool checked,
	     const char *name, struct plan **ret, struct error *err);

/*
 * Prepares tables and programs, for a few milliseconds: PLAN_MORE to do, PLAN_WAITS for the kernel, PLAN_READY for the
 * commit, or -errno.
 */
enum { PLAN_READY, PLAN_MORE, PLAN_WAITS };
int plan_step(struct plan *p, struct error *err);

/* Makes the change: whole or, with an error, not at all. */
int plan_commit(struct plan *p, struct error *err);

/* Frees a plan, and what was prepared where it was not committed. NULL is allowed. */
void plan_free(struct plan *p);

#endif
