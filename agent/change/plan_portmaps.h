/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to change/: the part of a plan that is about portmaps. */
#ifndef DETNAT_PLAN_PORTMAPS_H
#define DETNAT_PLAN_PORTMAPS_H

#include "config/config.h"
#include "tables/portmap_table.h"

/* What a change takes away and adds; zero-initialised: nothing. */
struct portmap_changes {
	struct portmap *del;
	struct portmap *add;
	size_t n_del;
	size_t n_add;
};

/* Compares the portmaps of a configuration with those of the datapath. 0 or -ENOMEM. */
int portmap_changes_find(const struct config *wanted, const struct portmaps *present, struct portmap_changes *ret);
void portmap_changes_free(struct portmap_changes *c);

/* Carries out one half; the other way round undoes it. */
void portmap_changes_remove(const struct portmap_changes *c, struct portmaps *p);
int portmap_changes_add(const struct portmap_changes *c, struct portmaps *p, struct error *err);

/* Both halves, or with an error neither. */
int portmap_changes_make(const struct portmap_changes *c, struct portmaps *p, struct error *err);
void portmap_changes_undo(const struct portmap_changes *c, struct portmaps *p);

/* How many leases of PCP a change takes away. */
size_t portmap_changes_leases(const struct portmap_changes *c);

/* Leaves out of a configuration the portmaps that the datapath does not have. */
void portmap_changes_settle(struct config *c, const struct portmaps *present);

#endif
