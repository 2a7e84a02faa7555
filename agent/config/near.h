/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds mappings of a configuration by their addresses or their name without looking at all of them. The indexes are
 * made when they are first asked, and again after config_mappings_changed(). Without memory for one, all mappings are
 * found: whoever asks compares what he wants himself.
 */
#ifndef DETNAT_CONFIG_NEAR_H
#define DETNAT_CONFIG_NEAR_H

#include "config/config.h"

/* NEAR_SPARE: a mapping is found once for each of its `spare` prefixes. */
enum near_side { NEAR_IN, NEAR_OUT, NEAR_SPARE, NEAR_SIDES };

struct near_index;
struct indexes;

/* NULL: out of memory. */
struct near_index *near_index_new(void);
void near_index_free(struct near_index *x);
void near_index_forget(struct near_index *x);

/* For a copy of the list of a configuration: it has the same indexes until either is changed. NULL: out of memory. */
struct near_index *near_index_share(const struct config *c, const struct config_mapping *copy);

/* A look at the mappings that have any of some addresses on one side, in no order. */
struct near {
	const struct config *config;
	const struct indexes *index; /* NULL: all mappings in turn */
	enum near_side side;
	uint32_t first, last; /* addresses */
	uint32_t at;	      /* of all mappings */
	uint32_t n;	      /* pieces of the list that are still to be looked at */
	uint32_t low[40], high[40];
};

struct near near_begin(const struct config *c, enum near_side side, struct prefix p);
struct near near_begin_addr(const struct config *c, enum near_side side, uint32_t addr);

/* The next one, or NULL. */
struct config_mapping *near_next(struct near *n);

/* The same of mappings with a name. */
struct near_named {
	const struct config *config;
	const struct indexes *index;
	const char *name;
	uint64_t hash;
	uint32_t at;
};

struct near_named near_named_begin(const struct config *c, const char *name);
struct config_mapping *near_named_next(struct near_named *n);

#endif
