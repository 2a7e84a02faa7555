/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to change/: one change, planned and carried out.
 *
 * The tables themselves, not the previous configuration, decide which mappings are added, deleted or updated, so the
 * next start completes or undoes a change that a crash interrupted.
 */
#ifndef DETNAT_PLAN_H
#define DETNAT_PLAN_H

#include "change/change.h"

struct change_plan;

/*
 * Works out what differs, and changes nothing. wanted is copied. checked: check_machine() has been called already. name
 * is the file's in messages, and must outlive the plan; NULL: the configuration does not come from a file.
 */
int plan_new(const struct parts *context, const struct config *wanted, uint64_t file_hash, bool checked,
	     const char *name, struct change_plan **ret, struct error *err);

/* Whether plan_new() would refuse a file. Loads and logs nothing. */
int plan_check(const struct parts *context, const struct config *wanted, const char *name, struct error *err);

/*
 * The same with options, which are copied, and of a configuration that becomes the plan's, or is freed; NULL is taken
 * for -ENOMEM. plan_new() has none: a plan from a file follows the mappings' own keys.
 */
int plan_new_with(const struct parts *context, struct config *wanted, uint64_t file_hash, bool checked,
		  const char *name, const struct change_options *options, struct change_plan **ret, struct error *err);

/*
 * Prepares tables and programs for a few milliseconds: PLAN_MORE (call again), PLAN_WAITS (for the kernel or the disk),
 * PLAN_READY (ready to commit), or -errno.
 */
enum { PLAN_READY, PLAN_MORE, PLAN_WAITS };
int plan_step(struct change_plan *p, struct error *err);

/* Carries out the change: as a whole or, with an error, not at all. */
int plan_commit(struct change_plan *p, struct error *err);

/* Frees a plan, and everything it has prepared unless it was committed. NULL is allowed. */
void change_plan_free(struct change_plan *p);

#endif
