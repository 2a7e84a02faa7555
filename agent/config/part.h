/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of a configuration that an edit concerns. Checks and plans of a single change look at that part alone, with
 * the same functions as at a whole configuration, so that a change costs what it changes.
 */
#ifndef DETNAT_CONFIG_PART_H
#define DETNAT_CONFIG_PART_H

#include "config/config.h"

/* Elements of a list that are others afterwards: before[from..before_end) have become after[from..after_end). */
struct config_window {
	size_t from;
	size_t before_end;
	size_t after_end;
};

struct config_part {
	/*
	 * All keys, and of the mappings and portmaps, in their order, those that were added or changed and those that
	 * can be in their way: with any of their addresses, names or ports.
	 */
	struct config *config;
	struct config_window mappings;
	struct config_window portmaps;
	/* Inside addresses of whatever was added, changed or removed, sorted; they do not overlap. */
	struct address_range *touched;
	size_t n_touched;
};

/*
 * Finds the part of `after` that its difference from `before`, which is valid, concerns. 0; 1 if only a look at the
 * whole shows it, with nothing in *ret: other keys differ, or much does; or -ENOMEM.
 */
int config_part_of(const struct config *before, const struct config *after, struct config_part *ret);
void config_part_free(struct config_part *p);

/*
 * Makes `before` a copy of `after`, as config_clone() would, by a copy of what the part says is different. False, with
 * nothing changed, if that is not all that is, or memory is short.
 */
bool config_part_follow(struct config *before, const struct config *after, const struct config_part *p);

/* Whether any of these inside addresses is touched. */
bool config_part_touches(const struct config_part *p, uint32_t first, uint32_t last);

#endif
