/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a mapping's bindings (<detnat/binding.h>), for the room tables: ranges of buckets. The set of protocols
 * with entries can grow while the mapping is in use; their former range stays with the mapping until it is deleted, so
 * no program reads memory that is in use for something else.
 */
#ifndef DETNAT_MAPPING_BINDINGS_H
#define DETNAT_MAPPING_BINDINGS_H

#include <detnat/binding.h>

#include "tables/mapping_tables.h"

/* Allocates the range for these protocols, unless there is one. 0, or -errno as chunks_alloc(). */
int mapping_bindings_alloc(struct mapping_job *t, uint8_t protocols);

/* chunks_make_step() for that range. */
int mapping_bindings_make_step(struct mapping_job *t, uint8_t protocols);

/* Takes the range named in the record of an earlier agent: 0, or -errno as chunks_take(). */
int mapping_bindings_take(struct mapping_job *t);
void mapping_bindings_give(struct mapping_job *t);

bool mapping_bindings_complete(const struct mapping_job *t);

/* Releases ranges that were never used. */
void mapping_bindings_release_unused(struct mapping_job *t);

void mapping_bindings_retire(struct mapping_job *t);
enum chunks_release mapping_bindings_release_step(struct mapping_job *t);

/* The layout for a specification, once its range is there; protocols with entries keep them. */
struct binding_layout mapping_bindings_layout(const struct mapping_job *t, const struct binding_layout *wanted);

/* A line of a subscriber's table, through a record with its layout; and that of a group of ports. */
struct binding_line *mapping_binding_line(const struct mappings *m, const struct mapping *r, uint32_t subscriber,
					  uint32_t line);
struct binding_line *mapping_binding_group(const struct mappings *m, const struct mapping *r, uint32_t subscriber,
					   uint32_t protocol, uint32_t group);

/*
 * The tables of bindings that a change turns on or extends, prepared before the datapath gets their layout: existing
 * bindings stay, and for protocols that had none the ports of sessions in slots are bound. No program reads the new
 * entries meanwhile, so an abandoned change, or an agent that ends, leaves nothing valid behind.
 *
 * A pass over all subscribers goes in slices of the event loop. Sessions and bindings are made under a subscriber's
 * lock, whose values do not repeat: a further pass prepares only those whose lock has changed.
 */

/*
 * Continues a pass until a time of monotonic_us(): 1: more to do, 0: the pass has ended, the next call begins another;
 * or -ENOMEM. Does nothing if no protocol begins.
 */
int binding_preparation_step(struct mapping_job *t, const struct binding_layout *wanted, uint64_t deadline_us);

/*
 * The last pass, right before the datapath gets the layout; without an earlier pass, it takes as long as that. The
 * datapath binds sessions opened meanwhile when their subscriber opens the next one.
 */
void binding_preparation_finish(struct mapping_job *t, const struct binding_layout *wanted);

/* Abandons the preparation, if there is one. */
void binding_preparation_end(struct mapping_job *t);

#endif
