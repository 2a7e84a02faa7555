/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of bindings that a change turns on or extends, prepared before the datapath gets their layout: bindings
 * that there were stay, and for protocols that had none the ports of sessions in slots are bound. No program reads
 * meanwhile what is written, so a change that is given up, or an agent that ends, leaves nothing behind that counts.
 *
 * A pass over all subscribers goes in slices of the event loop. Sessions and bindings are made under a subscriber's
 * lock, whose values do not repeat: a further pass prepares those alone whose lock has changed.
 */
#ifndef DETNAT_BINDING_PREPARATION_H
#define DETNAT_BINDING_PREPARATION_H

#include "tables/mapping_bindings.h"

/*
 * Goes on with a pass until a time of monotonic_us(): 1: more to do, 0: the pass has ended, the next call begins
 * another; or -ENOMEM. A no-op where no protocol begins.
 */
int binding_preparation_step(struct mapping_job *t, const struct binding_layout *wanted, uint64_t deadline_us);

/*
 * The last pass, right before the datapath gets the layout; without one before, it takes as long as that. Sessions
 * opened meanwhile the datapath binds, when their subscriber opens the next one.
 */
void binding_preparation_finish(struct mapping_job *t, const struct binding_layout *wanted);

/* Gives up what was prepared. A no-op where nothing was. */
void binding_preparation_end(struct mapping_job *t);

#endif
