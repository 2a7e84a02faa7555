/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts in slices which sessions would end or drain if one configuration replaced another. */
#ifndef DETNAT_RELOAD_LOSSES_H
#define DETNAT_RELOAD_LOSSES_H

#include "config/active.h"
#include "tables/grant_table.h"
#include "tables/mappings.h"

/* A loss of a mapping; whole: its tables, not only addresses that an exception takes. */
struct reload_loss {
	struct prefix in;
	struct prefix out;
	char name[LABEL_TEXT];
	char tenant[LABEL_TEXT]; /* "": none */
	bool whole;
	uint32_t drain;	   /* seconds; 0: its sessions end */
	uint64_t sessions; /* of the lost addresses */
};

struct reload_losses;

/* Both configurations, whose tenants are numbered, are needed for this call only. 0 or -ENOMEM. */
int reload_losses_new(struct mappings *m, const struct grants *g, const struct config *now, const struct config *wanted,
		      struct reload_losses **ret);
/* Continues for about budget_us microseconds: 1 more to do, 0 done, -ENOMEM. */
int reload_losses_step(struct reload_losses *l, unsigned budget_us);
void reload_losses_free(struct reload_losses *l); /* NULL is allowed */

/* All mappings that lose something, in the order of the configuration. */
const struct reload_loss *reload_losses_list(const struct reload_losses *l, size_t *ret_n);

/* Sessions that would end at once, or drain. */
uint64_t reload_losses_sum(const struct reload_losses *l, bool drain);

/* -EPERM with err if more would end than `reload_guard` of what runs allows, else 0. */
int reload_losses_refuse(const struct reload_losses *l, const struct active_config *active, struct error *err);

#endif
