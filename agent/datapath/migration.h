/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes over a datapath of another layout, newer or older, while it translates packets.
 *
 * Maps whose records are the same in both layouts (above all the slots) are pinned a second time, so that the programs
 * of both layouts work on the same memory. The table of mappings, the counters and, if they differ, the records of
 * subscribers are copied field by field, by name (base/btf_layout.h). The copy is unused until the pin `moving` is
 * removed, just before the new programs are put in place; up to then the next start begins the copy again. Counts that
 * the old programs still change are carried over right after the switch and then compared with the slots
 * (sessions/check.h). The old pins go last: while they exist, the next start compares again.
 */
#ifndef DETNAT_MIGRATION_H
#define DETNAT_MIGRATION_H

#include "datapath/datapath.h"

struct migration;

/*
 * Looks for a datapath of another layout under a pin path, read-only. 0: there is none; 1: it can be taken over;
 * -EXDEV: it cannot, and err says which data would be lost.
 */
int migration_check(const char *pin_path, struct error *err);

/* Writes the directory of the datapath that would be taken over to ret_pin_dir, of PATH_MAX octets. 0 or -ENOENT. */
int migration_source(const char *pin_path, char *ret_pin_dir);

/* Whether the pins in a directory are a copy that is not in use yet. */
bool migration_unused(const char *pin_dir);

/*
 * Pins in d->pin_dir the maps that both layouts share; call it before d's maps are created. *ret is NULL if there is
 * nothing to take over. -EXDEV as above.
 */
int migration_begin(const struct datapath *d, struct migration **ret, struct error *err);

/* Copies the rest, once d's maps are open. */
int migration_copy(struct datapath *d, struct migration *m, struct error *err);

/* Continues a takeover that an earlier agent did not finish; *ret is NULL if there was none. */
int migration_resume(const struct datapath *d, struct migration **ret);
bool migration_is_resumed(const struct migration *m);

/* Call these just before the new programs are put in place, and right after. */
void migration_before_swap(const struct datapath *d, struct migration *m);
void migration_after_swap(const struct datapath *d, struct migration *m);

/* Carries over the last changes of the old programs, once none of them is running any more. */
void migration_settle(const struct datapath *d, struct migration *m);

/* Removes the old pins and logs the result, once everything has been compared. */
void migration_finish(struct migration *m);

void migration_free(struct migration *m);

#endif
