/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fragments that arrived before the first one of their packet (RFC 4787 REQ-14). They are parked, within limits, until
 * the datapath has seen the first fragment, and then sent through the datapath again. They come through the ring buffer
 * `early_fragments`; see <detnat/fragments.h>.
 *
 * Each is counted once: by the datapath when it passes, or here as dropped when the wait is abandoned.
 */
#ifndef DETNAT_PARKED_FRAGMENTS_H
#define DETNAT_PARKED_FRAGMENTS_H

#include <event2/event.h>

#include <detnat/fragments.h>

#include "datapath/datapath.h"
#include "punt/event_ring.h"

struct fragments;

/*
 * Parks fragments until fragments_free(). base, d and v must outlive the result. A subscriber that reaches its limit is
 * reported to v as EVENT_FRAGMENTS, at most once a second.
 */
int fragments_new(struct event_base *base, struct datapath *d, struct events *v, const struct config_fragments *limits,
		  struct fragments **ret, struct error *err);

/* Sets new limits. The timeout also applies to parked fragments; those above a lower limit stay. f may be NULL. */
void fragments_configure(struct fragments *f, const struct config_fragments *limits);

/* Drops the fragments that are still parked. f may be NULL. */
void fragments_free(struct fragments *f);

/*
 * Loads the program for fragments_inject() on interfaces with generic XDP (punt/parked_fragments.c). 0 or
 * -errno.
 */
int fragments_inject_open(int *ret_program);

/*
 * Feeds the frame to the datapath as received on its interface again, after undoing the changes that egress made to a
 * frame taken there. program: of fragments_inject_open(). 0 or -errno.
 */
int fragments_inject(const struct datapath *d, int program, struct early_fragment *e);

#endif
