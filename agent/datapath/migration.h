/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datapath of another layout is taken over, up or down, while it translates.
 *
 * Maps whose records are the same in both layouts (the slots above all) are pinned a second time, so that the programs
 * of both work on one memory. The mappings' table, the counters and where they differ the records of subscribers are
 * copied by the names of their fields (base/btf_layout.h). The copy is not used before the pin `moving` is taken away,
 * just before the new programs are put in place: until then the next start begins the copy anew. What the old programs
 * still write into their copy is brought over right after them. Counts are then compared with the slots
 * (sessions/check.h), and the old pins go last: while they are there, the next start compares once more.
 */
#ifndef DETNAT_MIGRATION_H
#define DETNAT_MIGRATION_H

#include "datapath/datapath.h"

struct migration;

/*
 * Looks for a datapath of another layout under a pin path, without touching anything: 0 there is none, 1 it can be
 * taken over, -EXDEV it cannot, with what would be lost in err.
 */
int migration_check(const char *pin_path, struct error *err);

/* The directory of the datapath that would be taken over: 0 or -ENOENT. Text is the caller's, of PATH_MAX octets. */
int migration_source(const char *pin_path, char *ret_pin_dir);

/* Whether the pins of a directory are a copy that is not used yet. */
bool migration_unused(const char *pin_dir);

/*
 * Before the maps of d->pin_dir are made: pins there what both layouts share. *ret is NULL where there is nothing to
 * take over. -EXDEV as above.
 */
int migration_begin(const struct datapath *d, struct migration **ret, struct error *err);

/* When d's maps are open: copies the rest. */
int migration_copy(struct datapath *d, struct migration *m, struct error *err);

/* The pins of d were taken over before, by an agent that did not come to the end: *ret is NULL where none did. */
int migration_resume(const struct datapath *d, struct migration **ret);
bool migration_is_resumed(const struct migration *m);

/* Just before the new programs are put in place, and right after it. */
void migration_before_swap(const struct datapath *d, struct migration *m);
void migration_after_swap(const struct datapath *d, struct migration *m);

/* No program of the old layout runs any more: brings over the last of what they have written. */
void migration_settle(const struct datapath *d, struct migration *m);

/* Everything has been compared: removes the old pins and says how it went. */
void migration_finish(struct migration *m);

void migration_free(struct migration *m);

#endif
