/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a mapping's bindings (<detnat/binding.h>), for the room tables: ranges of buckets. Which protocols have
 * entries can grow while the mapping is in use; what they had before stays with the mapping until it is deleted, so no
 * program reads memory that is something else by then.
 */
#ifndef DETNAT_MAPPING_BINDINGS_H
#define DETNAT_MAPPING_BINDINGS_H

#include <detnat/binding.h>

#include "tables/mapping_tables.h"

/* Allocates the range for these protocols, unless there is one. 0, or -errno as chunks_alloc(). */
int mapping_bindings_alloc(struct mapping_job *t, uint8_t protocols);

/* chunks_make_step() for that range. */
int mapping_bindings_make_step(struct mapping_job *t, uint8_t protocols);

/* Takes the range that a record of an earlier agent names: 0, or -errno as chunks_take(). */
int mapping_bindings_take(struct mapping_job *t);
void mapping_bindings_give(struct mapping_job *t);

bool mapping_bindings_complete(const struct mapping_job *t);

/* Releases ranges that were never used. */
void mapping_bindings_release_unused(struct mapping_job *t);

void mapping_bindings_retire(struct mapping_job *t);
enum chunks_release mapping_bindings_release_step(struct mapping_job *t);

/* The layout for what a specification asks for, once its range is there; nothing that has entries loses them. */
struct binding_layout mapping_bindings_layout(const struct mapping_job *t, const struct binding_layout *wanted);

/* A line of a subscriber's table, by a record with its layout; and that of a group of ports. */
struct binding_line *mapping_binding_line(const struct mappings *m, const struct mapping *r, uint32_t subscriber,
					  uint32_t line);
struct binding_line *mapping_binding_group(const struct mappings *m, const struct mapping *r, uint32_t subscriber,
					   uint32_t protocol, uint32_t group);

#endif
